using BayesNet.Divergences;
using BayesNet.Estimators;
using BayesNet.Priors;
using BayesNet.Reparameterization;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>
/// The weights of a posterior that are not pruned, as a posterior of their own, a vector: what densities, entropies and divergences of a pruned
/// posterior are of. Differentiable in the parameters of the whole one.
/// </summary>
internal sealed class KeptEntries : GaussianPosterior
{
    private readonly IndependentGaussian _whole;
    private readonly Tensor _indices;

    /// <summary>The kept entries of a posterior that has a mask.</summary>
    internal KeptEntries(IndependentGaussian whole)
        : this(whole, Indices(whole.Mask!))
    {
    }

    private KeptEntries(IndependentGaussian whole, Tensor indices)
        : base(whole.GetName(), [indices.numel()])
        => (_whole, _indices) = (whole, indices);

    /// <inheritdoc/>
    public override Tensor Mean => Select(_whole.Mean);

    /// <inheritdoc/>
    public override Tensor LogStdDev => Select(_whole.LogStdDev);

    /// <inheritdoc/>
    public override Tensor Variance => Select(_whole.Variance);

    /// <inheritdoc/>
    public override bool HasIndependentSymmetricEntries => true;

    /// <summary>KL(q || p) of a pruned posterior: that of the weights it keeps.</summary>
    internal static Tensor Divergence(IndependentGaussian posterior, Prior prior, NoiseSource? noise, int samples)
    {
        using var scope = NewDisposeScope();
        using var kept = new KeptEntries(posterior);
        Prior restricted = prior.Restrict(kept, posterior.Shape);
        try
        {
            return KlDivergences.Compute(kept, restricted, noise, samples).MoveToOuterDisposeScope();
        }
        finally
        {
            if (!ReferenceEquals(restricted, prior))
                restricted.Dispose();
        }
    }

    /// <summary>(L, W), W the shape of the whole weight, as (L, kept).</summary>
    internal Tensor Select(Tensor value)
    {
        using var scope = NewDisposeScope();
        Tensor flat = value.flatten(value.dim() - _whole.Shape.Length);
        return flat.index_select(-1, _indices).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Deviation(Tensor eps)
    {
        using var scope = NewDisposeScope();
        return LogStdDev.exp().mul(eps).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor LogDensity(Tensor weight)
    {
        using var scope = NewDisposeScope();
        Tensor logStdDev = LogStdDev;
        Tensor perEntry = LocationScaleLaw.Normal.LogDensity(weight.sub(Mean).mul(logStdDev.neg().exp())).sub(logStdDev);
        return SumOverEntries(perEntry).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Entropy() => MarginalEntropy();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _indices.Dispose();
        base.Dispose(disposing);
    }

    /// <summary>The places of the ones of a mask, in a vector of its entries.</summary>
    private static Tensor Indices(Tensor mask)
    {
        using var scope = NewDisposeScope();
        return mask.flatten().nonzero().squeeze(1).MoveToOuterDisposeScope();
    }
}
