using BayesNet.Prediction;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Metrics;

/// <summary>
/// Split conformal intervals for regression (Lei, G'Sell, Rinaldo, Tibshirani and Wasserman 2018): a prediction's own interval, widened or
/// narrowed by how far held-out targets fell from theirs.
/// </summary>
/// <remarks>
/// <para>
/// The guarantee, whatever the model and the noise: if held-out and new examples are exchangeable, and the model saw neither, an interval holds
/// a new target with probability at least the level, on average over held-out sets and new examples alike; and at most level + 1/(n + 1) where
/// scores have no ties. Given the held-out set, the coverage follows Beta(k, n + 1 - k) with k = ceil((n + 1) level) (Vovk 2012): about 0.02 of
/// standard deviation at n = 200 and level 0.9. Nothing is promised for a given input, nor after a shift of the distribution.
/// </para>
/// <para>
/// Below n = level / (1 - level) held-out examples (19 at 0.95) no finite interval has the guarantee, and intervals are infinite:
/// <see cref="IsInfinite"/> says so. With several outputs each has a quantile and a guarantee of its own; they do not hold jointly.
/// </para>
/// </remarks>
public sealed class ConformalIntervals
{
    private readonly bool _normalised;

    private ConformalIntervals(bool normalised, Tensor scores, double level)
    {
        using var scope = NewDisposeScope();
        _normalised = normalised;
        Level = Guard.OpenUnitInterval(level);
        Count = scores.size(0);
        Quantiles = ConformalScores.Quantiles(scores.reshape(Count, -1), level);
    }

    /// <summary>1 - alpha.</summary>
    public double Level { get; }

    /// <summary>n, the number of held-out examples.</summary>
    public long Count { get; }

    /// <summary>The quantile of the scores, one for each output of an example; it may be negative for scores from quantiles.</summary>
    public IReadOnlyList<double> Quantiles { get; }

    /// <summary>Whether there were too few held-out examples for a finite interval at this level.</summary>
    public bool IsInfinite => double.IsPositiveInfinity(Quantiles[0]);

    /// <summary>Scores |y - mean| / standard deviation: intervals mean -+ quantile * standard deviation (Lei et al. 2018, section 5.2).</summary>
    /// <param name="mean">(n, ...), of held-out examples.</param>
    /// <param name="stdDev">Above zero, shape of <paramref name="mean"/>; ones, for intervals of equal width.</param>
    /// <param name="target">Shape of <paramref name="mean"/>.</param>
    /// <param name="level">1 - alpha, strictly between 0 and 1.</param>
    /// <exception cref="ArgumentException">The shapes differ, some entries are not finite, or a standard deviation is not above zero.</exception>
    public static ConformalIntervals Normalised(Tensor mean, Tensor stdDev, Tensor target, double level = 0.95)
    {
        RequireMoments(mean, stdDev);
        MetricInputs.Finite(target);
        MetricInputs.SameShape(target, mean);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor residual = MetricInputs.Double(target).sub(MetricInputs.Double(mean)).abs();
        return new ConformalIntervals(true, residual.div(MetricInputs.Double(stdDev)), level);
    }

    /// <summary>Scores |y - mean| / standard deviation of a predictive; samples are not needed.</summary>
    /// <param name="predictive">Of held-out examples.</param>
    /// <param name="target">Shape of its mean.</param>
    /// <param name="level">1 - alpha, strictly between 0 and 1.</param>
    /// <inheritdoc cref="Normalised(Tensor, Tensor, Tensor, double)"/>
    public static ConformalIntervals Normalised(Predictive predictive, Tensor target, double level = 0.95)
    {
        ArgumentNullException.ThrowIfNull(predictive);
        return Normalised(predictive.Mean, predictive.StdDev, target, level);
    }

