using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>z = location + scale * eps, eps of a fixed standard law on the line.</summary>
public abstract class LocationScaleDistribution : ReparameterizedDistribution
{
    private static readonly string[] Names = ["location", "scale"];

    /// <summary>Creates a distribution; location and scale broadcast.</summary>
    /// <exception cref="ArgumentException">A value is not finite, a scale is not above zero, or the two do not broadcast or differ in type.</exception>
    /// <exception cref="NotSupportedException">The parameters are not float32 or float64.</exception>
    protected LocationScaleDistribution(BaseNoise noise, Tensor location, Tensor scale)
        : base(noise, [], [], DistributionParameter.Real(location, 0, Names[0]), DistributionParameter.Positive(scale, 0, Names[1]))
        => (Location, Scale) = (location, scale);

    /// <summary>The location, as given.</summary>
    public Tensor Location { get; }

    /// <summary>The scale, as given.</summary>
    public Tensor Scale { get; }

    /// <inheritdoc/>
    public sealed override bool HasClosedFormEntropy => true;

    /// <summary>The entropy of eps, in nats.</summary>
    protected abstract double StandardEntropy { get; }

    /// <summary>E[eps]: 0, or NaN where it does not exist.</summary>
    protected virtual double StandardMean => 0;

    /// <summary>Var[eps], infinite or NaN where it does not exist.</summary>
    protected abstract double StandardVariance { get; }

    /// <inheritdoc/>
    public sealed override Tensor Entropy()
    {
        using var scope = NewDisposeScope();
        return ToBatch(Scale.log().Plus(StandardEntropy)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public sealed override Tensor Mean()
    {
        using var scope = NewDisposeScope();
        return ToBatch(Location.Plus(StandardMean)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public sealed override Tensor Variance()
    {
        using var scope = NewDisposeScope();
        return ToBatch(Scale.square().Times(StandardVariance)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected sealed override Tensor Apply(Tensor eps) => addcmul(Location, Scale, eps, Scalars.One);

    /// <inheritdoc/>
    protected sealed override Tensor LogDensityOf(Tensor z)
    {
        using var scope = NewDisposeScope();
        return StandardLogDensity(z.sub(Location).div(Scale)).sub(Scale.log()).MoveToOuterDisposeScope();
    }

    /// <summary>The log density of eps, entry by entry; called inside a dispose scope.</summary>
    protected abstract Tensor StandardLogDensity(Tensor eps);

    /// <summary>ln sqrt(1 + x^2), which neither overflows for large x nor has a singular gradient at 0.</summary>
    private protected static Tensor LogHypotenuse(Tensor x)
    {
        using var scope = NewDisposeScope();
        return hypot(x, ones([], dtype: x.dtype, device: x.device)).log().MoveToOuterDisposeScope();
    }
}
