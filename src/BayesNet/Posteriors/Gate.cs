using BayesNet.Reparameterization.Discrete;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>A Bernoulli variable with probability sigmoid(logit), as posteriors use it: relaxed in training, a draw in evaluation.</summary>
internal static class Gate
{
    /// <summary>
    /// The gate of logit + eps, eps logistic: sigmoid(x / temperature) in training (Maddison, Mnih and Teh 2017), 1 or 0 as x is above zero
    /// or not otherwise; with <paramref name="straightThrough"/> the latter with the gradient of the former.
    /// </summary>
    internal static Tensor Open(Tensor x, bool training, double temperature, bool straightThrough = false)
    {
        using var scope = NewDisposeScope();
        Tensor gate = !training
            ? Hard(x)
            : straightThrough ? StraightThrough.Attach(Hard(x), Soft(x)) : Soft(x);
        return gate.MoveToOuterDisposeScope();

        Tensor Soft(Tensor value) => value.Times(1 / temperature).sigmoid();
        static Tensor Hard(Tensor value) => value.gt(Scalars.Zero).to(value.dtype);
    }

    /// <summary>-p ln p - (1 - p) ln(1 - p), entry by entry, without cancellation at either end.</summary>
    internal static Tensor Entropy(Tensor logit)
    {
        using var scope = NewDisposeScope();
        Tensor p = logit.sigmoid();
        return ScaleParameterization.Softplus.Scale(logit).sub(p.mul(logit)).MoveToOuterDisposeScope();
    }
}