    /// <summary>
    /// Scores max(lower - y, y - upper) of intervals that the model itself gives: both bounds move out by the quantile, or in where it is negative
    /// (Romano, Patterson and Candes 2019, "Conformalized quantile regression").
    /// </summary>
    /// <param name="lower">(n, ...), of held-out examples.</param>
    /// <param name="upper">Shape of <paramref name="lower"/>.</param>
    /// <param name="target">Shape of <paramref name="lower"/>.</param>
    /// <param name="level">1 - alpha, strictly between 0 and 1.</param>
    /// <exception cref="ArgumentException">The shapes differ, or some entries are not finite.</exception>
    public static ConformalIntervals FromQuantiles(Tensor lower, Tensor upper, Tensor target, double level = 0.95)
    {
        RequireBounds(lower, upper);
        MetricInputs.Finite(target);
        MetricInputs.SameShape(target, lower);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor y = MetricInputs.Double(target);
        return new ConformalIntervals(false, maximum(MetricInputs.Double(lower).sub(y), y.sub(MetricInputs.Double(upper))), level);
    }

    /// <summary>The intervals of new examples, from what the held-out ones' scores were made of.</summary>
    /// <param name="first">Means, or lower bounds for <see cref="FromQuantiles"/>; (batch, ...).</param>
    /// <param name="second">Standard deviations, or upper bounds for <see cref="FromQuantiles"/>; shape of <paramref name="first"/>.</param>
    /// <returns>
    /// float64, shape of <paramref name="first"/>, the caller's to dispose. Where a negative quantile would make bounds cross, both are their
    /// middle: the interval holds one point at least, so that nothing is lost of the guarantee.
    /// </returns>
    /// <exception cref="ArgumentException">The shapes differ or have another number of outputs, or some entries are not finite.</exception>
    public (Tensor Lower, Tensor Upper) Interval(Tensor first, Tensor second)
    {
        if (_normalised)
            RequireMoments(first, second);
        else
            RequireBounds(first, second);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor quantile = ConformalScores.Broadcast(Quantiles, first);
        (Tensor a, Tensor b) = (MetricInputs.Double(first), MetricInputs.Double(second));
        if (_normalised)
        {
            Tensor radius = b.mul(quantile);
            return (a.sub(radius).MoveToOuterDisposeScope(), a.Plus(radius).MoveToOuterDisposeScope());
        }

        Tensor middle = a.Plus(b).mul(Scalars.Half);
        return (minimum(a.sub(quantile), middle).MoveToOuterDisposeScope(), maximum(b.Plus(quantile), middle).MoveToOuterDisposeScope());
    }

    /// <summary>The intervals of a predictive's examples, by mean and standard deviation.</summary>
    /// <param name="predictive">Of new examples.</param>
    /// <returns>float64, shape of its mean; the caller's to dispose.</returns>
    /// <exception cref="InvalidOperationException">The scores were made from quantiles: pass bounds.</exception>
    public (Tensor Lower, Tensor Upper) Interval(Predictive predictive)
    {
        ArgumentNullException.ThrowIfNull(predictive);
        return _normalised
            ? Interval(predictive.Mean, predictive.StdDev)
            : throw new InvalidOperationException(
                "These intervals were fitted to bounds. Pass the bounds of the same kind: Interval(predictive.Quantile(...), predictive.Quantile(...)).");
    }

    private static void RequireMoments(Tensor mean, Tensor stdDev)
    {
        RequireRows(mean, nameof(mean));
        MetricInputs.Finite(stdDev);
        MetricInputs.SameShape(stdDev, mean);
        using var scope = NewDisposeScope();
        if (stdDev.min().to(ScalarType.Float64).item<double>() <= 0)
            throw new ArgumentException("stdDev has entries that are not above zero; each prediction needs a scale to be measured by.", nameof(stdDev));
    }

    private static void RequireBounds(Tensor lower, Tensor upper)
    {
        RequireRows(lower, nameof(lower));
        MetricInputs.Finite(upper);
        MetricInputs.SameShape(upper, lower);
    }

    private static void RequireRows(Tensor prediction, string name)
    {
        MetricInputs.Finite(prediction, name);
        if (prediction.dim() == 0)
            throw new ArgumentException("A single number is no batch; predictions have a row for each example, (batch, ...).", name);
    }
}
