using BayesNet.Maps;
using static TorchSharp.torch;

namespace BayesNet.Estimators;

/// <summary>
/// A draw of a weight and a bias that stays the same from one application to the next: what a recurrent layer multiplies its state by at every
/// step of a sequence. <see cref="Estimator.Hold"/> makes it, in the dispose scope that is open then.
/// </summary>
internal abstract class HeldDraw
{
    /// <summary>f(x, w, b) of the batch that the draw was made for; differentiable.</summary>
    internal abstract Tensor Apply(Tensor input);
}

/// <summary>A module whose weights are of this kind, so that under local reparameterization too one draw may serve the whole batch.</summary>
internal interface IHoldsDraws
{
}

/// <summary>One weight for the batch.</summary>
internal sealed class OneWeight(AffineMap map, Tensor weight, Tensor? bias) : HeldDraw
{
    internal Tensor Weight => weight;

    internal Tensor? Bias => bias;

    internal override Tensor Apply(Tensor input) => map.Apply(input, weight, bias);
}

/// <summary>A weight for each example.</summary>
internal sealed class WeightOfEachExample(AffineMap map, Tensor weights, Tensor? biases) : HeldDraw
{
    internal override Tensor Apply(Tensor input)
    {
        using var scope = NewDisposeScope();
        return map.ApplyPerExample(input, weights, biases).MoveToOuterDisposeScope();
    }
}

/// <summary>One deviation for the batch with signs for each example: <see cref="Flipout"/>.</summary>
internal sealed class SignedDeviation(
    AffineMap map, Tensor mean, Tensor inputSigns, Tensor outputSigns, Tensor deviation, Tensor? biases) : HeldDraw
{
    internal override Tensor Apply(Tensor input)
    {
        using var scope = NewDisposeScope();
        Tensor output = map.Apply(input, mean, null);
        Tensor perturbation = map.Apply(input.mul(map.OverPositions(inputSigns, input.dim())), deviation, null);
        return Flipout.Sum(map, output, perturbation, outputSigns, biases).MoveToOuterDisposeScope();
    }
}
