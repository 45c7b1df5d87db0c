using BayesNet.Estimators;
using BayesNet.Prediction;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Distributed;

/// <summary>
/// Ranks that compute a prediction together. Outputs and components are gathered where they lie; moments and densities are merged: mean and sum of squared
/// deviations by the update of Chan, Golub and LeVeque 1983, log densities by log-sum-exp, both in float64, in bytes that don't depend on the samples.
/// </summary>
/// <param name="ranks">The ranks.</param>
/// <param name="splits">
/// Whether each rank computes an even share of the samples, with noise of its own; else what a rank computes, of all samples, is its own matter.
/// </param>
internal sealed class SamplesOnRanks(ICollectives ranks, bool splits) : IPredictionPeers
{
    /// <inheritdoc/>
    public Predictive Predict(int samples, PredictionOptions options, Func<SampleRange, PredictionOptions, Predictive?> own)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using Predictive? mine = Own(samples, options, own, part => part?.Dispose());
        long[] counts = ranks.Gathered(mine?.Samples ?? 0);
        Tensor[] parts = mine is null ? []
            : mine.HasSamples ? [.. mine.SampleParts.Select((_, i) => mine.SamplePart(i))]
            : [.. new[] { mine.Mean, mine.Epistemic }.Concat(mine.Averages).Select(moment => moment.unsqueeze(0))];
        var form = ranks.Described(
            mine is null ? null : new Form(mine.GetType().Name, mine.Settings, mine.HasSamples, [.. parts.Select(RowLayout.Of)]), Root(counts));
        using Predictive kind = Predictive.OfKind(form.Kind, form.Settings);
        if (form.HasSamples)
            return kind.WithSamples([.. form.Parts.Select((layout, i) => ranks.Gathered(parts.ElementAtOrDefault(i), counts, layout))]);
        (Tensor mean, Tensor epistemic, Tensor[] averages) = Merge(parts, counts, form.Parts);
        return kind.WithoutSamples(counts.Sum(), mean, epistemic, averages);
    }

    /// <inheritdoc/>
    public Tensor LogDensity(int samples, PredictionOptions options, Func<SampleRange, PredictionOptions, SampledLogDensity?> own)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        SampledLogDensity? mine = Own(samples, options, own);
        long[] counts = ranks.Gathered(mine?.Samples ?? 0);
        RowLayout layout = ranks.Described(mine is { } found ? RowLayout.Of(found.Values.unsqueeze(0)) : null, Root(counts));
        Tensor logSum = mine is { } part
            ? part.Values.to(ScalarType.Float64, CPU).Plus(Math.Log(part.Samples))
            : full(layout.Shape, double.NegativeInfinity, ScalarType.Float64);
        Tensor greatest = ranks.Reduced(logSum.clone(), Reduction.Max);

        // Where the density is zero under every sample there is nothing to divide by.
        Tensor shift = greatest.nan_to_num(0, 0, 0);
        Tensor sum = ranks.Reduced(logSum.sub(shift).exp());
        return layout.Moved(sum.log().Plus(shift).Plus(-Math.Log(counts.Sum())).to(layout.Type)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public Tensor Outputs(int samples, PredictionOptions options, Func<SampleRange, PredictionOptions, Tensor?> own)
    {
        using var scope = NewDisposeScope();
        Tensor? mine = Own(samples, options, own);
        long[] counts = ranks.Gathered(mine?.size(0) ?? 0);
        RowLayout layout = ranks.Described(mine is null ? null : RowLayout.Of(mine), Root(counts));
        return ranks.Gathered(mine, counts, layout).MoveToOuterDisposeScope();
    }

    /// <summary>The first rank that has computed anything.</summary>
    private static int Root(long[] counts) => Array.FindIndex(counts, count => count > 0);

    /// <summary>What this rank computes.</summary>
    private T Own<T>(int samples, PredictionOptions options, Func<SampleRange, PredictionOptions, T> own, Action<T>? discard = null)
    {
        if (!splits)
            return ranks.Together(() => own(SampleRange.All(samples), options with { Peers = null }), discard);
        SeedOf(options);
        return ranks.Together(
            () => own(SampleRange.Share(samples, ranks.Rank, ranks.Size), options with { Peers = null, Seed = Seeds.Derive(options.Seed, ranks.Rank) }), discard);
    }

    /// <exception cref="ArgumentException">There is no seed.</exception>
    internal static ulong SeedOf(PredictionOptions options) => options.Seed ?? throw new ArgumentException(
        "PredictionOptions.Seed is not set, and without one two ranks that have the same model could draw the same samples; set it to any number.", nameof(options));

    /// <summary>The moments of all samples, of those of each rank's.</summary>
    /// <param name="mine">Mean, standard deviation of the means, and averages, (1, ...) each; empty where this rank has no samples.</param>
    /// <param name="counts">The samples of each rank.</param>
    /// <param name="layouts">Of the moments.</param>
    private (Tensor Mean, Tensor Epistemic, Tensor[] Averages) Merge(Tensor[] mine, long[] counts, RowLayout[] layouts)
    {
        double weight = (double)counts[ranks.Rank] / counts.Sum();
        Tensor mean = Mean(0), deviation = Weighted(1, own => own.Squared().Plus(Plain(0).sub(mean).Squared()));
        return (Made(0, mean), Made(1, ranks.Reduced(deviation).sqrt()), [.. layouts.Skip(2).Select((_, i) => Made(i + 2, Mean(i + 2)))]);

        Tensor Mean(int moment) => ranks.Reduced(Weighted(moment, own => own));

        Tensor Weighted(int moment, Func<Tensor, Tensor> of)
            => mine.Length == 0 ? zeros(layouts[moment].Shape, ScalarType.Float64) : of(Plain(moment)).Times(weight);

        Tensor Plain(int moment) => mine[moment].select(0, 0).to(ScalarType.Float64, CPU);

        Tensor Made(int moment, Tensor value) => layouts[moment].Moved(value.to(layouts[moment].Type));
    }

    private sealed record Form(string Kind, long[] Settings, bool HasSamples, RowLayout[] Parts);
}
