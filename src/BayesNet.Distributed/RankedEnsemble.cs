using BayesNet.Inference;
using BayesNet.Kernels;
using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.Runtime;
using BayesNet.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Distributed;

/// <summary>
/// A deep ensemble whose members live on the ranks that fitted them. Every rank asks it the same questions in the same order and gets the whole
/// ensemble's answer, that of <see cref="EnsemblePosterior"/>.
/// </summary>
public sealed class RankedEnsemble : IDisposable
{
    private readonly ICollectives _ranks;
    private readonly int[] _members;
    private readonly Dictionary<int, FittedPosterior> _own;
    private readonly Func<Likelihood> _likelihood;

    internal RankedEnsemble(ICollectives ranks, int members, Dictionary<int, FittedPosterior> own, Func<Likelihood> likelihood)
        => (_ranks, _members, _own, _likelihood) = (ranks, [.. Enumerable.Range(0, members)], own, likelihood);

    /// <summary>The number of members, on all ranks together.</summary>
    public int Count => _members.Length;

    /// <summary>This rank's members by their numbers; they belong to the ensemble.</summary>
    public IReadOnlyDictionary<int, FittedPosterior> Members => _own;

    /// <summary>The predictive distribution of a batch: the equal-weight mixture over the members, each with what its likelihood has learned.</summary>
    /// <param name="inputs">(batch, ...) as the network takes it; the same on every rank.</param>
    /// <param name="samples">Posterior samples, spread evenly over the members, rounded up.</param>
    /// <param name="options">Memory and seed; null for <see cref="PredictionOptions.Default"/>.</param>
    /// <returns>The caller's to dispose.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="samples"/> is below 1.</exception>
    public Predictive Predict(Tensor inputs, int samples = 100, PredictionOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        int each = Each(samples);
        IReadOnlyList<Answer> answers = _ranks.Map(_members, m =>
        {
            using var scope = NewDisposeScope();
            FittedPosterior member = _own[m];
            return new Answer(
                Packed.Of(member.SampleOutputs(inputs, each, Of(m, options))),
                [.. member.Likelihood.parameters().Concat(member.Likelihood.buffers()).Select(Packed.Of)]);
        });
        using var whole = NewDisposeScope();
        using var _ = no_grad();
        var parts = new List<Predictive>(Count);
        try
        {
            foreach (Answer answer in answers)
            {
                using Likelihood likelihood = _likelihood();
                Tensor outputs = answer.Outputs.Tensor();
                likelihood.to(outputs.dtype);
                foreach ((Tensor own, Packed learned) in likelihood.parameters().Concat(likelihood.buffers()).Zip(answer.Likelihood))
                    own.copy_(learned.Tensor());
                parts.Add(likelihood.Predict(outputs));
            }

            return Predictive.Join(parts);
        }
        catch
        {
            parts.ForEach(part => part.Dispose());
            throw;
        }
    }

    /// <summary>The log predictive density of targets in nats.</summary>
    /// <param name="inputs">(batch, ...) as the network takes it; the same on every rank.</param>
    /// <param name="targets">(batch, ...) as the likelihood takes them; the same on every rank.</param>
    /// <param name="samples">Posterior samples, spread evenly over the members, rounded up.</param>
    /// <param name="options">Memory and seed; null for <see cref="PredictionOptions.Default"/>.</param>
    /// <returns>Shape (batch), float64, on the CPU.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="samples"/> is below 1.</exception>
    /// <exception cref="CollectiveException">A member refused: targets and inputs do not fit.</exception>
    public Tensor LogDensity(Tensor inputs, Tensor targets, int samples = 100, PredictionOptions? options = null)
    {
        int each = Each(samples);
        IReadOnlyList<Packed> densities = _ranks.Map(_members, m =>
        {
            using var scope = NewDisposeScope();
            return Packed.Of(_own[m].LogDensity(inputs, targets, each, Of(m, options)).to(ScalarType.Float64));
        });
        using var scope = NewDisposeScope();
        return EnsemblePosterior.LogMixture([.. densities.Select(density => density.Tensor())]).MoveToOuterDisposeScope();
    }

    /// <summary>The mean log predictive density of data in nats an example; <see cref="LogDensity"/> averaged over the rows.</summary>
    /// <inheritdoc cref="LogDensity"/>
    public double LogLikelihood(TrainingData data, int samples = 100, PredictionOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(data);
        using var scope = NewDisposeScope();
        return LogDensity(data.Inputs, data.Targets, samples, options).mean([0]).item<double>();
    }

    /// <summary>Frees this rank's members.</summary>
    public void Dispose()
    {
        foreach (FittedPosterior member in _own.Values)
            member.Dispose();
    }

    private static PredictionOptions Of(int member, PredictionOptions? options) => EnsemblePosterior.Of(member, options ?? PredictionOptions.Default);

    private int Each(int samples) => (int)((Guard.AtLeastOne(samples) + Count - 1) / Count);

    private sealed record Answer(Packed Outputs, Packed[] Likelihood);

    /// <summary>A tensor that travels: its type, shape and bytes.</summary>
    private sealed record Packed(ScalarType Type, long[] Shape, byte[] Bytes)
    {
        internal static Packed Of(Tensor tensor)
        {
            using var scope = NewDisposeScope();
            Tensor plain = tensor.detach().cpu().contiguous();
            return new Packed(plain.dtype, plain.shape, plain.numel() == 0 ? [] : plain.bytes.ToArray());
        }

        internal Tensor Tensor()
        {
            Tensor tensor = empty(Shape, Type, CPU);
            if (Bytes.Length > 0)
                Bytes.CopyTo(TensorMemory.Span<byte>(tensor));
            return tensor;
        }
    }
}
