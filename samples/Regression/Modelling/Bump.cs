using static TorchSharp.torch;

namespace BayesNet.Samples.Regression.Modelling;

/// <summary>exp(-z^2), a unit that answers to a limited range of inputs and is silent elsewhere.</summary>
internal sealed class Bump() : nn.Module<Tensor, Tensor>(nameof(Bump))
{
    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        return input.square().neg().exp().MoveToOuterDisposeScope();
    }
}
