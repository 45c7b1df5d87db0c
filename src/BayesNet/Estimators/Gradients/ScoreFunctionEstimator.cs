using BayesNet.Reparameterization;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Estimators.Gradients;

/// <summary>
/// The score function gradient (REINFORCE, Williams 1992): (f(z) - b) d ln q(z)/dtheta with a baseline b. It needs no derivative of f, and
/// has more variance, the more so in many dimensions.
/// </summary>
public sealed class ScoreFunctionEstimator : GradientEstimator
{
    /// <summary>Creates the estimator.</summary>
    /// <param name="baseline">b; null for none.</param>
    /// <param name="antithetic">Whether draws come in pairs of eps and -eps.</param>
    public ScoreFunctionEstimator(Baseline? baseline = null, bool antithetic = false)
        : base(antithetic)
        => Baseline = baseline ?? Baseline.None;

    /// <summary>b.</summary>
    public Baseline Baseline { get; }

    /// <inheritdoc/>
    public override string Name => $"{(IsAntithetic ? "antithetic " : "")}score function, {Baseline}";

    /// <inheritdoc/>
    public override int MinimumSamples => Baseline.MinimumSamples(IsAntithetic);

    private protected override Tensor Surrogate(ReparameterizedDistribution q, Func<Tensor, Tensor> f, Tensor z)
    {
        if (q.SupportDependsOnParameters)
        {
            throw new NotSupportedException(
                $"The support of {q.GetType().Name} depends on its parameters, where the score function gradient is biased; use PathwiseEstimator.");
        }

        Tensor point = z.detach();
        Tensor values = Evaluate(q, f, point);
        Tensor logDensity = q.LogDensity(point);
        if (logDensity.dim() > values.dim())
            logDensity = logDensity.flatten(values.dim()).sum(dim: -1);
        Tensor plain = values.detach();
        Tensor weight = plain.sub(Baseline.Values(plain, IsAntithetic));
        Baseline.Observe(plain);

        // What is added is zero; its gradient is weight times the score.
        return values.Plus(weight.mul(logDensity.sub(logDensity.detach())));
    }
}
