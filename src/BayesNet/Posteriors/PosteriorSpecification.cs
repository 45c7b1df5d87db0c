using BayesNet.Maps;
using BayesNet.Priors;
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

    /// <summary>The same beside the weight's prior, for families with settings relative to it.</summary>
    public virtual Posterior Create(Tensor initialMean, WeightLayout layout, Prior prior) => Create(initialMean, layout);
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

    /// <summary>
    /// In place of <see cref="InitialStdDev"/>: that standard deviation over the prior's, a <see cref="GaussianPrior"/>'s. Null by default.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double? InitialShareOfPrior
    {
        get;
        init => field = value is { } share ? Guard.Positive(share, nameof(InitialShareOfPrior)) : null;
    }

    /// <summary>How the standard deviation is made of its parameter; <see cref="ScaleParameterization.Log"/> by default.</summary>
    public ScaleParameterization Scale { get; init; } = ScaleParameterization.Log;

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException"><see cref="InitialShareOfPrior"/> is set, and there is no prior.</exception>
    public override Posterior Create(Tensor initialMean)
        => InitialShareOfPrior is null
            ? new MeanFieldGaussian(initialMean, InitialStdDev, Scale)
            : throw new InvalidOperationException("InitialShareOfPrior is relative to a prior; create the posterior with one, or set InitialStdDev in its place.");

    /// <inheritdoc/>
    /// <exception cref="NotSupportedException"><see cref="InitialShareOfPrior"/> is set, and the prior is no <see cref="GaussianPrior"/>.</exception>
    public override Posterior Create(Tensor initialMean, WeightLayout layout, Prior prior)
    {
        ArgumentNullException.ThrowIfNull(prior);
        if (InitialShareOfPrior is not { } share)
            return Create(initialMean, layout);
        if (prior is not GaussianPrior gaussian)
        {
            throw new NotSupportedException(
                $"InitialShareOfPrior is a share of a GaussianPrior's standard deviation, and the prior is a {prior.GetName()}; set InitialStdDev in its place.");
        }

        if (gaussian.IsScalar)
            return new MeanFieldGaussian(initialMean, share * gaussian.ScalarStdDev, Scale);
        using var scope = NewDisposeScope();
        return new MeanFieldGaussian(initialMean, gaussian.StdDev!.Times(share).expand(initialMean.shape), Scale);
    }
}
