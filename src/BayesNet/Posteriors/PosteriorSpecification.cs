using BayesNet.Maps;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>
/// A posterior without a shape: the family and its settings, from which a layer makes a <see cref="Posterior"/> for each of its tensors.
/// Immutable, and so shared freely between layers.
/// </summary>
public abstract record PosteriorSpecification
{
    /// <summary>Makes a posterior whose mean starts at <paramref name="initialMean"/>, with its shape, type and device.</summary>
    public abstract Posterior Create(Tensor initialMean);

    /// <summary>The same for a weight laid out in a given way, which tells posteriors with a structure what outputs and inputs are.</summary>
    public virtual Posterior Create(Tensor initialMean, WeightLayout layout) => Create(initialMean);
}

/// <summary>Independent Gaussian entries: see <see cref="MeanFieldGaussian"/>.</summary>
public sealed record MeanFieldGaussianSpecification : PosteriorSpecification
{
    /// <summary>
    /// The standard deviation that every entry starts with; 0.01 by default. Small values let the means be found first: where the first
    /// steps are noisy, training stays near the prior.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double InitialStdDev
    {
        get;
        init => field = Guard.Positive(value, nameof(InitialStdDev));
    } = 0.01;

    /// <summary>How the standard deviation is made of its parameter; <see cref="ScaleParameterization.Log"/> by default.</summary>
    public ScaleParameterization Scale { get; init; } = ScaleParameterization.Log;

    /// <inheritdoc/>
    public override Posterior Create(Tensor initialMean) => new MeanFieldGaussian(initialMean, InitialStdDev, Scale);
}
