using BayesNet.Reparameterization;
using static TorchSharp.torch;

namespace BayesNet.Estimators.Gradients;

/// <summary>
/// The pathwise, or reparameterization, gradient: the derivative of f(T(theta, eps)) itself (Kingma and Welling 2014; Rezende, Mohamed and
/// Wierstra 2014). It needs the derivative of f.
/// </summary>
/// <remarks>
/// With a tail index alpha and |f'(z)| of order |z|^beta, the gradient in a location has finite variance where beta &lt; alpha/2, that in a
/// scale where beta + 1 &lt; alpha/2.
/// </remarks>
public sealed class PathwiseEstimator : GradientEstimator
{
    /// <summary>Creates the estimator.</summary>
    /// <param name="antithetic">
    /// Whether draws come in pairs of eps and -eps. At equal cost a pair has less variance than two independent draws where the gradients at
    /// the two are negatively correlated, and more where they are positively correlated: for f = z^3 and a normal, more once s^2 > 2 mu^2.
    /// </param>
    public PathwiseEstimator(bool antithetic = false)
        : base(antithetic)
    {
    }

    /// <inheritdoc/>
    public override string Name => IsAntithetic ? "antithetic pathwise" : "pathwise";

    private protected override Tensor Surrogate(ReparameterizedDistribution q, Func<Tensor, Tensor> f, Tensor z) => Evaluate(q, f, z);
}
