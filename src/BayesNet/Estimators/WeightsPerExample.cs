using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Estimators;

/// <summary>
/// A w_n = T(theta, eps_n) for each example n: independent examples, exact across the positions of one, at the cost of a weight's noise
/// for every example: of its memory too, but for mean-field Gaussian weights of linear maps on the CPU.
/// </summary>
internal sealed class WeightsPerExample : Estimator
{
    public override string Name => "weights per example";

    public override string? WhyNot(AffineMap map, Posterior weight, Posterior? bias) => null;

    public override Tensor Forward(AffineMap map, Posterior weight, Posterior? bias, Tensor input, NoiseSource noise)
    {
        using var scope = NewDisposeScope();
        long batch = input.size(0);
        Tensor output;
        if (PerExampleDeviation.Fits(map, weight, input))
        {
            output = map.Apply(input, weight.Mean, null).Plus(PerExampleDeviation.Product((MeanFieldGaussian)weight, input, noise));
        }
        else if (Lookups.Fit(map, weight))
        {
            output = map.Apply(input, weight.Mean, null).Plus(Lookups.PerExample(map, weight, input, noise));
        }
        else if (weight is IInputMultiplicative multiplicative && map.WhyNotByOutput is null && map.WeightShape[map.Layout.InputDimension] == map.InputChannels)
        {
            Tensor factor = multiplicative.InputFactor(weight.SampleNoise(noise, [batch]));
            output = map.Apply(input.mul(map.OverPositions(factor, input.dim())), weight.Mean, null);
        }
        else
        {
            Tensor weights = GaussianSample.Weights(weight, noise, batch);
            Tensor? biases = bias is null ? null : GaussianSample.Weights(bias, noise, batch);
            return map.ApplyPerExample(input, weights, biases).MoveToOuterDisposeScope();
        }

        if (bias is not null)
            output = output.Plus(map.OverPositions(GaussianSample.Weights(bias, noise, batch), output.dim()));
        return output.MoveToOuterDisposeScope();
    }

    internal override HeldDraw Hold(AffineMap map, Posterior weight, Posterior? bias, long batch, NoiseSource noise)
        => new WeightOfEachExample(map, GaussianSample.Weights(weight, noise, batch), bias is null ? null : GaussianSample.Weights(bias, noise, batch));
}
