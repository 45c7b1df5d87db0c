using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>Uniform on [low, high]: z = low + (high - low) (eps + 1/2), eps uniform on (-1/2, 1/2).</summary>
public sealed class UniformDistribution : ReparameterizedDistribution
{
    private readonly Tensor _low, _high;

    /// <summary>Creates the distribution; the bounds broadcast.</summary>
    /// <exception cref="ArgumentException">A bound is not finite, low is not below high, or the two do not broadcast or differ in type.</exception>
    /// <exception cref="NotSupportedException">The parameters are not float32 or float64.</exception>
    public UniformDistribution(Tensor low, Tensor high)
        : base(BaseNoise.Uniform, [], [], DistributionParameter.Real(low), DistributionParameter.Real(high))
    {
        (_low, _high) = (low, high);
        using var scope = NewDisposeScope();
        if (!low.lt(high).all().item<bool>())
            throw new ArgumentException("high holds values that are not above low; the interval needs a length.", nameof(high));
    }

    /// <inheritdoc/>
    public override bool SupportDependsOnParameters => true;

    /// <inheritdoc/>
    public override bool HasClosedFormEntropy => true;

    /// <inheritdoc/>
    public override Tensor Entropy()
    {
        using var scope = NewDisposeScope();
        return _high.sub(_low).log().MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Mean()
    {
        using var scope = NewDisposeScope();
        return _low.Plus(_high).mul(Scalars.Half).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Variance()
    {
        using var scope = NewDisposeScope();
        return _high.sub(_low).Squared().Times(1.0 / 12).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override ReparameterizedDistribution WithParameters(IReadOnlyList<Tensor> parameters)
        => new UniformDistribution(parameters[0], parameters[1]);

    /// <inheritdoc/>
    protected override Tensor Apply(Tensor eps)
    {
        // Each half starts from its own bound, so that rounding never leaves the interval.
        using var scope = NewDisposeScope();
        Tensor width = _high.sub(_low);
        Tensor fromEdge = eps.abs().neg().Plus(0.5).mul(width);
        return where(eps.lt(Scalars.Zero), _low.Plus(fromEdge), _high.sub(fromEdge)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override Tensor LogDensityOf(Tensor z)
    {
        using var scope = NewDisposeScope();
        Tensor inside = z.ge(_low).logical_and(z.le(_high));
        return Inside(inside, _high.sub(_low).log().neg()).MoveToOuterDisposeScope();
    }
}
