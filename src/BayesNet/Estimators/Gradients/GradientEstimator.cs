using BayesNet.Reparameterization;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Estimators.Gradients;

/// <summary>
/// An unbiased estimator of the gradient of E_q[f(z)] in the parameters of q. Every one takes any family and any f, so that their means,
/// variances and costs can be compared (<see cref="GradientStatistics"/>).
/// </summary>
/// <remarks>
/// f takes z of shape (S, B, E), S draws, and treats draws apart. It returns a value for each draw, shape (S), for each draw and batch
/// element, shape (S, B), or for each draw and some first dimensions of B, the others summed over: the score function multiplies each
/// value by the density of the batch elements it depends on, so values kept apart have less variance. f may depend on the parameters of q
/// directly too, as ln q(z) does; that part of the gradient is included.
/// </remarks>
public abstract class GradientEstimator
{
    private protected GradientEstimator(bool antithetic) => IsAntithetic = antithetic;

    /// <summary>The name in reports.</summary>
    public abstract string Name { get; }

    /// <summary>Whether draws come in pairs T(theta, eps), T(theta, -eps).</summary>
    public bool IsAntithetic { get; }

    /// <summary>The fewest evaluations of f that an estimate takes; the number is a multiple of two where the estimator is antithetic.</summary>
    public virtual int MinimumSamples => IsAntithetic ? 2 : 1;

    /// <summary>
    /// A scalar whose value is the mean of f over the draws (summed over batch elements) and whose gradient, by <c>backward()</c>, is the
    /// estimate of the gradient of E_q[f(z)].
    /// </summary>
    /// <param name="q">The distribution.</param>
    /// <param name="f">See the remarks on this class.</param>
    /// <param name="noise">Where the noise comes from.</param>
    /// <param name="samples">S: evaluations of f, the cost of the estimate. An antithetic pair is two.</param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// <paramref name="samples"/> is below <see cref="MinimumSamples"/>, or odd where the estimator is antithetic.
    /// </exception>
    /// <exception cref="NotSupportedException">
    /// The estimator is antithetic and the noise of <paramref name="q"/> is not symmetric; or it is the score function's and the support of
    /// <paramref name="q"/> depends on the parameters.
    /// </exception>
    /// <exception cref="ArgumentException">The shape of what <paramref name="f"/> returned is not the first dimensions of (S, B).</exception>
    public Tensor Estimate(ReparameterizedDistribution q, Func<Tensor, Tensor> f, NoiseSource noise, int samples = 1)
    {
        ArgumentNullException.ThrowIfNull(q);
        ArgumentNullException.ThrowIfNull(f);
        ArgumentNullException.ThrowIfNull(noise);
        if (samples < MinimumSamples || (IsAntithetic && samples % 2 != 0))
        {
            throw new ArgumentOutOfRangeException(
                nameof(samples), samples,
                $"The {Name} estimator takes at least {MinimumSamples} samples{(IsAntithetic ? ", in pairs: an even number" : "")}.");
        }

        using var scope = NewDisposeScope();
        Tensor perDraw = Surrogate(q, f, Draw(q, noise, samples));
        return perDraw.mean([0]).sum().MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override string ToString() => Name;

    /// <summary>Values of f, draws first, with the estimator's gradient attached; called inside a dispose scope.</summary>
    private protected abstract Tensor Surrogate(ReparameterizedDistribution q, Func<Tensor, Tensor> f, Tensor z);

    /// <summary>f(z), its shape checked.</summary>
    private protected static Tensor Evaluate(ReparameterizedDistribution q, Func<Tensor, Tensor> f, Tensor z)
    {
        Tensor values = f(z) ?? throw new ArgumentException("f returned null; it returns a value for each draw.", nameof(f));
        long[] shape = values.shape, perElement = [z.size(0), .. q.BatchShape];
        return shape.Length >= 1 && shape.Length <= perElement.Length && shape.AsSpan().SequenceEqual(perElement.AsSpan(..shape.Length))
            ? values
            : throw new ArgumentException(
                $"f returned shape {Guard.Format(shape)} for draws of shape {Guard.Format(z.shape)}; its shape must be "
                + $"{Guard.Format(perElement)}, a value for each draw and batch element, or the first dimensions of that.", nameof(f));
    }

    // The halves of an antithetic batch are pairs: draw i and draw i + S/2.
    private Tensor Draw(ReparameterizedDistribution q, NoiseSource noise, int samples)
    {
        if (!IsAntithetic)
            return q.Sample(noise, samples);
        Tensor eps = q.SampleNoise(noise, samples / 2);
        return q.Transform(cat([eps, q.Reflect(eps)], 0));
    }
}
