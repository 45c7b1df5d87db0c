using BayesNet.Estimators;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization.Discrete;

/// <summary>
/// The straight-through estimator (Bengio, Léonard and Courville 2013): a discrete value in the forward pass, the gradient of a continuous
/// one in the backward pass. The gradient is biased wherever the function is not linear in the discrete value.
/// </summary>
public static class StraightThrough
{
    /// <summary>The values of <paramref name="hard"/>, bit by bit, with the gradient of <paramref name="soft"/>.</summary>
    /// <exception cref="ArgumentException">The two differ in shape or type.</exception>
    public static Tensor Attach(Tensor hard, Tensor soft)
    {
        ArgumentNullException.ThrowIfNull(hard);
        ArgumentNullException.ThrowIfNull(soft);
        if (hard.dtype != soft.dtype || !hard.shape.AsSpan().SequenceEqual(soft.shape))
        {
            throw new ArgumentException(
                $"hard is {hard.dtype} of shape {Guard.Format(hard.shape)} and soft {soft.dtype} of shape {Guard.Format(soft.shape)}; they must agree.",
                nameof(hard));
        }

        // soft - soft is exactly zero; (hard - soft) + soft would round.
        using var scope = NewDisposeScope();
        return hard.detach().Plus(soft.sub(soft.detach())).MoveToOuterDisposeScope();
    }

    /// <summary>Bernoulli draws, exactly 0 or 1, with the gradient of their probabilities sigmoid(logits).</summary>
    /// <param name="logits">Shape B.</param>
    /// <param name="noise">Where the noise comes from.</param>
    /// <param name="leading">L.</param>
    /// <returns>Shape (L, B).</returns>
    public static Tensor Bernoulli(Tensor logits, NoiseSource noise, params ReadOnlySpan<long> leading)
    {
        using var scope = NewDisposeScope();
        Tensor parameter = DistributionParameter.Real(logits).Value;
        Tensor eps = BaseNoise.Logistic.Draw(noise, [.. leading, .. parameter.shape], parameter.dtype, parameter.device);
        Tensor hard = parameter.detach().Plus(eps).gt(Scalars.Zero).to(parameter.dtype);
        return Attach(hard, parameter.sigmoid().expand_as(hard)).MoveToOuterDisposeScope();
    }

    /// <summary>Categorical draws, exactly one-hot, with the gradient of their probabilities softmax(logits).</summary>
    /// <param name="logits">Shape (B, K).</param>
    /// <param name="noise">Where the noise comes from.</param>
    /// <param name="leading">L.</param>
    /// <returns>Shape (L, B, K).</returns>
    public static Tensor Categorical(Tensor logits, NoiseSource noise, params ReadOnlySpan<long> leading)
    {
        using var scope = NewDisposeScope();
        Tensor parameter = DistributionParameter.Real(logits, 1).Value;
        Tensor eps = BaseNoise.Gumbel.Draw(noise, [.. leading, .. parameter.shape], parameter.dtype, parameter.device);
        Tensor hard = OneHot(parameter.detach().Plus(eps));
        return Attach(hard, parameter.softmax(-1).expand_as(hard)).MoveToOuterDisposeScope();
    }

    /// <summary>1 at the largest entry along the last dimension, the first of several, and 0 elsewhere; no gradient.</summary>
    internal static Tensor OneHot(Tensor scores)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return zeros_like(scores).scatter_(-1, scores.argmax(-1, keepdim: true), ones_like(scores)).MoveToOuterDisposeScope();
    }
}
