using BayesNet.Training.Fitting;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>Which of a prediction's samples are meant.</summary>
/// <param name="First">The first.</param>
/// <param name="Count">How many; may be 0.</param>
/// <param name="Total">The samples of the whole prediction.</param>
internal readonly record struct SampleRange(int First, int Count, int Total)
{
    /// <summary>All samples of a prediction.</summary>
    internal static SampleRange All(int samples) => new(0, samples, samples);

    /// <summary>An even share, in the order of the processes; the first has the most.</summary>
    internal static SampleRange Share(int samples, int rank, int size)
    {
        (long first, long count) = IPeers.Share(samples, rank, size);
        return new SampleRange((int)first, (int)count, samples);
    }

    /// <summary>Those of an ensemble's samples that are a member's, members having equally many one behind the other.</summary>
    /// <param name="member">The member's number.</param>
    /// <param name="members">How many there are.</param>
    internal SampleRange Of(int member, int members)
    {
        int each = Total / members, start = member * each, first = Math.Max(First, start), end = Math.Min(First + Count, start + each);
        return new SampleRange(first - start, Math.Max(0, end - first), each);
    }
}

/// <summary>What some of a prediction's samples say of targets.</summary>
/// <param name="Values">Their log mean density, (batch).</param>
/// <param name="Samples">How many they are.</param>
internal readonly record struct SampledLogDensity(Tensor Values, long Samples);

/// <summary>
/// The processes that compute a prediction together, each some of its samples; all make the same calls in the same order, and all get the whole. What a
/// function computes is one process's part, null where it has none; what it throws, all throw.
/// </summary>
internal interface IPredictionPeers
{
    /// <summary>The predictive distribution, the caller's to dispose.</summary>
    Predictive Predict(int samples, PredictionOptions options, Func<SampleRange, PredictionOptions, Predictive?> own);

    /// <summary>The log mean density of all samples, (batch).</summary>
    Tensor LogDensity(int samples, PredictionOptions options, Func<SampleRange, PredictionOptions, SampledLogDensity?> own);

    /// <summary>(samples, batch, ...), in order.</summary>
    Tensor Outputs(int samples, PredictionOptions options, Func<SampleRange, PredictionOptions, Tensor?> own);
}

/// <summary>One process, which computes all samples, or one of several.</summary>
internal static class PredictionPeers
{
    internal static Predictive Predict(
        this PredictionOptions options, int samples, Func<SampleRange, PredictionOptions, Predictive?> own, IPredictionPeers? peers = null)
        => (peers ?? options.Peers)?.Predict(samples, options, own) ?? own(SampleRange.All(samples), options)!;

    /// <summary>The result is in the open dispose scope.</summary>
    internal static Tensor LogDensity(
        this PredictionOptions options, int samples, Func<SampleRange, PredictionOptions, SampledLogDensity?> own, IPredictionPeers? peers = null)
        => (peers ?? options.Peers)?.LogDensity(samples, options, own) ?? own(SampleRange.All(samples), options)!.Value.Values;

    /// <inheritdoc cref="LogDensity"/>
    internal static Tensor Outputs(
        this PredictionOptions options, int samples, Func<SampleRange, PredictionOptions, Tensor?> own, IPredictionPeers? peers = null)
        => (peers ?? options.Peers)?.Outputs(samples, options, own) ?? own(SampleRange.All(samples), options)!;
}
