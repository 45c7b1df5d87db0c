using BayesNet.Inference;
using BayesNet.Likelihoods;
using BayesNet.Prediction;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Distributed;

/// <summary>
/// A deep ensemble whose members live on the ranks that fitted them. Every rank asks it the same questions in the same order and gets the whole
/// ensemble's answer, that of <see cref="EnsemblePosterior"/>.
/// </summary>
public sealed class RankedEnsemble : FittedPosterior
{
    private const int Many = 1 << 20;

    private readonly SortedDictionary<int, FittedPosterior> _own;
    private readonly Likelihood? _copy;
    private readonly int _most;

    /// <param name="ranks">The processes.</param>
    /// <param name="method">The method's name.</param>
    /// <param name="count">The members of all ranks; rank 0 has the first.</param>
    /// <param name="own">This rank's, by their numbers; the ensemble's from now on.</param>
    /// <param name="likelihood">Makes a likelihood like the members'.</param>
    internal RankedEnsemble(ICollectives ranks, string method, int count, SortedDictionary<int, FittedPosterior> own, Func<Likelihood> likelihood)
        : base(method)
    {
        (Count, _own, Peers) = (count, own, new SamplesOnRanks(ranks, splits: false));
        FittedPosterior? first = own.GetValueOrDefault(0);
        long[] said = [first?.Used(Many) ?? 0, (long)(first?.Likelihood.parameters().Concat(first.Likelihood.buffers()).FirstOrDefault()?.dtype ?? ScalarType.Float32)];
        ranks.Spread(said, 0);
        _most = (int)said[0];
        Likelihood = first?.Likelihood ?? (_copy = ranks.Rank == 0 ? null : likelihood())!;
        _copy?.to((ScalarType)said[1]);
        foreach (Tensor tensor in Likelihood.parameters().Concat(Likelihood.buffers()))
            ranks.Spread(tensor, 0);
    }

    /// <summary>The number of members, on all ranks together.</summary>
    public int Count { get; }

    /// <summary>This rank's members by their numbers; they belong to the ensemble.</summary>
    public IReadOnlyDictionary<int, FittedPosterior> Members => _own;

    /// <summary>The first member's likelihood, or, where that lives on another rank, a copy of it.</summary>
    public override Likelihood Likelihood { get; }

    internal override IPredictionPeers Peers { get; }

    private IEnumerable<(int Number, FittedPosterior Member)> Own => _own.Select(entry => (entry.Key, entry.Value));

    internal override int Used(int samples)
    {
        int each = EnsembleMixture.Each(samples, Count);
        return Count * (_own.Count > 0 ? _own.First().Value.Used(each) : Math.Min(each, _most));
    }

    internal override Predictive? PredictCore(Tensor inputs, SampleRange samples, PredictionOptions options)
        => EnsembleMixture.Predict(Own, Count, inputs, samples, options);

    internal override SampledLogDensity? LogDensityCore(Tensor inputs, Tensor targets, SampleRange samples, PredictionOptions options)
        => EnsembleMixture.LogDensity(Own, Count, inputs, targets, samples, options);

    internal override Tensor? OutputsCore(Tensor inputs, SampleRange samples, PredictionOptions options)
        => EnsembleMixture.Outputs(Own, Count, inputs, samples, options);

    /// <summary>Frees this rank's members.</summary>
    private protected override void Dispose(bool disposing)
    {
        foreach (FittedPosterior member in _own.Values)
            member.Dispose();
        _copy?.Dispose();
    }
}
