using BayesNet.Inference;
using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Distributed;

/// <summary>Every <see cref="InferenceMethod"/> on several processes, by the fit of one.</summary>
public static class InferenceExtensions
{
    /// <summary>
    /// Fits on all ranks together: chains are spread over them, so are the members of an ensemble, and every other method trains its network in
    /// parallel over the data, as by <see cref="DataParallelExtensions.OnRanks"/>. On one rank, <see cref="InferenceMethod.Fit"/>.
    /// </summary>
    /// <remarks>
    /// Every rank makes this call with the same arguments, and has the whole posterior afterwards, the same on all; of an ensemble, its own members
    /// (<see cref="RankedEnsemble"/>). What comes after training, a Laplace approximation say, each rank computes by itself. A fit that fails on one rank throws
    /// on all.
    /// </remarks>
    /// <param name="method">How to fit. A seed must be set, here or in the method's training options.</param>
    /// <param name="ranks">The processes; they stay the caller's, and outlive the posterior.</param>
    /// <param name="network">Makes a network with fresh initial weights.</param>
    /// <param name="likelihood">Makes a likelihood.</param>
    /// <param name="data">The training set, the same on every rank.</param>
    /// <param name="validation">Data to score after epochs; null for none.</param>
    /// <param name="progress">Told by rank 0, of its part where ranks have parts of their own.</param>
    /// <param name="cancellationToken">Stops the fit on all ranks, at once or, of parts of their own, when each has done its own.</param>
    /// <returns>The posterior, the caller's to dispose.</returns>
    /// <exception cref="ArgumentException">There is no seed.</exception>
    /// <exception cref="CollectiveException">The fit failed on another rank.</exception>
    /// <exception cref="OperationCanceledException">The fit was cancelled on a rank.</exception>
    public static FittedPosterior FitOnRanks(
        this InferenceMethod method, ICollectives ranks, Func<nn.Module<Tensor, Tensor>> network, Func<Likelihood> likelihood, TrainingData data,
        TrainingData? validation = null, IProgress<TrainingProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(method);
        ArgumentNullException.ThrowIfNull(ranks);
        return method switch
        {
            DeepEnsemble ensemble => ensemble.FitOnRanks(ranks, network, likelihood, data, validation, progress, cancellationToken),
            _ when SeedOf(method) is null => throw new ArgumentException(
                $"{method.Name} has no seed, and what the ranks draw has to follow from one; set Seed.", nameof(method)),
            _ => method.FitTogether(network, likelihood, data, validation, ranks.Rank == 0 ? progress : null, ranks.Size == 1 ? null : new FitOnAll(ranks), cancellationToken),
        };
    }

    /// <summary>
    /// Runs Markov chains, chain c on rank c modulo their number; every rank then has the samples of all, which are those that <see cref="InferenceMethod.Fit"/>
    /// gives on one process, to the last bit on machines of one kind.
    /// </summary>
    /// <inheritdoc cref="FitOnRanks(InferenceMethod, ICollectives, Func{nn.Module{Tensor, Tensor}}, Func{Likelihood}, TrainingData, TrainingData?, IProgress{TrainingProgress}?, CancellationToken)"/>
    public static SampledPosterior FitOnRanks(
        this StochasticGradientMonteCarlo method, ICollectives ranks, Func<nn.Module<Tensor, Tensor>> network, Func<Likelihood> likelihood, TrainingData data,
        TrainingData? validation = null, IProgress<TrainingProgress>? progress = null, CancellationToken cancellationToken = default)
        => (SampledPosterior)((InferenceMethod)method).FitOnRanks(ranks, network, likelihood, data, validation, progress, cancellationToken);

    /// <summary>
    /// Fits an ensemble, an even share of the members on each rank, with the seeds that <see cref="InferenceMethod.Fit"/> gives them on one process: the same
    /// ensemble, in as much less time as there are ranks.
    /// </summary>
    /// <inheritdoc cref="FitOnRanks(InferenceMethod, ICollectives, Func{nn.Module{Tensor, Tensor}}, Func{Likelihood}, TrainingData, TrainingData?, IProgress{TrainingProgress}?, CancellationToken)"/>
    public static RankedEnsemble FitOnRanks(
        this DeepEnsemble method, ICollectives ranks, Func<nn.Module<Tensor, Tensor>> network, Func<Likelihood> likelihood, TrainingData data,
        TrainingData? validation = null, IProgress<TrainingProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(method);
        ArgumentNullException.ThrowIfNull(ranks);
        ArgumentNullException.ThrowIfNull(likelihood);
        if ((method.Seed ?? method.Member.Seed) is null)
            throw new ArgumentException("The ensemble has no seed, and without one the members of two ranks could be the same; set DeepEnsemble.Seed.", nameof(method));
        SampleRange own = SampleRange.Share(method.Members, ranks.Rank, ranks.Size);
        var members = new SortedDictionary<int, FittedPosterior>();
        try
        {
            ranks.Together(() =>
            {
                for (int m = own.First; m < own.First + own.Count; m++)
                    members.Add(m, Member(m));
                return members;
            });
            return new RankedEnsemble(ranks, method.Name, method.Members, members, likelihood);
        }
        catch
        {
            foreach (FittedPosterior member in members.Values)
                member.Dispose();
            throw;
        }

        FittedPosterior Member(int m)
        {
            try
            {
                return method.MemberAt(m).Fit(network, likelihood, data, validation, ranks.Rank == 0 ? progress : null, cancellationToken);
            }
            catch (Exception error) when (error is not OperationCanceledException)
            {
                throw new CollectiveException($"Member {m} failed on rank {ranks.Rank}: {error.Message}", error);
            }
        }
    }

    private static ulong? SeedOf(InferenceMethod method) => method.Seed ?? method switch
    {
        VariationalInference variational => variational.Training.Seed,
        PointTrainedMethod trained => trained.Training.Seed,
        _ => null,
    };

    private sealed class FitOnAll(ICollectives ranks) : IFitPeers
    {
        public int Rank => ranks.Rank;

        public int Size => ranks.Size;

        public TrainerOptions OnAll(TrainerOptions options) => options.OnRanks(ranks);

        public void Together(Action own) => ranks.Together(() =>
        {
            own();
            return true;
        });

        public void Broadcast(Tensor tensor, int root) => ranks.Spread(tensor, root);

        public void Broadcast(Span<long> values, int root) => ranks.Spread(values, root);
    }
}
