namespace BayesNet.Likelihoods;

/// <summary>
/// y ~ Poisson(exp(f)), or Poisson(exposure exp(f)): counts whose variance is their mean. ln p = y f - e^f - ln y!. The gradient in f grows
/// as e^f, faster than any power.
/// </summary>
/// <inheritdoc/>
public sealed class PoissonLikelihood : CountLikelihood
{
    /// <summary>Creates the likelihood.</summary>
    /// <param name="hasExposure">Whether targets hold exposures behind the counts, (batch, ..., 2 K).</param>
    /// <param name="missing">What NaN in a target's counts means.</param>
    public PoissonLikelihood(bool hasExposure = false, MissingTargets missing = MissingTargets.Refused)
        : base(nameof(PoissonLikelihood), hasExposure, missing)
        => RegisterComponents();
}
