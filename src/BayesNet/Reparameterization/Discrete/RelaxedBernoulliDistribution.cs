using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization.Discrete;

/// <summary>
/// Relaxed Bernoulli, or binary concrete: y = sigmoid((logits + eps) / temperature), eps logistic (Maddison, Mnih and Teh 2017; Jang, Gu
/// and Poole 2017). y > 1/2 with probability sigmoid(logits) at every temperature; as the temperature goes to zero, y goes to a Bernoulli
/// draw.
/// </summary>
/// <remarks>
/// With p = sigmoid(logits) and a small temperature t, E[y] errs by -(pi^2/6) t^2 p(1-p)(2p-1), and the variance of its gradient grows as
/// p(1-p)/(6t). At small temperatures y rounds to 0 or 1; the logit, (logits + eps) / temperature, does not: work with
/// <see cref="TransformLogit"/> and <see cref="LogDensityOfLogit"/> there.
/// </remarks>
public sealed class RelaxedBernoulliDistribution : ReparameterizedDistribution
{
    private readonly Tensor _logits;

    /// <summary>Creates the distribution.</summary>
    /// <param name="logits">ln(p / (1 - p)), any shape B.</param>
    /// <param name="temperature">Above zero.</param>
    /// <exception cref="ArgumentException">A logit is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="temperature"/> is not a finite number above zero.</exception>
    /// <exception cref="NotSupportedException">The logits are not float32 or float64.</exception>
    public RelaxedBernoulliDistribution(Tensor logits, double temperature)
        : base(BaseNoise.Logistic, [], [], DistributionParameter.Real(logits))
        => (_logits, Temperature) = (logits, Guard.Positive(temperature));

    /// <summary>The temperature.</summary>
    public double Temperature { get; }

    /// <inheritdoc/>
    public override bool HasClosedFormEntropy => false;

    /// <summary>logit(y) = (logits + eps) / temperature, shape (L, B); differentiable in the logits.</summary>
    /// <inheritdoc cref="ReparameterizedDistribution.Transform"/>
    public Tensor TransformLogit(Tensor eps)
    {
        RequireNoise(eps);
        using var scope = NewDisposeScope();
        return Logit(eps).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Straight-through: the Bernoulli draw that y rounds to, exactly 0 or 1, with the gradient of y (Jang, Gu and Poole 2017, section 2.2).
    /// The gradient is biased.
    /// </summary>
    /// <inheritdoc cref="ReparameterizedDistribution.Transform"/>
    public Tensor TransformHard(Tensor eps)
    {
        RequireNoise(eps);
        using var scope = NewDisposeScope();
        Tensor logit = Logit(eps);
        return StraightThrough.Attach(logit.gt(Scalars.Zero).to(Dtype), logit.sigmoid()).MoveToOuterDisposeScope();
    }

    /// <summary>The log density of x = logit(y), a logistic variable with location logits / temperature and scale 1 / temperature.</summary>
    /// <param name="logit">x, shape (L, B).</param>
    /// <returns>Shape (L, B); differentiable in the logits and in <paramref name="logit"/>.</returns>
    public Tensor LogDensityOfLogit(Tensor logit)
    {
        RequireEvent(logit);
        using var scope = NewDisposeScope();
        Tensor eps = logit.Times(Temperature).sub(_logits);
        return nn.functional.logsigmoid(eps).Plus(nn.functional.logsigmoid(eps.neg())).Plus(Math.Log(Temperature)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Entropy()
        => throw NoClosedForm("entropy of a relaxed Bernoulli", "estimate it by the mean of -LogDensityOfLogit, in logit space");

    /// <inheritdoc/>
    public override Tensor Mean() => throw NoClosedForm("mean of a relaxed Bernoulli", "average samples, or take the probability sigmoid(logits)");

    /// <inheritdoc/>
    public override Tensor Variance() => throw NoClosedForm("variance of a relaxed Bernoulli", "take that of samples");

    /// <inheritdoc/>
    public override ReparameterizedDistribution WithParameters(IReadOnlyList<Tensor> parameters)
        => new RelaxedBernoulliDistribution(parameters[0], Temperature);

    /// <inheritdoc/>
    protected override Tensor Apply(Tensor eps)
    {
        using var scope = NewDisposeScope();
        return FloatRange.KeepInOpenUnitInterval(Logit(eps).sigmoid()).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override Tensor LogDensityOf(Tensor z)
    {
        using var scope = NewDisposeScope();
        Tensor inside = z.gt(Scalars.Zero).logical_and(z.lt(Scalars.One));
        Tensor safe = where(inside, z, tensor(0.5, dtype: z.dtype, device: z.device));
        Tensor log = safe.log(), logComplement = safe.neg().log1p();
        Tensor density = LogDensityOfLogit(log.sub(logComplement)).sub(log).sub(logComplement);
        return Inside(inside, density).MoveToOuterDisposeScope();
    }

    private Tensor Logit(Tensor eps) => _logits.Plus(eps).Times(1 / Temperature);
}
