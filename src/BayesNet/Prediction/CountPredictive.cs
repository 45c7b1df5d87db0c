using BayesNet.Estimators;
using BayesNet.Kernels;
using BayesNet.Likelihoods;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>
/// A mixture of Poisson or negative binomial laws, one of equal weight for each posterior sample: the predictive of
/// <see cref="PoissonLikelihood"/> and of <see cref="NegativeBinomialLikelihood"/>, per unit of exposure where there are exposures.
/// </summary>
public sealed class CountPredictive : Predictive
{
    private readonly bool _hasDispersion;
    private readonly bool _hasExposure;
    private readonly MissingTargets _missing;

    /// <summary>Copies its arguments.</summary>
    /// <param name="logRates">(samples, batch, ...).</param>
    /// <param name="logDispersion">ln alpha, with the dimensions of the rates, each of their size or 1; null for Poisson.</param>
    /// <param name="hasExposure">Whether targets hold exposures behind the counts.</param>
    /// <param name="missing">What NaN in a target's counts means.</param>
    internal CountPredictive(Tensor logRates, Tensor? logDispersion, bool hasExposure, MissingTargets missing)
        : base(logRates)
    {
        (_hasDispersion, _hasExposure, _missing) = (logDispersion is not null, hasExposure, missing);
        Keep(nameof(LogRates), logRates);
        if (logDispersion is not null)
            Keep(nameof(LogDispersion), logDispersion);
    }

    internal CountPredictive(long samples, long[] settings, Tensor mean, Tensor epistemic, Tensor aleatoric)
        : base(samples)
    {
        (_hasExposure, _missing) = (settings[0] > 0, (MissingTargets)settings[1]);
        Keep(nameof(Mean), mean);
        Keep(nameof(Epistemic), epistemic);
        Keep(nameof(Aleatoric), aleatoric);
    }

    /// <summary>The mean of each component, (samples, batch, outputs).</summary>
    /// <exception cref="InvalidOperationException">The samples were not kept.</exception>
    public Tensor Components => Once(nameof(Components), () => LogRates.exp());

    /// <summary>The mean count, (batch, outputs).</summary>
    public override Tensor Mean => Once(nameof(Mean), () => Components.mean([0]));

    /// <summary>The standard deviation of the rate over the samples, (batch, outputs).</summary>
    public override Tensor Epistemic => Once(nameof(Epistemic), () => Components.sub(Mean).Squared().mean([0]).sqrt());

    /// <summary>The root of the mean over samples of the counts' variance, mu or mu + alpha mu^2, (batch, outputs).</summary>
    public override Tensor Aleatoric => Once(nameof(Aleatoric), () =>
    {
        Tensor rate = Components;
        return (LogDispersion is { } logAlpha ? addcmul(rate, rate.Squared(), logAlpha.exp(), Scalars.One) : rate).mean([0]).sqrt();
    });

    private Tensor LogRates => Kept(nameof(LogRates));

    private Tensor? LogDispersion => _hasDispersion ? Kept(nameof(LogDispersion)) : null;

    internal override Tensor[] Averages => [Aleatoric.Squared()];

    /// <summary>The probability of each count from 0 to <paramref name="maxCount"/>, (batch, outputs, maxCount + 1); the caller's to dispose.</summary>
    /// <param name="maxCount">The greatest count, at least 0.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maxCount"/> is below 0.</exception>
    /// <exception cref="InvalidOperationException">The samples were not kept.</exception>
    public Tensor Probabilities(int maxCount)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(maxCount);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor counts = arange(maxCount + 1, ScalarType.Float64, LogRates.device);
        Tensor logProbabilities = CountDensity.Log(counts, LogRates.unsqueeze(-1), LogDispersion?.unsqueeze(-1));
        return logProbabilities.exp().mean([0]).to(LogRates.dtype).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>The least count whose distribution function, the mixture's, reaches <paramref name="probability"/>: a whole number.</remarks>
    public override Tensor Quantile(double probability)
    {
        Guard.OpenUnitInterval(probability);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor rate = LogRates.to(ScalarType.Float64).exp();
        return MixtureQuantile.Count(rate.amax([0]), tensor(probability, ScalarType.Float64, rate.device), counts => Cdf(counts, rate).mean([0]))
            .to(LogRates.dtype).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>The joint probability of an example's counts, independent given the sample.</remarks>
    public override Tensor LogDensity(Tensor target)
    {
        ArgumentNullException.ThrowIfNull(target);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        (Tensor counts, Tensor offset) = CountDensity.Split(zeros_like(Mean), target, _hasExposure, _missing);
        Tensor perOutput = ObservedEntries.LogDensity(counts.unsqueeze(0), _missing, y => CountDensity.Log(y, LogRates.Plus(offset), LogDispersion));
        return LogMeanExp(GaussianDensity.SumOverOutputs(perOutput, 2)).to(LogRates.dtype).MoveToOuterDisposeScope();
    }

    internal override CountPredictive WithoutSamples(long samples, Tensor mean, Tensor epistemic, Tensor[] averages)
        => new(samples, Settings, mean, epistemic, averages[0].sqrt());

    internal override Tensor[] SampleParts => LogDispersion is { } logDispersion ? [LogRates, logDispersion] : [LogRates];

    internal override long[] Settings => [_hasExposure ? 1 : 0, (long)_missing];

    internal override CountPredictive WithSamples(Tensor[] parts) => new(parts[0], parts.ElementAtOrDefault(1), _hasExposure, _missing);

    /// <summary>By inversion of Poisson's distribution function, at a rate with Gamma(1 / alpha) noise for the negative binomial.</summary>
    private protected override Tensor Draw(Tensor components, NoiseSource noise)
    {
        Tensor rate = LogRates.index_select(0, components).to(ScalarType.Float64).exp();
        if (LogDispersion is { } logAlpha)
        {
            Tensor alpha = logAlpha.to(ScalarType.Float64).exp();
            if (alpha.size(0) > 1)
                alpha = alpha.index_select(0, components);
            rate = noise.StandardGamma(alpha.reciprocal().expand_as(rate).contiguous()).mul(alpha).mul(rate);
        }

        Tensor uniform = noise.Uniform(rate.shape, ScalarType.Float64, rate.device);
        return MixtureQuantile.Count(rate, uniform, counts => PoissonCdf(counts, rate)).to(LogRates.dtype);
    }

    private Tensor Cdf(Tensor counts, Tensor rate)
    {
        if (LogDispersion is not { } logAlpha)
            return PoissonCdf(counts, rate);

        // Failures before the r-th success, r = 1 / alpha: I_p(r, y + 1) with p = 1 / (1 + alpha mu).
        Tensor alpha = logAlpha.to(ScalarType.Float64).exp(), product = alpha.mul(rate);
        return IncompleteBeta.Regularized(
            alpha.reciprocal(), counts.Plus(1), product.Plus(1).reciprocal(), product.reciprocal().Plus(1).reciprocal());
    }

    private static Tensor PoissonCdf(Tensor counts, Tensor rate) => special.gammaincc(counts.Plus(1), rate);
}
