using BayesNet.Estimators;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Priors;

/// <summary>
/// A mixture of two zero-mean Gaussians, entry by entry: pi N(0, s1^2) + (1 - pi) N(0, s2^2), one wide for the weights that matter and one
/// narrow for those that do not (Blundell et al. 2015, equation 7).
/// </summary>
/// <remarks>The density is summed in the log domain, so that it is exact where both components underflow.</remarks>
public sealed class ScaleMixturePrior : Prior
{
    private readonly double _share;
    private readonly double _first;
    private readonly double _second;

    /// <summary>Creates a prior.</summary>
    /// <param name="share">pi, the weight of the first component, strictly between 0 and 1.</param>
    /// <param name="firstStdDev">s1.</param>
    /// <param name="secondStdDev">s2.</param>
    /// <exception cref="ArgumentOutOfRangeException">A standard deviation is not a finite number above zero, or pi not between 0 and 1.</exception>
    public ScaleMixturePrior(double share, double firstStdDev, double secondStdDev)
        : base(nameof(ScaleMixturePrior))
    {
        _share = Guard.OpenUnitInterval(share);
        _first = Guard.Positive(firstStdDev);
        _second = Guard.Positive(secondStdDev);
        RegisterComponents();
    }

    /// <summary>A prior for every tensor of a layer.</summary>
    /// <inheritdoc cref="ScaleMixturePrior(double, double, double)"/>
    public static PriorSpecification With(double share, double firstStdDev, double secondStdDev)
        => new Specification(Guard.OpenUnitInterval(share), Guard.Positive(firstStdDev), Guard.Positive(secondStdDev));

    /// <inheritdoc/>
    public override Tensor LogDensity(Tensor weight)
    {
        using var scope = NewDisposeScope();
        return logaddexp(Component(_share, _first), Component(1 - _share, _second)).MoveToOuterDisposeScope();

        Tensor Component(double share, double stdDev)
            => LocationScaleLaw.Normal.LogDensity(weight.Times(1 / stdDev)).Plus(Math.Log(share) - Math.Log(stdDev));
    }

    /// <inheritdoc/>
    public override Tensor Sample(NoiseSource noise, ReadOnlySpan<long> shape, ScalarType dtype, Device device)
    {
        ArgumentNullException.ThrowIfNull(noise);
        using var scope = NewDisposeScope();
        using TorchSharp.Scalar share = _share;
        Tensor first = noise.Uniform(shape, dtype, device).lt(share).to(dtype);
        Tensor stdDev = first.Times(_first - _second).Plus(_second);
        return noise.Normal(shape, dtype, device).mul(stdDev).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override string ToString() => Describe(_share, _first, _second);

    private sealed record Specification(double Share, double First, double Second) : PriorSpecification
    {
        public override Prior Create(Tensor like) => new ScaleMixturePrior(Share, First, Second);
    }
}
