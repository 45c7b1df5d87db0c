using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>z = location + scale * eps, eps of a fixed standard law on the line.</summary>
public abstract class LocationScaleDistribution : ReparameterizedDistribution
{
    private static readonly string[] Names = ["location", "scale"];
    private readonly LocationScaleLaw _law;

    /// <summary>Creates a distribution; location and scale broadcast.</summary>
    /// <exception cref="ArgumentException">A value is not finite, a scale is not above zero, or the two do not broadcast or differ in type.</exception>
    /// <exception cref="NotSupportedException">The parameters are not float32 or float64.</exception>
    private protected LocationScaleDistribution(LocationScaleLaw law, Tensor location, Tensor scale)
        : base(law.Noise, [], [], DistributionParameter.Real(location, 0, Names[0]), DistributionParameter.Positive(scale, 0, Names[1]))
        => (_law, Location, Scale) = (law, location, scale);

    /// <summary>The location, as given.</summary>
    public Tensor Location { get; }

    /// <summary>The scale, as given.</summary>
    public Tensor Scale { get; }

    /// <inheritdoc/>
    public sealed override bool HasClosedFormEntropy => true;

    /// <inheritdoc/>
    public sealed override Tensor Entropy()
    {
        using var scope = NewDisposeScope();
        return ToBatch(Scale.log().Plus(_law.Entropy)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public sealed override Tensor Mean()
    {
        using var scope = NewDisposeScope();
        return ToBatch(Location.Plus(_law.Mean)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public sealed override Tensor Variance()
    {
        using var scope = NewDisposeScope();
        return ToBatch(Scale.Squared().Times(_law.Variance)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected sealed override Tensor Apply(Tensor eps) => addcmul(Location, Scale, eps, Scalars.One);

    /// <inheritdoc/>
    protected sealed override Tensor LogDensityOf(Tensor z)
    {
        using var scope = NewDisposeScope();
        return _law.LogDensity(z.sub(Location).div(Scale)).sub(Scale.log()).MoveToOuterDisposeScope();
    }
}
