using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>
/// Independent Gaussian entries whose standard deviations start in proportion to the weights they start at, sigma = delta |w| (MOPED;
/// Krishnan, Subedar and Tickoo 2020, section 3): for layers made of trained weights.
/// </summary>
public sealed record MopedSpecification : PosteriorSpecification
{
    /// <summary>delta; 0.1 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double Delta { get; init => field = Guard.Positive(value, nameof(Delta)); } = 0.1;

    /// <summary>The least standard deviation, which weights at or near zero get; 1e-4 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double Floor { get; init => field = Guard.Positive(value, nameof(Floor)); } = 1e-4;

    /// <summary>How the standard deviation is made of its parameter; <see cref="ScaleParameterization.Log"/> by default.</summary>
    public ScaleParameterization Scale { get; init; } = ScaleParameterization.Log;

    /// <inheritdoc/>
    public override Posterior Create(Tensor initialMean)
    {
        ArgumentNullException.ThrowIfNull(initialMean);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return new MeanFieldGaussian(initialMean, StdDevOf(initialMean), Scale);
    }

    /// <summary>delta |w|, or the floor.</summary>
    internal Tensor StdDevOf(Tensor weight)
    {
        using TorchSharp.Scalar floor = Floor;
        return weight.abs().Times(Delta).clamp_min(floor);
    }
}
