using BayesNet.Prediction;
using BayesNet.Runtime;
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

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            this.DisposeOwnTensors();
        base.Dispose(disposing);
    }
}
