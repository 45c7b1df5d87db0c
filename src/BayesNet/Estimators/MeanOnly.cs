using BayesNet.Maps;
using BayesNet.Posteriors;
using static TorchSharp.torch;

namespace BayesNet.Estimators;

/// <summary>f(x, E[w], E[b]): the deterministic layer with the posterior's means.</summary>
internal sealed class MeanOnly : Estimator
{
    public override string Name => "mean only";

    public override string? WhyNot(AffineMap map, Posterior weight, Posterior? bias) => null;

    public override Tensor Forward(AffineMap map, Posterior weight, Posterior? bias, Tensor input, NoiseSource noise)
    {
        using var scope = NewDisposeScope();
        return map.Apply(input, weight.Mean, bias?.Mean).MoveToOuterDisposeScope();
    }

    internal override bool IsOneWeight => true;

    internal override HeldDraw Hold(AffineMap map, Posterior weight, Posterior? bias, long batch, NoiseSource noise)
        => new OneWeight(map, weight.Mean, bias?.Mean);
}
