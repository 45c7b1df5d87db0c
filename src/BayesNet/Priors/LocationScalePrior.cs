using BayesNet.Estimators;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Priors;

/// <summary>Independent entries of a location-scale family, one location and one scale for all.</summary>
public abstract class LocationScalePrior : Prior
{
    private readonly LocationScaleLaw _law;

    private protected LocationScalePrior(string name, LocationScaleLaw law, double location, double scale)
        : base(name)
    {
        _law = law;
        Location = Guard.Finite(location);
        Scale = Guard.Positive(scale);
    }

    /// <summary>The location of every entry.</summary>
    public double Location { get; }

    /// <summary>The scale of every entry.</summary>
    public double Scale { get; }

    /// <inheritdoc/>
    public sealed override Tensor LogDensity(Tensor weight)
    {
        using var scope = NewDisposeScope();
        return _law.LogDensity(weight.Plus(-Location).Times(1 / Scale)).Plus(-Math.Log(Scale)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public sealed override Tensor Sample(NoiseSource noise, ReadOnlySpan<long> shape, ScalarType dtype, Device device)
    {
        using var scope = NewDisposeScope();
        return _law.Noise.Draw(noise, shape, dtype, device).Times(Scale).Plus(Location).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override string ToString() => Describe(Location, Scale);
}

/// <summary>Independent Laplace entries, density exp(-|w - location| / scale) / (2 scale): the prior whose mode is the lasso's.</summary>
public sealed class LaplacePrior : LocationScalePrior
{
    /// <summary>Creates a prior; the standard deviation is sqrt(2) times the scale.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="scale"/> is not above zero, or either is not finite.</exception>
    public LaplacePrior(double location = 0, double scale = 1)
        : base(nameof(LaplacePrior), LocationScaleLaw.Laplace, location, scale)
        => RegisterComponents();

    /// <summary>A zero-centred prior with the given scale.</summary>
    public static PriorSpecification WithScale(double scale) => new Specification(Guard.Positive(scale));

    private sealed record Specification(double Scale, double Location = 0) : PriorSpecification
    {
        public override Prior Create(Tensor like) => new LaplacePrior(Location, Scale);

        public override PriorSpecification Shifted(double by) => this with { Location = Location + by };
    }
}

/// <summary>Independent Student-t entries with degrees of freedom nu: a prior whose tails let single weights be large.</summary>
public sealed class StudentTPrior : LocationScalePrior
{
    /// <summary>Creates a prior; nu = 1 is Cauchy.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Scale or nu is not above zero, or a value is not finite.</exception>
    public StudentTPrior(double degreesOfFreedom, double location = 0, double scale = 1)
        : base(nameof(StudentTPrior), LocationScaleLaw.StudentT(degreesOfFreedom), location, scale)
    {
        DegreesOfFreedom = degreesOfFreedom;
        RegisterComponents();
    }

    /// <summary>nu.</summary>
    public double DegreesOfFreedom { get; }

    /// <inheritdoc/>
    public override string ToString() => Describe(DegreesOfFreedom, Location, Scale);

    /// <summary>A zero-centred prior with the given degrees of freedom and scale.</summary>
    public static PriorSpecification With(double degreesOfFreedom, double scale)
        => new Specification(Guard.Positive(degreesOfFreedom), Guard.Positive(scale));

    private sealed record Specification(double DegreesOfFreedom, double Scale, double Location = 0) : PriorSpecification
    {
        public override Prior Create(Tensor like) => new StudentTPrior(DegreesOfFreedom, Location, Scale);

        public override PriorSpecification Shifted(double by) => this with { Location = Location + by };
    }
}
