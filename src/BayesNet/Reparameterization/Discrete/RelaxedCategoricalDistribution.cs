using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization.Discrete;

/// <summary>
/// Relaxed one-hot categorical, Gumbel-softmax or concrete: y = softmax((logits + eps) / temperature), eps Gumbel (Maddison, Mnih and Teh
/// 2017; Jang, Gu and Poole 2017). The largest entry is class k with probability softmax(logits)_k at every temperature; as the
/// temperature goes to zero, y goes to a one-hot draw.
/// </summary>
/// <remarks>
/// The noise is not symmetric, so there are no antithetic pairs. At small temperatures entries of y round to 0; their logarithms do not:
/// work with <see cref="TransformLog"/> and <see cref="LogDensityOfLog"/> there.
/// </remarks>
public sealed class RelaxedCategoricalDistribution : ReparameterizedDistribution
{
    private readonly Tensor _logits;
    private readonly double _logNormalizer;

    /// <summary>Creates the distribution.</summary>
    /// <param name="logits">Log probabilities up to a constant, (B, K), K at least 2.</param>
    /// <param name="temperature">Above zero.</param>
    /// <exception cref="ArgumentException">A logit is not finite, or there are fewer than two classes.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="temperature"/> is not a finite number above zero.</exception>
    /// <exception cref="NotSupportedException">The logits are not float32 or float64.</exception>
    public RelaxedCategoricalDistribution(Tensor logits, double temperature)
        : base(BaseNoise.Gumbel, Classes(logits), Classes(logits), DistributionParameter.Real(logits, 1))
    {
        _logits = logits;
        Temperature = Guard.Positive(temperature);

        // ln[(K - 1)! t^(K-1)]
        for (int k = 1; k < EventShape[0]; k++)
            _logNormalizer += Math.Log(k) + Math.Log(temperature);
    }

    /// <summary>The temperature.</summary>
    public double Temperature { get; }

    /// <inheritdoc/>
    public override bool HasClosedFormEntropy => false;

    /// <summary>ln y, shape (L, B, K); differentiable in the logits.</summary>
    /// <inheritdoc cref="ReparameterizedDistribution.Transform"/>
    public Tensor TransformLog(Tensor eps)
    {
        RequireNoise(eps);
        using var scope = NewDisposeScope();
        return Scores(eps).log_softmax(-1).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Straight-through Gumbel-softmax: the one-hot draw that y rounds to, exactly 0 and 1, with the gradient of y (Jang, Gu and Poole 2017,
    /// section 2.2). The gradient is biased.
    /// </summary>
    /// <inheritdoc cref="ReparameterizedDistribution.Transform"/>
    public Tensor TransformHard(Tensor eps)
    {
        RequireNoise(eps);
        using var scope = NewDisposeScope();
        Tensor scores = Scores(eps);
        return StraightThrough.Attach(StraightThrough.OneHot(scores), scores.softmax(-1)).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// The log density at x = ln y, with respect to the measure in which p(y) = p(x) / prod_k y_k (the ExpConcrete distribution of Maddison,
    /// Mnih and Teh 2017): ln[(K-1)! t^(K-1)] + sum(logits - t x) - K logsumexp(logits - t x).
    /// </summary>
    /// <param name="log">x, shape (L, B, K), logsumexp(x) = 0.</param>
    /// <returns>Shape (L, B); differentiable in the logits and in <paramref name="log"/>.</returns>
    public Tensor LogDensityOfLog(Tensor log)
    {
        RequireEvent(log);
        using var scope = NewDisposeScope();
        Tensor scores = _logits.sub(log.Times(Temperature));
        Tensor kernel = scores.sum(dim: -1).sub(scores.logsumexp(-1).Times(EventShape[0]));
        return kernel.Plus(_logNormalizer).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Entropy()
        => throw NoClosedForm("entropy of a relaxed categorical", "estimate it by the mean of -LogDensity over samples");

    /// <inheritdoc/>
    public override Tensor Mean()
        => throw NoClosedForm("mean of a relaxed categorical", "average samples, or take the probabilities softmax(logits)");

    /// <inheritdoc/>
    public override Tensor Variance() => throw NoClosedForm("variance of a relaxed categorical", "take that of samples");

    /// <inheritdoc/>
    public override ReparameterizedDistribution WithParameters(IReadOnlyList<Tensor> parameters)
        => new RelaxedCategoricalDistribution(parameters[0], Temperature);

    /// <inheritdoc/>
    protected override Tensor Apply(Tensor eps)
    {
        using var scope = NewDisposeScope();
        return FloatRange.KeepInOpenUnitInterval(Scores(eps).softmax(-1)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>The density is with respect to the first K - 1 entries; that they sum to one is taken for granted.</remarks>
    protected override Tensor LogDensityOf(Tensor z)
    {
        using var scope = NewDisposeScope();
        Tensor inside = z.gt(Scalars.Zero);
        Tensor log = where(inside, z, ones_like(z)).log();
        Tensor density = LogDensityOfLog(log).sub(log.sum(dim: -1));
        return Inside(inside.all(-1), density).MoveToOuterDisposeScope();
    }

    private Tensor Scores(Tensor eps) => _logits.Plus(eps).Times(1 / Temperature);

    private static long[] Classes(Tensor logits)
    {
        ArgumentNullException.ThrowIfNull(logits);
        return logits.dim() >= 1 && logits.size(-1) >= 2
            ? [logits.size(-1)]
            : throw new ArgumentException(
                $"logits has shape {Guard.Format(logits.shape)}; its last dimension holds the classes, two or more. For one probability use "
                + "RelaxedBernoulliDistribution.", nameof(logits));
    }
}
