using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Estimators;

/// <summary>
/// Noise at the outputs: y = f(x, mu, b_mu) + sqrt(f(x^2, sigma^2, b_sigma^2)) * zeta, zeta ~ N(0, 1) for every output (Kingma, Salimans
/// and Welling 2015, equation 6). The marginal distribution of every output is exact.
/// </summary>
/// <remarks>
/// Where a map reads one weight at several positions of an example (convolutions, linear layers over sequences), the noise of the
/// positions is independent, and the covariance that the shared weight would give them, sum_k x_pk x_qk sigma_k^2, is dropped (section 4
/// of the paper does the same). Shared weights, weights per example and flipout keep it.
/// </remarks>
internal sealed class LocalReparameterization : Estimator
{
    // The least normal numbers. A clamp, unlike an added constant, changes no variance above it; below it the gradient is zero.
    private static readonly Scalar FloorFloat32 = 1.1754944e-38;
    private static readonly Scalar FloorFloat64 = 2.2250738585072014e-308;

    public override string Name => "local reparameterization";

    public override string? WhyNot(AffineMap map, Posterior weight, Posterior? bias)
        => weight is not ILocallyReparameterizable
            ? $"Local reparameterization needs outputs with a Gaussian law, and a {weight.GetName()} posterior does not give them; "
                + "use Estimator.SharedWeights or Estimator.WeightsPerExample."
            : bias is not (null or ILocallyReparameterizable)
            ? $"Local reparameterization needs outputs with a Gaussian law, and a bias with a {bias.GetName()} posterior does not give them; "
                + "give the bias a Gaussian posterior, or use Estimator.SharedWeights or Estimator.WeightsPerExample."
            : null;

    public override Tensor Forward(AffineMap map, Posterior weight, Posterior? bias, Tensor input, NoiseSource noise)
    {
        using var scope = NewDisposeScope();
        Tensor mean = map.Apply(input, weight.Mean, bias?.Mean);
        Tensor variance = ((ILocallyReparameterizable)weight).OutputVariance(map, input, bias?.Variance);
        Tensor stdDev = variance.clamp_min(variance.dtype == ScalarType.Float64 ? FloorFloat64 : FloorFloat32).sqrt();
        Tensor zeta = noise.Normal(mean.shape, mean.dtype, mean.device);
        return addcmul(mean, stdDev, zeta, Scalars.One).MoveToOuterDisposeScope();
    }
}
