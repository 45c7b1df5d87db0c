using BayesNet.Estimators.Local;
using BayesNet.Kernels;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Runtime;
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
internal sealed class LocalReparameterization(VariancePrecision precision = VariancePrecision.Full) : Estimator
{
    public override string Name => precision == VariancePrecision.Full ? "local reparameterization" : $"local reparameterization, variances in {precision}";

    public override string? WhyNot(AffineMap map, Posterior weight, Posterior? bias)
        => (map.WhyNotLinear ?? WhyNotWeight(map, weight)) is { } reason
            ? $"Local reparameterization draws outputs directly, and {reason}; use Estimator.SharedWeights or Estimator.WeightsPerExample."
            : bias is not (null or (ILocallyReparameterizable and Posterior { HasIndependentSymmetricEntries: true }))
            ? $"Local reparameterization adds the bias's variance to that of the outputs, and a bias with a {bias.GetName()} posterior does not admit "
                + "it; give the bias independent Gaussian entries, or use Estimator.SharedWeights or Estimator.WeightsPerExample."
            : precision != VariancePrecision.Full && !LocalNode.Fits(map, weight, bias)
            ? $"Local reparameterization with variances in {precision} needs mean-field Gaussian posteriors with ScaleParameterization.Log, and has "
                + $"{weight.GetName()}; use Estimator.LocalReparameterization."
            : null;

    public override Tensor Forward(AffineMap map, Posterior weight, Posterior? bias, Tensor input, NoiseSource noise)
    {
        if (GraphNode.IsAvailable && LocalNode.Fits(map, weight, bias) && (precision != VariancePrecision.Full || ((ILocalProducts)map).IsFused))
            return LocalNode.Forward(map, (MeanFieldGaussian)weight, (MeanFieldGaussian?)bias, input, noise, precision);
        using var scope = NewDisposeScope();
        Tensor mean = map.Apply(input, weight.Mean, bias?.Mean);
        if (bias is null && map is EmbeddingMap && Lookups.Fit(map, weight))
            return mean.Plus(Lookups.PerLookup(weight, input, noise)).MoveToOuterDisposeScope();
        Tensor deviation = ((ILocallyReparameterizable)weight).SampleOutputDeviation(map, input, bias?.Variance, noise);
        return mean.Plus(deviation).MoveToOuterDisposeScope();
    }

    private static string? WhyNotWeight(AffineMap map, Posterior weight)
        => weight is ILocallyReparameterizable gaussian
            ? gaussian.WhyNotLocally(map)
            : $"those of a {weight.GetName()} posterior have no law that can be drawn from: a weighted sum of its entries is not of its family";
}
