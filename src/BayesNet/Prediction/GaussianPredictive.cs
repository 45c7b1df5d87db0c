using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>
/// A mixture of Gaussians, one of equal weight for each posterior sample, with the sampled means and the noise level that goes with each:
/// the predictive of <see cref="GaussianLikelihood"/> and of <see cref="HeteroscedasticGaussianLikelihood"/>.
/// </summary>
/// <remarks>
/// Where a posterior gives the output's law in closed form, a Gaussian N(m, v), the component is the Gaussian N(m, v + noise^2): no samples of the
/// output are drawn, densities and quantiles are exact, and <see cref="Epistemic"/> has v. Draws of rows are then independent of each other.
/// </remarks>
public sealed class GaussianPredictive : ContinuousPredictive
{
    private readonly MissingTargets _missing;
    private readonly bool _hasVariances;

    /// <summary>Copies its arguments.</summary>
    /// <param name="means">(samples, batch, ...).</param>
    /// <param name="logNoise">The logarithm of the noise's standard deviation, with the dimensions of the means, each of their size or 1.</param>
    /// <param name="missing">What NaN in a target means.</param>
    /// <param name="variances">Variances that the posterior gives each mean, of the means' shape; null where a component is one sample.</param>
    internal GaussianPredictive(Tensor means, Tensor logNoise, MissingTargets missing = MissingTargets.Refused, Tensor? variances = null)
        : base(means)
    {
        _missing = missing;
        _hasVariances = variances is not null;
        Keep(nameof(Components), means);
        Keep(nameof(LogAleatoric), logNoise);
        if (variances is not null)
            Keep(nameof(Variances), variances);
    }

    /// <summary>Moments without components; copies its arguments.</summary>
    internal GaussianPredictive(long samples, long[] settings, Tensor mean, Tensor epistemic, Tensor aleatoric)
        : base(samples)
    {
        _missing = (MissingTargets)settings[0];
        Keep(nameof(Mean), mean);
        Keep(nameof(Epistemic), epistemic);
        Keep(nameof(Aleatoric), aleatoric);
    }

    /// <summary>The mean of each component, (samples, batch, outputs).</summary>
    /// <exception cref="InvalidOperationException">The samples were not kept.</exception>
    public Tensor Components => Kept(nameof(Components));

    /// <summary>
    /// The standard deviation around each component, in units of the target, shape of <see cref="Components"/>: the noise's, with the posterior's
    /// share where the output's law is in closed form.
    /// </summary>
    /// <exception cref="InvalidOperationException">The samples were not kept.</exception>
    public Tensor Noise => Once(nameof(Noise), () => LogNoise.exp().expand_as(Components).contiguous());

    /// <inheritdoc/>
    public override Tensor Mean => Once(nameof(Mean), () => Components.mean([0]));

    /// <inheritdoc/>
    /// <remarks>The standard deviation over the samples, divided by S, so that the parts add up to the mixture's own variance; 0 for S = 1.</remarks>
    public override Tensor Epistemic => Once(nameof(Epistemic), () =>
    {
        Tensor variance = Components.sub(Mean).Squared().mean([0]);
        return (_hasVariances ? variance.Plus(Variances.mean([0])) : variance).sqrt();
    });

    /// <inheritdoc/>
    public override Tensor Aleatoric
        => Once(nameof(Aleatoric), () => LogMeanExp(LogAleatoric.mul(Scalars.Two)).mul(Scalars.Half).exp().expand_as(Mean).contiguous());

    /// <summary>The logarithm of <see cref="Noise"/>, with the dimensions of <see cref="Components"/>, each of their size or 1.</summary>
    internal Tensor LogNoise => _hasVariances
        ? Once(nameof(LogNoise), () => LogAleatoric.mul(Scalars.Two).exp().Plus(Variances).log().mul(Scalars.Half))
        : LogAleatoric;

    private Tensor LogAleatoric => Kept(nameof(LogAleatoric));

    private Tensor Variances => Kept(nameof(Variances));

    /// <inheritdoc/>
    public override GaussianPredictive Rescale(double scale, double offset)
    {
        Guard.Positive(scale);
        Guard.Finite(offset);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return HasSamples
            ? new GaussianPredictive(
                Components.to(ScalarType.Float64).Times(scale).Plus(offset),
                LogAleatoric.to(ScalarType.Float64).Plus(Math.Log(scale)),
                _missing,
                _hasVariances ? Variances.to(ScalarType.Float64).Times(scale * scale) : null)
            : new GaussianPredictive(
                Samples,
                Settings,
                Mean.to(ScalarType.Float64).Times(scale).Plus(offset),
                Epistemic.to(ScalarType.Float64).Times(scale),
                Aleatoric.to(ScalarType.Float64).Times(scale));
    }

    internal override Tensor[] Averages => [Aleatoric.Squared()];

    internal override GaussianPredictive WithoutSamples(long samples, Tensor mean, Tensor epistemic, Tensor[] averages)
        => new(samples, Settings, mean, epistemic, averages[0].sqrt());

    /// <inheritdoc/>
    /// <remarks>The joint density of an example's outputs, independent given the sample.</remarks>
    public override Tensor LogDensity(Tensor target)
    {
        ArgumentNullException.ThrowIfNull(target);
        GaussianDensity.RequireSameShape(Mean, target, "predicted mean");
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor perOutput = ObservedEntries.LogDensity(target.unsqueeze(0), _missing, y => GaussianDensity.Log(y, Components, LogNoise));
        return LogMeanExp(GaussianDensity.SumOverOutputs(perOutput, 2)).MoveToOuterDisposeScope();
    }

    private protected override (Tensor Components, Tensor Scale, Func<Tensor, Tensor> Cdf) Mixture()
    {
        Tensor components = Components.to(ScalarType.Float64), noise = LogNoise.to(ScalarType.Float64).exp();
        return (components, noise, y => StandardNormal.Cdf(y.sub(components).div(noise)).mean([0]));
    }

    internal override Tensor[] SampleParts => _hasVariances ? [Components, LogAleatoric, Variances] : [Components, LogAleatoric];

    internal override long[] Settings => [(long)_missing];

    internal override GaussianPredictive WithSamples(Tensor[] parts) => new(parts[0], parts[1], _missing, parts.ElementAtOrDefault(2));

    private protected override Tensor Draw(Tensor components, NoiseSource noise)
    {
        Tensor means = Components.index_select(0, components);
        return addcmul(means, Noise.index_select(0, components), noise.Normal(means.shape, means.dtype, means.device), Scalars.One);
    }
}
