using BayesNet.Likelihoods;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>
/// A mixture of Gaussians, one of equal weight for each posterior sample, with the sampled means and the noise level that goes with each:
/// the predictive of <see cref="GaussianLikelihood"/> and of <see cref="HeteroscedasticGaussianLikelihood"/>.
/// </summary>
/// <remarks>
/// Quantiles and intervals are those of the mixture, found by bisection to rounding; not those of a Gaussian with the mixture's moments.
/// </remarks>
public sealed class GaussianPredictive : LocationScalePredictive
{
    private readonly MissingTargets _missing;

    /// <summary>Copies its arguments.</summary>
    /// <param name="means">(samples, batch, ...).</param>
    /// <param name="logNoise">The logarithm of the noise's standard deviation, with the dimensions of the means, each of their size or 1.</param>
    /// <param name="missing">What NaN in a target means.</param>
    internal GaussianPredictive(Tensor means, Tensor logNoise, MissingTargets missing = MissingTargets.Refused)
        : base(means, logNoise, PredictiveLaw.Normal, missing) => _missing = missing;

    private GaussianPredictive(long samples, MissingTargets missing, Tensor mean, Tensor epistemic, Tensor aleatoric)
        : base(samples, PredictiveLaw.Normal, missing, mean, epistemic, aleatoric) => _missing = missing;

    /// <summary>The noise's standard deviation around each component, in units of the target; shape of <see cref="LocationScalePredictive.Components"/>.</summary>
    /// <exception cref="InvalidOperationException">The samples were not kept.</exception>
    public Tensor Noise => Scale;

    /// <inheritdoc/>
    public override GaussianPredictive Rescale(double scale, double offset) => (GaussianPredictive)base.Rescale(scale, offset);

    private protected override GaussianPredictive WithSamples(Tensor locations, Tensor logScale) => new(locations, logScale, _missing);

    private protected override GaussianPredictive WithMoments(long samples, Tensor mean, Tensor epistemic, Tensor aleatoric)
        => new(samples, _missing, mean, epistemic, aleatoric);
}
