using System.Numerics;
using BayesNet.Kernels;
using BayesNet.Prediction;
using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Likelihoods;

/// <summary>
/// p(y | f): how targets are distributed around a network's output. A likelihood is a module; what it learns (a noise level, say) is
/// trained beside the network's parameters, as a point estimate.
/// </summary>
public abstract class Likelihood : nn.Module
{
    /// <summary>Creates a likelihood.</summary>
    protected Likelihood(string name)
        : base(name)
        => NativeLibraries.Load();

    /// <summary>
    /// beta with |d ln p(y | f) / df| ~ |f|^beta for large |f|, by which a trainer tells whether heavy-tailed posteriors have gradients of finite
    /// variance; null, unless the likelihood says otherwise, where it is bounded or not known.
    /// </summary>
    public virtual double? GradientGrowth => null;

    /// <summary>ln p(y | f) of each example in nats, summed over the outputs of one example.</summary>
    /// <param name="output">What the network returned, (batch, ...).</param>
    /// <param name="target">As the likelihood takes it, (batch, ...).</param>
    /// <returns>Shape (batch); differentiable in <paramref name="output"/> and in the likelihood's parameters.</returns>
    /// <exception cref="ArgumentException">The target's shape or type does not fit the output.</exception>
    public abstract Tensor LogLikelihood(Tensor output, Tensor target);

    /// <summary>The predictive distribution, the equal-weight mixture over posterior samples of the output.</summary>
    /// <param name="outputs">(samples, batch, ...): the network's output under each sample. The predictive keeps what it needs.</param>
    public abstract Predictive Predict(Tensor outputs);

    /// <summary>Whether <see cref="Differentiate"/> does without autograd.</summary>
    internal virtual bool HasClosedForm => false;

    /// <summary>
    /// The log likelihood of a batch and its gradient in the output, for steps that do without autograd: by autograd from the output on,
    /// unless a derived class has it in closed form.
    /// </summary>
    /// <param name="output">The network's output, <paramref name="shape"/> in row-major order.</param>
    /// <param name="shape">(batch, outputs).</param>
    /// <param name="target">As <see cref="LogLikelihood"/> takes it.</param>
    /// <param name="factor">What the gradients are multiplied by.</param>
    /// <param name="gradient">Receives factor times the gradient of the sum over the batch.</param>
    /// <returns>Null where the target does not fit a closed form; <see cref="LogLikelihood"/> then has the answer, or the error.</returns>
    internal virtual LossGradient? Differentiate<T>(
        ReadOnlySpan<T> output, ReadOnlySpan<long> shape, Tensor target, double factor, Span<T> gradient)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        using var scope = NewDisposeScope();
        using var _ = enable_grad();
        Tensor leaf = empty(shape.ToArray(), dtype: TensorMemory.DtypeOf<T>());
        output.CopyTo(TensorMemory.Span<T>(leaf));
        leaf.requires_grad_();
        Tensor total = LogLikelihood(leaf, target).sum();
        using (Scalar scale = factor)
            total.mul(scale).backward();
        using Tensor result = leaf.grad!.contiguous();
        TensorMemory.Span<T>(result).CopyTo(gradient);
        return new LossGradient(total.to(ScalarType.Float64).item<double>());
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            this.DisposeOwnTensors();
        base.Dispose(disposing);
    }
}
