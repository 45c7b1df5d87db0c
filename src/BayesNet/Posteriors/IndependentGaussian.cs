using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>A Gaussian posterior with independent entries: w = mu + s * eps, entry by entry, |s| the standard deviation.</summary>
/// <remarks>
/// Weights can be pruned: <c>w = mask * (mu + s * eps)</c> with a mask of zeros and ones, the buffer <c>mask</c> of the weight's shape. A pruned
/// weight is zero and has no variance, no gradient and no divergence; its parameters stay as they were.
/// </remarks>
public abstract class IndependentGaussian : GaussianPosterior, ILocallyReparameterizable, IRowwise
{
    // Null until a weight is pruned, and then registered.
    [ComponentName(Name = MaskName)]
    private Tensor? _mask;

    internal const string MaskName = "mask";

    private protected IndependentGaussian(string name, Tensor initialMean)
        : base(name, initialMean)
    {
    }

    /// <inheritdoc/>
    public sealed override Tensor Mean => Masked(base.Mean);

    /// <summary>1 for a weight that is kept and 0 for one that is pruned, shape W; null where none is. The buffer itself.</summary>
    public Tensor? Mask => _mask;

    /// <inheritdoc/>
    public sealed override bool HasIndependentSymmetricEntries => true;

    /// <summary>Makes weights zero for good; a weight that was pruned before stays so.</summary>
    /// <param name="pruned">Which, boolean, shape W.</param>
    internal void Prune(Tensor pruned)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor kept = pruned.logical_not().to(Type);
        SetMask(_mask is null ? kept : kept.mul(_mask));
    }

    /// <summary>Makes the mask another one.</summary>
    /// <param name="mask">Zeros and ones, shape W; copied.</param>
    internal void SetMask(Tensor mask)
    {
        using var _ = no_grad();
        if (_mask is not null)
        {
            _mask.copy_(mask);
            return;
        }

        _mask = mask.to(Type, base.Mean.device, copy: true).DetachFromDisposeScope();
        register_buffer(MaskName, _mask);
    }

    /// <summary>A value of shape W with zeros in the place of pruned weights, itself where there are none; differentiable.</summary>
    private protected Tensor Masked(Tensor value) => _mask is null ? value : value.mul(_mask);

    /// <inheritdoc/>
    internal sealed override Tensor MarginalEntropy()
    {
        if (_mask is null)
            return base.MarginalEntropy();
        using var kept = new KeptEntries(this);
        return kept.MarginalEntropy();
    }

    /// <summary>s, shape W: the standard deviation, with any sign, which eps does not mind; differentiable.</summary>
    private protected abstract Tensor Factor { get; }

    /// <inheritdoc/>
    public sealed override Tensor Transform(Tensor eps)
    {
        using var scope = NewDisposeScope();
        return addcmul(Mean, Factor, eps, Scalars.One).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public sealed override Tensor Deviation(Tensor eps)
    {
        using Tensor factor = Factor;
        return factor.mul(eps);
    }

    /// <inheritdoc/>
    public sealed override Tensor LogDensity(Tensor weight)
    {
        if (_mask is not null)
            return LogDensityOfKept(weight);
        using var scope = NewDisposeScope();
        Tensor perEntry = LocationScaleLaw.Normal.LogDensity(weight.sub(Mean).div(Factor)).sub(LogStdDev);
        return SumOverEntries(perEntry).MoveToOuterDisposeScope();
    }

    private Tensor LogDensityOfKept(Tensor weight)
    {
        using var scope = NewDisposeScope();
        using var kept = new KeptEntries(this);
        return kept.LogDensity(kept.Select(weight)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public sealed override Tensor Entropy() => MarginalEntropy();

    /// <inheritdoc/>
    public string? WhyNotLocally(AffineMap map) => null;

    /// <inheritdoc/>
    /// <remarks>
    /// <see cref="AffineMap.ApplySquared"/> of sigma^2. For a map that reads one weight at several positions (convolutions, sequences) this is the
    /// marginal variance at each; the covariance between positions is not part of it.
    /// </remarks>
    public Tensor OutputVariance(AffineMap map, Tensor input, Tensor? biasVariance)
    {
        ArgumentNullException.ThrowIfNull(map);
        using var scope = NewDisposeScope();
        if (map is not LookupMap || input.numel() >= map.InputChannels)
            return map.ApplySquared(input, Variance, biasVariance).MoveToOuterDisposeScope();

        // Of a table, the rows that the input names.
        (Tensor rows, Tensor places) = Lookups.Distinct(input.to(ScalarType.Int64));
        return map.ApplySquared(places, RowFactor(rows).Squared(), biasVariance).MoveToOuterDisposeScope();
    }

    Tensor IRowwise.SampleRowDeviations(Tensor rows, NoiseSource noise)
    {
        using var scope = NewDisposeScope();
        Tensor factor = RowFactor(rows);
        return factor.mul(noise.Normal(factor.shape, factor.dtype, factor.device)).MoveToOuterDisposeScope();
    }

    /// <summary>s of the given rows.</summary>
    private protected virtual Tensor RowFactor(Tensor rows)
    {
        using Tensor factor = Factor;
        return factor.index_select(0, rows);
    }
}
