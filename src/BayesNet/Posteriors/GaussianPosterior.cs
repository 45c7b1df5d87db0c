using BayesNet.Estimators;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>A posterior that is Gaussian, with whatever covariance; so its marginals are Gaussian, and affine maps of it.</summary>
public abstract class GaussianPosterior : Posterior
{
    private static readonly TorchSharp.Scalar LeastMean = 1e-30;

    [ComponentName(Name = "mean")]
    private readonly Parameter? _mean;

    /// <summary>Creates a posterior with the given initial means; derived classes register the components.</summary>
    /// <param name="name">The posterior's name.</param>
    /// <param name="initialMean">The means, shape W; copied. Its type and device become the posterior's.</param>
    /// <exception cref="NotSupportedException"><paramref name="initialMean"/> is not float32 or float64.</exception>
    protected GaussianPosterior(string name, Tensor initialMean)
        : base(name, initialMean.shape)
    {
        _mean = OwnedTensors.Location(initialMean);

        // Before what derived classes add: the order in which state dicts and optimizers have the parameters.
        register_parameter("mean", _mean);
    }

    /// <summary>A posterior whose mean is a function of another's parameters.</summary>
    private protected GaussianPosterior(string name, ReadOnlySpan<long> shape)
        : base(name, shape)
    {
    }

    /// <summary>mu, shape W: the parameter itself, not a copy, unless weights are pruned.</summary>
    public override Tensor Mean => _mean!;

    /// <summary>The parameter that <see cref="Mean"/> is, or is made of.</summary>
    internal Parameter MeanParameter => _mean!;

    internal sealed override ScalarType Type => _mean?.dtype ?? base.Type;

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

    /// <inheritdoc/>
    /// <remarks>Independent normals, (L, W), unless the posterior documents another shape.</remarks>
    public override Tensor SampleNoise(NoiseSource noise, ReadOnlySpan<long> leading)
        => noise.Normal([.. leading, .. Shape], Type, (_mean ?? Mean).device);

    /// <inheritdoc/>
    public override Tensor Transform(Tensor eps)
    {
        using Tensor deviation = Deviation(eps);
        return deviation.Plus(Mean);
    }

    /// <summary>The entropies of the marginals, summed, in nats; the joint entropy is smaller by the total correlation.</summary>
    internal virtual Tensor MarginalEntropy()
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
