using static TorchSharp.torch;

namespace BayesNet.Samples.Regression.Modelling;

/// <summary>exp(-z^2): a hidden unit that answers to a limited range of inputs and is silent elsewhere.</summary>
/// <remarks>
/// With independent posteriors of the weights the choice matters. One hidden layer of ReLU units can't be less sure between two stretches
/// of data than on both of them (Foong et al. 2020, theorem 1), and a saturated tanh unit adds the same to every input, so its output
/// weight is known wherever there are data. A unit that is silent over the data leaves its output weight to the prior, and where it answers
/// the uncertainty shows.
/// </remarks>
internal sealed class Bump() : nn.Module<Tensor, Tensor>(nameof(Bump))
{
    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        return input.square().neg().exp().MoveToOuterDisposeScope();
    }
}
