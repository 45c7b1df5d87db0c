using BayesNet.Prediction;
using BayesNet.Reparameterization;
using static TorchSharp.torch;

namespace BayesNet.Likelihoods;

/// <summary>
/// y = f + scale * eps, eps ~ Laplace(0, 1): regression whose location is the median of the noise, so that single far targets pull on it no
/// more than near ones. ln p = -|y - f| / scale - ln(2 scale); the noise's variance is 2 scale^2.
/// </summary>
/// <inheritdoc/>
public sealed class LaplaceLikelihood : LocationScaleLikelihood
{
    /// <summary>Creates the likelihood.</summary>
    /// <param name="learnScale">Whether the scale is trained with the network.</param>
    /// <param name="scale">The mean of |y - f|, in units of the target: where it starts, or stays.</param>
    /// <param name="missing">What NaN in a target means.</param>
    /// <param name="dtype">float32 or float64; null for the default type. The trainer converts it to the model's.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="scale"/> is not a finite number above zero.</exception>
    public LaplaceLikelihood(bool learnScale = true, double scale = 1, MissingTargets missing = MissingTargets.Refused, ScalarType? dtype = null)
        : base(nameof(LaplaceLikelihood), learnScale, scale, missing, dtype)
        => RegisterComponents();

    private protected override PredictiveLaw Law => PredictiveLaw.Laplace;

    private protected override Tensor StandardLogDensity(Tensor standard) => LocationScaleLaw.Laplace.LogDensity(standard);
}
