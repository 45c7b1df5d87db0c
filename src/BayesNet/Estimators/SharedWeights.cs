using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Estimators;

/// <summary>
/// One w = T(theta, eps) for the whole batch. The cheapest matrix products, an exact joint distribution over examples and positions (a
/// forward pass is one function), and a gradient variance that does not fall with the batch size.
/// </summary>
internal sealed class SharedWeights : Estimator
{
    public override string Name => "shared weights";

    public override string? WhyNot(AffineMap map, Posterior weight, Posterior? bias) => null;

    public override Tensor Forward(AffineMap map, Posterior weight, Posterior? bias, Tensor input, NoiseSource noise)
    {
        using var scope = NewDisposeScope();
        if (Lookups.Fit(map, weight))
        {
            Tensor means = map.Apply(input, weight.Mean, bias is null ? null : GaussianSample.Weights(bias, noise));
            return means.Plus(Lookups.Shared(map, weight, input, noise)).MoveToOuterDisposeScope();
        }

        return map.Apply(input, GaussianSample.Weights(weight, noise), bias is null ? null : GaussianSample.Weights(bias, noise)).MoveToOuterDisposeScope();
    }

    internal override bool IsOneWeight => true;

    /// <summary>w and b.</summary>
    internal static OneWeight Draw(AffineMap map, Posterior weight, Posterior? bias, NoiseSource noise)
        => new(map, GaussianSample.Weights(weight, noise), bias is null ? null : GaussianSample.Weights(bias, noise));
}
