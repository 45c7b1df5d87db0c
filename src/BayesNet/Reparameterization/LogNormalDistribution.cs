using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>Log-normal: z = exp(location + scale * eps), eps ~ N(0, 1).</summary>
public sealed class LogNormalDistribution : ReparameterizedDistribution
{
    private readonly Tensor _location, _scale;

    /// <summary>Creates the distribution; the parameters are those of ln z, and broadcast.</summary>
    /// <exception cref="ArgumentException">A value is not finite, a scale is not above zero, or the two do not broadcast or differ in type.</exception>
    /// <exception cref="NotSupportedException">The parameters are not float32 or float64.</exception>
    public LogNormalDistribution(Tensor location, Tensor scale)
        : base(BaseNoise.Normal, [], [], DistributionParameter.Real(location), DistributionParameter.Positive(scale))
        => (_location, _scale) = (location, scale);

    /// <inheritdoc/>
    public override bool HasClosedFormEntropy => true;

    /// <inheritdoc/>
    public override Tensor Entropy()
    {
        using var scope = NewDisposeScope();
        return _location.Plus(_scale.log()).Plus(LocationScaleLaw.Normal.Entropy).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Mean()
    {
        using var scope = NewDisposeScope();
        return _scale.Squared().mul(Scalars.Half).Plus(_location).exp().MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Variance()
    {
        using var scope = NewDisposeScope();
        Tensor squared = _scale.Squared();
        return squared.expm1().mul(squared.Plus(_location.mul(Scalars.Two)).exp()).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override ReparameterizedDistribution WithParameters(IReadOnlyList<Tensor> parameters)
        => new LogNormalDistribution(parameters[0], parameters[1]);

    /// <inheritdoc/>
    protected override Tensor Apply(Tensor eps)
    {
        using var scope = NewDisposeScope();
        return addcmul(_location, _scale, eps, Scalars.One).exp().MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override Tensor LogDensityOf(Tensor z)
    {
        using var scope = NewDisposeScope();
        Tensor inside = z.gt(Scalars.Zero);
        Tensor logZ = where(inside, z, ones_like(z)).log();
        Tensor density = LocationScaleLaw.Normal.LogDensity(logZ.sub(_location).div(_scale)).sub(logZ).sub(_scale.log());
        return Inside(inside, density).MoveToOuterDisposeScope();
    }
}
