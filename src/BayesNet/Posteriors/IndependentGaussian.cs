using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>A Gaussian posterior with independent entries: w = mu + s * eps, entry by entry, |s| the standard deviation.</summary>
public abstract class IndependentGaussian : GaussianPosterior, ILocallyReparameterizable, IRowwise
{
    private protected IndependentGaussian(string name, Tensor initialMean)
        : base(name, initialMean)
    {
    }

    /// <inheritdoc/>
    public sealed override bool HasIndependentSymmetricEntries => true;

    /// <summary>s, shape W: the standard deviation, with any sign, which eps does not mind; differentiable.</summary>
    private protected abstract Tensor Factor { get; }

    /// <inheritdoc/>
    public sealed override Tensor Transform(Tensor eps)
    {
        using Tensor factor = Factor;
        return addcmul(Mean, factor, eps, Scalars.One);
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
        using var scope = NewDisposeScope();
        Tensor perEntry = LocationScaleLaw.Normal.LogDensity(weight.sub(Mean).div(Factor)).sub(LogStdDev);
        return SumOverEntries(perEntry).MoveToOuterDisposeScope();
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
        return map.ApplySquared(input, Variance, biasVariance).MoveToOuterDisposeScope();
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
