using BayesNet.Maps;
using BayesNet.Posteriors;
using static TorchSharp.torch;

namespace BayesNet.Estimators;

/// <summary>
/// Where the noise of a Bayesian layer enters: once for the batch, once for each example, or at the outputs. Every estimator has the
/// same expectation; they differ in the variance of the gradient, in cost, and in the joint distribution of the outputs.
/// </summary>
/// <remarks>An estimator has no state; one object serves any number of layers.</remarks>
public abstract class Estimator
{
    /// <summary>One weight sample for the whole batch (Blundell et al. 2015).</summary>
    public static Estimator SharedWeights { get; } = new SharedWeights();

    /// <summary>A weight sample for each example.</summary>
    public static Estimator WeightsPerExample { get; } = new WeightsPerExample();

    /// <summary>Noise at the outputs (Kingma, Salimans and Welling 2015); the default of every layer.</summary>
    public static Estimator LocalReparameterization { get; } = new LocalReparameterization();

    /// <summary>
    /// <see cref="LocalReparameterization"/> with the products of its variances, and of their gradients, in a lower precision, for devices
    /// that multiply the faster for it. Means are not touched. Mean-field Gaussian posteriors with <see cref="ScaleParameterization.Log"/> alone.
    /// </summary>
    /// <param name="precision">The number format; <see cref="VariancePrecision"/> says what it changes.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="precision"/> is not one of the enumeration.</exception>
    public static Estimator LocalReparameterizationWithVariancesIn(VariancePrecision precision)
        => Enum.IsDefined(precision)
            ? precision == VariancePrecision.Full ? LocalReparameterization : new LocalReparameterization(precision)
            : throw new ArgumentOutOfRangeException(nameof(precision), precision, "precision must be Full, TF32 or BFloat16.");

    /// <summary>One weight sample for the batch, decorrelated between examples by random signs (Wen et al. 2018).</summary>
    public static Estimator Flipout { get; } = new Flipout();

    /// <summary>No noise: the output at the mean of the posterior. It is not the mean of the outputs.</summary>
    public static Estimator MeanOnly { get; } = new MeanOnly();

    /// <summary>The name as papers write it.</summary>
    public abstract string Name { get; }

    /// <summary>Why this estimator can't be used with the given parts, and what can be; null where it can.</summary>
    public abstract string? WhyNot(AffineMap map, Posterior weight, Posterior? bias);

    /// <summary>f(x, w, b) with w and b drawn as this estimator draws them.</summary>
    /// <param name="map">f.</param>
    /// <param name="weight">The posterior of w; its shape is the map's.</param>
    /// <param name="bias">The posterior of b, shape (out), or null.</param>
    /// <param name="input">(batch, ...) as the map takes it.</param>
    /// <param name="noise">Where the noise comes from; fresh tensors are drawn at every call.</param>
    /// <returns>The map's output, with gradients to the input and to the parameters of both posteriors.</returns>
    public abstract Tensor Forward(AffineMap map, Posterior weight, Posterior? bias, Tensor input, NoiseSource noise);

    /// <summary><see cref="Forward"/> of an input that may lack its batch dimension, which the output then lacks too.</summary>
    internal Tensor ForwardAny(AffineMap map, Posterior weight, Posterior? bias, Tensor input, NoiseSource noise)
    {
        if (map.IsBatched(input))
            return Forward(map, weight, bias, input, noise);
        using var scope = NewDisposeScope();
        return Forward(map, weight, bias, input.unsqueeze(0), noise).squeeze(0).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Draws a weight and a bias to be applied any number of times to one batch: one weight, unless the estimator gives each example its own.
    /// Outputs drawn from their own laws, step by step, would be those of another weight at every step.
    /// </summary>
    /// <param name="map">f.</param>
    /// <param name="weight">The posterior of w.</param>
    /// <param name="bias">The posterior of b, or null.</param>
    /// <param name="batch">Examples.</param>
    /// <param name="noise">Where the noise comes from.</param>
    internal virtual HeldDraw Hold(AffineMap map, Posterior weight, Posterior? bias, long batch, NoiseSource noise)
        => Estimators.SharedWeights.Draw(map, weight, bias, noise);

    /// <summary>Whether one weight for the batch, a <see cref="OneWeight"/> of <see cref="Hold"/>, is all that there is to the estimator.</summary>
    internal virtual bool IsOneWeight => false;

    /// <summary>Refuses parts that this estimator can't be used with.</summary>
    /// <exception cref="NotSupportedException">The reason of <see cref="WhyNot"/>.</exception>
    public void EnsureSupports(AffineMap map, Posterior weight, Posterior? bias)
    {
        if (WhyNot(map, weight, bias) is { } reason)
            throw new NotSupportedException(reason);
    }

    /// <inheritdoc/>
    public sealed override string ToString() => Name;
}
