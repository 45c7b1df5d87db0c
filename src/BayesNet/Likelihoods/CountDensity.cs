using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Likelihoods;

/// <summary>Log probabilities of counts by the logarithm of their mean, in float64: differences of log Gammas cancel in float32.</summary>
internal static class CountDensity
{
    /// <summary>
    /// Poisson, y f - e^f - ln y!, without a dispersion; else negative binomial with variance mu + alpha mu^2, r = 1 / alpha and t = f + ln alpha:
    /// ln Gamma(y + r) - ln Gamma(r) - ln y! + y ln sigmoid(t) + r ln sigmoid(-t). Arguments broadcast; the result is float64.
    /// </summary>
    internal static Tensor Log(Tensor counts, Tensor logMean, Tensor? logDispersion)
    {
        using var scope = NewDisposeScope();
        (Tensor y, Tensor f) = (counts.to(ScalarType.Float64), logMean.to(ScalarType.Float64));
        Tensor logFactorial = y.Plus(1).lgamma();
        if (logDispersion is null)
            return y.mul(f).sub(f.exp()).sub(logFactorial).MoveToOuterDisposeScope();
        Tensor logAlpha = logDispersion.to(ScalarType.Float64);
        Tensor r = logAlpha.neg().exp(), t = f.Plus(logAlpha);
        Tensor coefficient = y.Plus(r).lgamma().sub(r.lgamma()).sub(logFactorial);
        return coefficient.Plus(y.mul(nn.functional.logsigmoid(t))).Plus(r.mul(nn.functional.logsigmoid(t.neg()))).MoveToOuterDisposeScope();
    }

    /// <summary>Counts and log means from a target that holds exposures behind the counts, or counts alone.</summary>
    /// <param name="logRate">(..., K).</param>
    /// <param name="target">(..., K), or (..., 2 K) with exposures.</param>
    /// <param name="hasExposure">Which of them.</param>
    /// <param name="missing">What NaN in the counts means.</param>
    internal static (Tensor Counts, Tensor LogMean) Split(Tensor logRate, Tensor target, bool hasExposure, MissingTargets missing)
    {
        if (!hasExposure)
        {
            GaussianDensity.RequireSameShape(logRate, target, "log rate");
            RequireCounts(target, missing);
            return (target, logRate);
        }

        long[] shape = logRate.shape;
        if (shape.Length > 1)
            shape[^1] *= 2;
        if (shape.Length < 2 || !shape.AsSpan().SequenceEqual(target.shape))
        {
            throw new ArgumentException(
                $"The target has shape {Guard.Format(target.shape)} and the log rate {Guard.Format(logRate.shape)}; with exposures it must be (batch, ..., 2 K), "
                + "K counts and then their K exposures. Join them with cat([counts, exposures], -1).", nameof(target));
        }

        Tensor counts = target.narrow(-1, 0, logRate.size(-1)), exposure = target.narrow(-1, logRate.size(-1), logRate.size(-1));
        RequireCounts(counts, missing);
        ObservedEntries.Require(exposure, MissingTargets.Refused, e => e.gt(Scalars.Zero).logical_and(e.isfinite()), "an exposure is a finite number above zero");
        return (counts, logRate.Plus(exposure.to(ScalarType.Float64).log().to(logRate.dtype)));
    }

    private static void RequireCounts(Tensor counts, MissingTargets missing)
        => ObservedEntries.Require(
            counts, missing, y => y.ge(Scalars.Zero).logical_and(y.isfinite()).logical_and(y.eq(y.floor())), "a count is a whole number, 0 or above");
}
