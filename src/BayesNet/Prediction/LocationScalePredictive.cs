using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>
/// A mixture of one law, Gaussian, Laplace or Student-t, at the location and scale of each posterior sample, of equal weight: the predictive of
/// <see cref="LaplaceLikelihood"/> and <see cref="StudentTLikelihood"/>, and, as <see cref="GaussianPredictive"/>, of the Gaussian ones.
/// </summary>
/// <remarks>
/// Student-t noise with nu &lt;= 2 has no finite variance: <see cref="Aleatoric"/> and <see cref="Predictive.StdDev"/> are then infinite, and for
/// nu &lt;= 1 there is no mean either, so that all four moments are NaN. Quantiles, intervals, densities and draws exist always; the median is
/// <c>Quantile(0.5)</c>.
/// </remarks>
public class LocationScalePredictive : Predictive
{
    private readonly PredictiveLaw _law;
    private readonly MissingTargets _missing;

    /// <summary>Copies its arguments.</summary>
    /// <param name="locations">(samples, batch, ...).</param>
    /// <param name="logScale">The logarithm of the noise's scale, with the dimensions of the locations, each of their size or 1.</param>
    /// <param name="law">The noise.</param>
    /// <param name="missing">What NaN in a target means.</param>
    internal LocationScalePredictive(Tensor locations, Tensor logScale, PredictiveLaw law, MissingTargets missing)
        : base(locations)
    {
        (_law, _missing) = (law, missing);
        Keep(nameof(Components), locations);
        Keep(nameof(LogScale), logScale);
    }

    /// <summary>Moments without components; copies its arguments.</summary>
    private protected LocationScalePredictive(long samples, PredictiveLaw law, MissingTargets missing, Tensor mean, Tensor epistemic, Tensor aleatoric)
        : base(samples)
    {
        (_law, _missing) = (law, missing);
        Keep(nameof(Mean), mean);
        Keep(nameof(Epistemic), epistemic);
        Keep(nameof(Aleatoric), aleatoric);
    }

    /// <summary>The location, which is the median, of each component, (samples, batch, outputs).</summary>
    /// <exception cref="InvalidOperationException">The samples were not kept.</exception>
    public Tensor Components => Kept(nameof(Components));

    /// <summary>The noise's scale around each component, in units of the target; shape of <see cref="Components"/>.</summary>
    /// <exception cref="InvalidOperationException">The samples were not kept.</exception>
    public Tensor Scale => Once(nameof(Scale), () => LogScale.exp().expand_as(Components).contiguous());

    /// <summary>The mean of the mixture, (batch, outputs); NaN where the noise has none.</summary>
    public override Tensor Mean => Once(nameof(Mean), () => Components.mean([0]).Plus(_law.Standard.Mean));

    /// <summary>The standard deviation of the components' means over the samples, (batch, outputs); NaN where the noise has no mean.</summary>
    public override Tensor Epistemic => Once(nameof(Epistemic), () => Components.sub(Mean).Squared().mean([0]).sqrt());

    /// <summary>The standard deviation of the noise, (batch, outputs): infinite or NaN where its variance is.</summary>
    public override Tensor Aleatoric => Once(
        nameof(Aleatoric),
        () => LogMeanExp(LogScale.mul(Scalars.Two)).mul(Scalars.Half).exp().expand_as(Mean).Times(Math.Sqrt(_law.Standard.Variance)));

    /// <summary>The logarithm of <see cref="Scale"/>, with the dimensions of <see cref="Components"/>, each of their size or 1.</summary>
    internal Tensor LogScale => Kept(nameof(LogScale));

    internal override Tensor[] Averages => [Aleatoric.Squared()];

    /// <summary>
    /// The same prediction in other units: the distribution of <paramref name="offset"/> + <paramref name="scale"/> * y. A network trained on
    /// standardised targets, (target - mean) / standard deviation, is read in the target's own units by Rescale(standard deviation, mean).
    /// </summary>
    /// <param name="scale">Above zero; densities become those per new unit.</param>
    /// <param name="offset">In new units.</param>
    /// <returns>
    /// A predictive of its own, the caller's to dispose; this one stays as it is. It is held in float64, so that an offset that is large
    /// against the scale costs no digits.
    /// </returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="scale"/> is not a finite number above zero, or <paramref name="offset"/> not a finite one.</exception>
    public virtual LocationScalePredictive Rescale(double scale, double offset)
    {
        Guard.Positive(scale);
        Guard.Finite(offset);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return HasSamples
            ? WithSamples(Components.to(ScalarType.Float64).Times(scale).Plus(offset), LogScale.to(ScalarType.Float64).Plus(Math.Log(scale)))
            : WithMoments(
                Samples,
                Mean.to(ScalarType.Float64).Times(scale).Plus(offset),
                Epistemic.to(ScalarType.Float64).Times(scale),
                Aleatoric.to(ScalarType.Float64).Times(scale));
    }

    /// <summary>F(y) = P(Y &lt;= y), the mixture's distribution function, output by output.</summary>
    /// <param name="value">y, in units of the target; broadcast against <see cref="Mean"/>.</param>
    /// <returns>float64; the caller's to dispose.</returns>
    /// <exception cref="InvalidOperationException">The samples were not kept.</exception>
    public Tensor Cdf(Tensor value)
    {
        ArgumentNullException.ThrowIfNull(value);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor components = Components.to(ScalarType.Float64), scale = LogScale.to(ScalarType.Float64).exp();
        return Cdf(value.to(ScalarType.Float64), components, scale).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>The quantile of the mixture, found by bisection to rounding.</remarks>
    public override Tensor Quantile(double probability)
    {
        Guard.OpenUnitInterval(probability);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor components = Components.to(ScalarType.Float64), scale = LogScale.to(ScalarType.Float64).exp();
        return MixtureQuantile.Continuous(components, scale, probability, y => Cdf(y, components, scale))
            .to(Components.dtype).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>The joint density of an example's outputs, independent given the sample.</remarks>
    public override Tensor LogDensity(Tensor target)
    {
        ArgumentNullException.ThrowIfNull(target);
        GaussianDensity.RequireSameShape(Mean, target, "predicted location");
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor perOutput = ObservedEntries.LogDensity(
            target.unsqueeze(0), _missing, y => _law.Standard.LogDensity(y.sub(Components).mul(LogScale.neg().exp())).sub(LogScale));
        return LogMeanExp(GaussianDensity.SumOverOutputs(perOutput, 2)).MoveToOuterDisposeScope();
    }

    internal override LocationScalePredictive WithoutSamples(long samples, Tensor mean, Tensor epistemic, Tensor[] averages)
        => WithMoments(samples, mean, epistemic, averages[0].sqrt());

    /// <summary>One of the same kind with these components.</summary>
    private protected virtual LocationScalePredictive WithSamples(Tensor locations, Tensor logScale) => new(locations, logScale, _law, _missing);

    /// <summary>One of the same kind with these moments alone.</summary>
    private protected virtual LocationScalePredictive WithMoments(long samples, Tensor mean, Tensor epistemic, Tensor aleatoric)
        => new(samples, _law, _missing, mean, epistemic, aleatoric);

    private protected override Tensor Draw(Tensor components, NoiseSource noise)
    {
        Tensor locations = Components.index_select(0, components);
        Tensor eps = _law.Standard.Noise.Draw(noise, locations.shape, locations.dtype, locations.device);
        return addcmul(locations, Scale.index_select(0, components), eps, Scalars.One);
    }

    private Tensor Cdf(Tensor value, Tensor components, Tensor scale) => _law.Cdf(value.sub(components).div(scale)).mean([0]);
}
