using BayesNet.Estimators;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Priors;

/// <summary>
/// Exactly zero with probability 1 - pi, else N(0, s^2), entry by entry (Mitchell and Beauchamp 1988): the prior of
/// <see cref="Posteriors.SpikeAndSlab"/>. Where the posterior shares gates, so does the prior.
/// </summary>
public sealed class SpikeAndSlabPrior : Prior
{
    /// <summary>Creates a prior.</summary>
    /// <param name="inclusion">pi, the probability that a weight is there; strictly between 0 and 1.</param>
    /// <param name="slabStdDev">s.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is out of its range.</exception>
    public SpikeAndSlabPrior(double inclusion = 0.5, double slabStdDev = 1)
        : base(nameof(SpikeAndSlabPrior))
    {
        Inclusion = Guard.OpenUnitInterval(inclusion);
        SlabStdDev = Guard.Positive(slabStdDev);
        RegisterComponents();
    }

    /// <summary>pi.</summary>
    public double Inclusion { get; }

    /// <summary>s.</summary>
    public double SlabStdDev { get; }

    /// <inheritdoc/>
    public override string ToString() => Describe(Inclusion, SlabStdDev);

    /// <summary>A prior for every tensor of a layer.</summary>
    /// <inheritdoc cref="SpikeAndSlabPrior(double, double)"/>
    public static PriorSpecification With(double inclusion = 0.5, double slabStdDev = 1)
        => new Specification(Guard.OpenUnitInterval(inclusion), Guard.Positive(slabStdDev));

    /// <inheritdoc/>
    /// <exception cref="NotSupportedException">Always: the prior has an atom at zero.</exception>
    public override Tensor LogDensity(Tensor weight)
        => throw new NotSupportedException(
            "A spike-and-slab prior has no density; the posterior whose divergence from it is closed is SpikeAndSlab. For other posteriors use "
            + "ScaleMixturePrior or HorseshoePrior.");

    /// <inheritdoc/>
    public override Tensor Sample(NoiseSource noise, ReadOnlySpan<long> shape, ScalarType dtype, Device device)
    {
        ArgumentNullException.ThrowIfNull(noise);
        using var scope = NewDisposeScope();
        using TorchSharp.Scalar inclusion = Inclusion;
        Tensor gate = noise.Uniform(shape, dtype, device).lt(inclusion).to(dtype);
        return noise.Normal(shape, dtype, device).Times(SlabStdDev).mul(gate).MoveToOuterDisposeScope();
    }

    private sealed record Specification(double Inclusion, double SlabStdDev) : PriorSpecification
    {
        public override Prior Create(Tensor like) => new SpikeAndSlabPrior(Inclusion, SlabStdDev);
    }
}
