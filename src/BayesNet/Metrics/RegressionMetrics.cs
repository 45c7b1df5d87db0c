using BayesNet.Prediction;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Metrics;

/// <summary>
/// Scores of predictions of real numbers: errors, proper scoring rules, and the coverage and width of intervals. Each is the mean over all
/// entries, in float64; smaller is better, but for coverage, which should be its level.
/// </summary>
public static class RegressionMetrics
{
    /// <summary>The root of the mean squared error, in units of the target. The predictive mean minimises it.</summary>
    /// <param name="prediction">Any shape.</param>
    /// <param name="target">Shape of <paramref name="prediction"/>.</param>
    /// <exception cref="ArgumentException">The shapes differ, there are no entries, or some are not finite.</exception>
    public static double Rmse(Tensor prediction, Tensor target)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return Math.Sqrt(MetricInputs.Mean(Errors(prediction, target).Squared()));
    }

    /// <summary>The mean absolute error, in units of the target. The predictive median minimises it.</summary>
    /// <inheritdoc cref="Rmse"/>
    public static double Mae(Tensor prediction, Tensor target)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return MetricInputs.Mean(Errors(prediction, target).abs());
    }

    /// <summary>The mean over examples of -ln p(y | x), the negative log predictive density of the mixture, in nats.</summary>
    /// <param name="predictive">Of a batch, with its samples.</param>
    /// <param name="target">As the likelihood takes it, (batch, ...).</param>
    /// <exception cref="InvalidOperationException">The samples were not kept; take the mean of <see cref="Predictor.LogDensity"/>.</exception>
    /// <exception cref="ArgumentException">The target does not fit, or some entries are not finite.</exception>
    public static double NegativeLogLikelihood(Predictive predictive, Tensor target)
    {
        ArgumentNullException.ThrowIfNull(predictive);
        MetricInputs.Finite(target);
        using Tensor logDensity = predictive.LogDensity(target);
        return -MetricInputs.Mean(logDensity);
    }

    /// <summary>
    /// The continuous ranked probability score of the mixture in closed form, the integral over x of (F(x) - 1{x >= y})^2, in units of the
    /// target: sum_i w_i A(y - mu_i, s_i^2) - 1/2 sum_ij w_i w_j A(mu_i - mu_j, s_i^2 + s_j^2) with A(m, v) the mean distance from 0 of
    /// N(m, v) (Grimit, Gneiting, Berrocal and Johnson 2006).
    /// </summary>
    /// <param name="predictive">With its samples; S^2 / 2 pairs for each entry of the target.</param>
    /// <param name="target">Shape of the predictive's mean.</param>
    /// <exception cref="InvalidOperationException">The samples were not kept.</exception>
    /// <exception cref="ArgumentException">The shapes differ, or some entries are not finite.</exception>
    public static double Crps(GaussianPredictive predictive, Tensor target)
    {
        ArgumentNullException.ThrowIfNull(predictive);
        MetricInputs.Finite(target);
        MetricInputs.SameShape(target, predictive.Mean, nameof(target), "the predicted mean");
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        (Tensor means, Tensor logNoise) = (predictive.Components, predictive.LogNoise.expand_as(predictive.Components));
        return MetricInputs.BlockedMean(target.size(0), means.numel() / target.size(0), (first, count) => CrpsKernel.Mixture(
            MetricInputs.Double(means.narrow(1, first, count)).sub(MetricInputs.Double(target.narrow(0, first, count))).flatten(1),
            MetricInputs.Double(logNoise.narrow(1, first, count)).mul(Scalars.Two).exp().flatten(1)));
    }

    /// <summary>The continuous ranked probability score from samples of the predictive distribution, noise included, in units of the target.</summary>
    /// <param name="samples">(S, batch, ...), draws of the target; O(S log S) for each entry of the target.</param>
    /// <param name="target">(batch, ...).</param>
    /// <param name="estimator">Of what it is the score.</param>
    /// <exception cref="ArgumentException">The shapes don't fit, there are too few samples, or some entries are not finite.</exception>
    public static double Crps(Tensor samples, Tensor target, CrpsEstimator estimator)
    {
        MetricInputs.Finite(samples);
        MetricInputs.Finite(target);
        long least = estimator == CrpsEstimator.Fair ? 2 : 1;
        if (samples.dim() == 0 || samples.size(0) < least || !samples.shape.AsSpan(1).SequenceEqual(target.shape))
        {
            throw new ArgumentException(
                $"samples has shape {Guard.Format(samples.shape)} and target {Guard.Format(target.shape)}; samples must have the target's shape "
                + $"behind a dimension of at least {least} samples.", nameof(samples));
        }

        using var scope = NewDisposeScope();
        using var _ = no_grad();
        double count = samples.size(0);
        (Tensor draws, Tensor y) = (samples.reshape(samples.size(0), -1), target.flatten());
        return MetricInputs.BlockedMean(draws.size(1), draws.size(0), (first, width) => CrpsKernel.OfSamples(
            MetricInputs.Double(draws.narrow(1, first, width)).sub(MetricInputs.Double(y.narrow(0, first, width))),
            estimator == CrpsEstimator.Fair ? count * (count - 1) : count * count));
    }

    /// <summary>
    /// F(y), the mixture's distribution function at the targets: uniform on [0, 1] where the predictive is calibrated (Dawid 1984; Gneiting,
    /// Balabdaoui and Raftery 2007).
    /// </summary>
    /// <param name="predictive">With its samples.</param>
    /// <param name="target">Shape of the predictive's mean.</param>
    /// <returns>float64, shape of the target; the caller's to dispose.</returns>
    /// <exception cref="InvalidOperationException">The samples were not kept.</exception>
    /// <exception cref="ArgumentException">The shapes differ, or some entries are not finite.</exception>
    public static Tensor ProbabilityIntegralTransform(ContinuousPredictive predictive, Tensor target)
    {
        ArgumentNullException.ThrowIfNull(predictive);
        MetricInputs.Finite(target);
        MetricInputs.SameShape(target, predictive.Mean, nameof(target), "the predicted mean");
        return predictive.Cdf(target);
    }

    /// <summary>The share of targets within their intervals, bounds included (PICP).</summary>
    /// <param name="lower">Any shape; infinite bounds are welcome.</param>
    /// <param name="upper">Shape of <paramref name="lower"/>.</param>
    /// <param name="target">Shape of <paramref name="lower"/>.</param>
    /// <exception cref="ArgumentException">The shapes differ, there are no entries, or some are NaN.</exception>
    public static double IntervalCoverage(Tensor lower, Tensor upper, Tensor target)
    {
        CheckInterval(lower, upper);
        MetricInputs.Finite(target);
        MetricInputs.SameShape(target, lower);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor y = MetricInputs.Double(target);
        return MetricInputs.Mean(y.ge(MetricInputs.Double(lower)).logical_and(y.le(MetricInputs.Double(upper))));
    }

    /// <summary>The mean width of intervals, in units of the target (MPIW); infinite where one of them is.</summary>
    /// <inheritdoc cref="IntervalCoverage"/>
    public static double MeanIntervalWidth(Tensor lower, Tensor upper)
    {
        CheckInterval(lower, upper);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return MetricInputs.Mean(MetricInputs.Double(upper).sub(MetricInputs.Double(lower)));
    }

    /// <summary>
    /// The mean interval score, (u - l) + 2/alpha (l - y)+ + 2/alpha (y - u)+ with alpha = 1 - level, in units of the target: a proper score
    /// of central intervals, which weighs width against misses (Winkler 1972; Gneiting and Raftery 2007, equation 43).
    /// </summary>
    /// <param name="lower">The quantile at (1 - level) / 2.</param>
    /// <param name="upper">The quantile at (1 + level) / 2; shape of <paramref name="lower"/>.</param>
    /// <param name="target">Shape of <paramref name="lower"/>.</param>
    /// <param name="level">Strictly between 0 and 1.</param>
    /// <exception cref="ArgumentException">The shapes differ, there are no entries, or some are NaN.</exception>
    public static double IntervalScore(Tensor lower, Tensor upper, Tensor target, double level)
    {
        CheckInterval(lower, upper);
        MetricInputs.Finite(target);
        MetricInputs.SameShape(target, lower);
        Guard.OpenUnitInterval(level);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        (Tensor l, Tensor u, Tensor y) = (MetricInputs.Double(lower), MetricInputs.Double(upper), MetricInputs.Double(target));
        Tensor missed = l.sub(y).clamp_min(Scalars.Zero).Plus(y.sub(u).clamp_min(Scalars.Zero));
        return MetricInputs.Mean(u.sub(l).Plus(missed.Times(2 / (1 - level))));
    }

    private static Tensor Errors(Tensor prediction, Tensor target)
    {
        MetricInputs.Finite(prediction);
        MetricInputs.Finite(target);
        MetricInputs.SameShape(prediction, target);
        return MetricInputs.Double(prediction).sub(MetricInputs.Double(target));
    }

    private static void CheckInterval(Tensor lower, Tensor upper)
    {
        MetricInputs.Numbers(upper);
        MetricInputs.Numbers(lower);
        MetricInputs.SameShape(upper, lower);
        using var scope = NewDisposeScope();
        if (MetricInputs.Double(upper).lt(MetricInputs.Double(lower)).any().item<bool>())
            throw new ArgumentException("upper has entries below lower; the bounds are exchanged, or quantiles cross.", nameof(upper));
    }
}
