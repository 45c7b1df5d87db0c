using BayesNet.Reparameterization;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>A posterior that is Gaussian, with whatever covariance; so its marginals are Gaussian, and affine maps of it.</summary>
public abstract class GaussianPosterior : Posterior
{
    private static readonly TorchSharp.Scalar LeastMean = 1e-30;

    /// <summary>Creates a posterior over a weight of the given shape.</summary>
    protected GaussianPosterior(string name, ReadOnlySpan<long> shape)
        : base(name, shape)
    {
    }

    /// <summary>ln of the marginal standard deviation of each entry, shape W; differentiable.</summary>
    public virtual Tensor LogStdDev
    {
        get
        {
            using Tensor variance = Variance;
            using Tensor log = variance.log();
            return log.mul(Scalars.Half);
        }
    }

    /// <summary>ln of each entry's variance over its squared mean, shape W; differentiable, with no gradient in a mean of zero.</summary>
    /// <remarks>alpha of variational dropout (Kingma, Salimans and Welling 2015; Molchanov et al. 2017); its inverse is the squared signal-to-noise ratio.</remarks>
    public virtual Tensor LogAlpha
    {
        get
        {
            using var scope = NewDisposeScope();
            return LogStdDev.sub(Mean.abs().clamp_min(LeastMean).log()).mul(Scalars.Two).MoveToOuterDisposeScope();
        }
    }

    /// <summary>The entropies of the marginals, summed, in nats; the joint entropy is smaller by the total correlation.</summary>
    internal Tensor MarginalEntropy()
    {
        using var scope = NewDisposeScope();
        return LogStdDev.sum().Plus(Count * LocationScaleLaw.Normal.Entropy).MoveToOuterDisposeScope();
    }

    /// <summary>The number of entries P of the weight.</summary>
    private protected double Count
    {
        get
        {
            double count = 1;
            foreach (long size in Shape)
                count *= size;
            return count;
        }
    }
}
