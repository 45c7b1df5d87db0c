using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Estimators;

/// <summary>
/// One deviation dW for the batch, multiplied for each example n by random signs: y_n = f(x_n, mu) + f(x_n * s_n, dW) * r_n, s_n and r_n
/// of +1 and -1 per input and output channel (Wen et al. 2018, equation 4). Examples are uncorrelated given the input; the weights of one
/// example have their exact distribution, positions included.
/// </summary>
/// <remarks>The bias has a draw of its own for each example, which costs (batch, out) normals and is exact.</remarks>
internal sealed class Flipout : Estimator
{
    public override string Name => "flipout";

    public override string? WhyNot(AffineMap map, Posterior weight, Posterior? bias)
        => map.WhyNotLinear is { } reason ? $"Flipout adds the image of a deviation to that of the mean, and {reason}; use "
                + "Estimator.SharedWeights or Estimator.WeightsPerExample."
            : weight.HasIndependentSymmetricEntries ? null
            : $"Flipout multiplies deviations by random signs, which changes the distribution of a {weight.GetName()} posterior: its entries "
                + "are not independent and symmetric about their means. Use Estimator.SharedWeights or Estimator.WeightsPerExample.";

    public override Tensor Forward(AffineMap map, Posterior weight, Posterior? bias, Tensor input, NoiseSource noise)
    {
        using var scope = NewDisposeScope();
        long batch = input.size(0);
        Tensor mean = map.Apply(input, weight.Mean, null);
        Tensor flipped = map.Flip(input, noise);
        Tensor outputSigns = noise.Signs([batch, map.OutputChannels], mean.dtype, mean.device);
        Tensor perturbation = Lookups.Fit(map, weight)
            ? Lookups.Shared(map, weight, input, noise)
            : map.Apply(flipped, GaussianSample.Deviation(weight, noise), null);
        return Sum(map, mean, perturbation, outputSigns, bias is null ? null : GaussianSample.Weights(bias, noise, batch)).MoveToOuterDisposeScope();
    }

    /// <summary>y = f(x, mu) + f(x * s, dW) * r + b; called inside a dispose scope.</summary>
    internal static Tensor Sum(AffineMap map, Tensor mean, Tensor perturbation, Tensor outputSigns, Tensor? biases)
    {
        Tensor output = addcmul(mean, perturbation, map.OverPositions(outputSigns, mean.dim()), Scalars.One);
        return biases is null ? output : output.Plus(map.OverPositions(biases, output.dim()));
    }

    internal override HeldDraw Hold(AffineMap map, Posterior weight, Posterior? bias, long batch, NoiseSource noise)
    {
        Tensor mean = weight.Mean;
        Tensor inputSigns = noise.Signs([batch, map.InputChannels], mean.dtype, mean.device);
        Tensor outputSigns = noise.Signs([batch, map.OutputChannels], mean.dtype, mean.device);
        Tensor deviation = GaussianSample.Deviation(weight, noise);
        return new SignedDeviation(map, mean, inputSigns, outputSigns, deviation, bias is null ? null : GaussianSample.Weights(bias, noise, batch));
    }
}
