using BayesNet.Runtime;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Likelihoods;

/// <summary>
/// y negative binomial with mean mu = exp(f), or exposure exp(f), and variance mu + alpha mu^2: counts that scatter more than Poisson's, a
/// Gamma mixture of them (Greenwood and Yule 1920). alpha, the dispersion, is one number, fixed or learned; at 0 the law is Poisson's.
/// </summary>
/// <inheritdoc/>
public sealed class NegativeBinomialLikelihood : CountLikelihood
{
    [ComponentName(Name = "log_dispersion")]
    private readonly Parameter _logDispersion;

    /// <summary>Creates the likelihood.</summary>
    /// <param name="learnDispersion">Whether the dispersion is trained with the network, as a point estimate.</param>
    /// <param name="dispersion">alpha: where it starts, or stays.</param>
    /// <param name="hasExposure">Whether targets hold exposures behind the counts, (batch, ..., 2 K).</param>
    /// <param name="missing">What NaN in a target's counts means.</param>
    /// <param name="dtype">float32 or float64; null for the default type. The trainer converts it to the model's.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="dispersion"/> is not a finite number above zero.</exception>
    public NegativeBinomialLikelihood(
        bool learnDispersion = true, double dispersion = 0.5, bool hasExposure = false, MissingTargets missing = MissingTargets.Refused, ScalarType? dtype = null)
        : base(nameof(NegativeBinomialLikelihood), hasExposure, missing)
    {
        Guard.Positive(dispersion);
        LearnDispersion = learnDispersion;
        _logDispersion = LogParameter.Create([dispersion], learnDispersion, dtype);
        RegisterComponents();
    }

    /// <summary>Whether the dispersion is trained with the network.</summary>
    public bool LearnDispersion { get; }

    /// <summary>The dispersion alpha now; variance mu + alpha mu^2.</summary>
    public double Dispersion => LogParameter.Values(_logDispersion)[0];

    private protected override Parameter? LogDispersion => _logDispersion;
}
