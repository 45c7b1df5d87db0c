using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.GradientVariance;

/// <summary>
/// An estimator with its noise reflected. A layer's output is affine in its weights, so y(-eps) = 2 f(x, E[w]) - y(eps): under the noise of an
/// earlier pass, which a seed repeats, it gives the other half of an antithetic pair, through any number of layers.
/// </summary>
internal sealed class ReflectedNoise(Estimator estimator) : Estimator
{
    public override string Name => $"{estimator.Name}, reflected";

    public override string? WhyNot(AffineMap map, Posterior weight, Posterior? bias) => estimator.WhyNot(map, weight, bias);

    public override Tensor Forward(AffineMap map, Posterior weight, Posterior? bias, Tensor input, NoiseSource noise)
    {
        using var scope = NewDisposeScope();
        Tensor mean = map.Apply(input, weight.Mean, bias?.Mean);
        return mean.Times(2).sub(estimator.Forward(map, weight, bias, input, noise)).MoveToOuterDisposeScope();
    }
}
