using BayesNet.Inference;
using BayesNet.Likelihoods;
using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Distributed;

/// <summary>Deep ensembles whose members are fitted on several ranks.</summary>
public static class EnsembleExtensions
{
    /// <summary>
    /// Fits an ensemble, member m on rank m modulo their number, with the seeds that <see cref="InferenceMethod.Fit"/> gives the members on one
    /// process: the same ensemble, in as much less time as there are ranks.
    /// </summary>
    /// <param name="method">The ensemble. A seed must be set, here or in the member's method.</param>
    /// <param name="ranks">The processes; every one makes this call.</param>
    /// <param name="network">Makes a network with fresh initial weights.</param>
    /// <param name="likelihood">Makes a likelihood.</param>
    /// <param name="data">The training set, the same on every rank.</param>
    /// <param name="validation">Data to score after epochs; null for none.</param>
    /// <param name="progress">Told of rank 0's members.</param>
    /// <param name="cancellationToken">Stops this rank's members; give it to all ranks or none.</param>
    /// <exception cref="ArgumentException">There is no seed.</exception>
    public static RankedEnsemble FitOnRanks(
        this DeepEnsemble method, ICollectives ranks, Func<nn.Module<Tensor, Tensor>> network, Func<Likelihood> likelihood, TrainingData data,
        TrainingData? validation = null, IProgress<TrainingProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(method);
        ArgumentNullException.ThrowIfNull(ranks);
        ArgumentNullException.ThrowIfNull(likelihood);
        if ((method.Seed ?? method.Member.Seed) is null)
            throw new ArgumentException("The ensemble has no seed, and without one the members of two ranks could be the same; set DeepEnsemble.Seed.", nameof(method));
        var members = new Dictionary<int, FittedPosterior>();
        try
        {
            ranks.Map([.. Enumerable.Range(0, method.Members)], m =>
            {
                members.Add(m, method.MemberAt(m).Fit(network, likelihood, data, validation, ranks.Rank == 0 ? progress : null, cancellationToken));
                return m;
            });
        }
        catch
        {
            foreach (FittedPosterior member in members.Values)
                member.Dispose();
            throw;
        }

        return new RankedEnsemble(ranks, method.Members, members, likelihood);
    }
}
