using BayesNet.Prediction;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Likelihoods;

/// <summary>
/// y = f + scale * eps, eps ~ Student-t(nu): regression that far targets hardly move (Lange, Little and Taylor 1989). The gradient in f is
/// bounded, (nu + 1) z / (nu + z^2) / scale with z = (y - f) / scale.
/// </summary>
/// <remarks>
/// Output and target have the same shape, (batch, outputs) or (batch). What is learned is a point estimate: ln scale is the parameter
/// <c>log_scale</c>, and nu = <see cref="MinDegreesOfFreedom"/> + exp(<c>log_excess</c>). The noise's variance, scale^2 nu / (nu - 2), exists
/// for nu > 2 alone: a bound of 2, the default, keeps it finite; below, the predictive's standard deviation is infinite (1 &lt; nu &lt;= 2), or,
/// with its mean, NaN (nu &lt;= 1), while quantiles, intervals and densities are what they are.
/// </remarks>
public sealed class StudentTLikelihood : LocationScaleLikelihood
{
    [ComponentName(Name = "log_excess")]
    private readonly Parameter _logExcess;

    /// <summary>Creates the likelihood.</summary>
    /// <param name="learnScale">Whether the scale is trained with the network.</param>
    /// <param name="scale">The noise's scale, in units of the target: where it starts, or stays.</param>
    /// <param name="learnDegreesOfFreedom">Whether the degrees of freedom are trained with the network.</param>
    /// <param name="degreesOfFreedom">nu, above <paramref name="minDegreesOfFreedom"/>: where it starts, or stays.</param>
    /// <param name="minDegreesOfFreedom">What nu stays above; 2 by default, so that the noise has a variance.</param>
    /// <param name="missing">What NaN in a target means.</param>
    /// <param name="dtype">float32 or float64; null for the default type. The trainer converts it to the model's.</param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// <paramref name="scale"/> is not a finite number above zero, <paramref name="minDegreesOfFreedom"/> is below zero, or
    /// <paramref name="degreesOfFreedom"/> is not a finite number above it.
    /// </exception>
    public StudentTLikelihood(
        bool learnScale = true,
        double scale = 1,
        bool learnDegreesOfFreedom = false,
        double degreesOfFreedom = 4,
        double minDegreesOfFreedom = 2,
        MissingTargets missing = MissingTargets.Refused,
        ScalarType? dtype = null)
        : base(nameof(StudentTLikelihood), learnScale, scale, missing, dtype)
    {
        if (!double.IsFinite(minDegreesOfFreedom) || minDegreesOfFreedom < 0)
            throw new ArgumentOutOfRangeException(nameof(minDegreesOfFreedom), minDegreesOfFreedom, "minDegreesOfFreedom must be zero or a finite number above it.");
        if (!double.IsFinite(degreesOfFreedom) || degreesOfFreedom <= minDegreesOfFreedom)
        {
            throw new ArgumentOutOfRangeException(
                nameof(degreesOfFreedom), degreesOfFreedom,
                FormattableString.Invariant($"degreesOfFreedom must be a finite number above minDegreesOfFreedom, {minDegreesOfFreedom}; lower the bound for heavier tails."));
        }

        LearnDegreesOfFreedom = learnDegreesOfFreedom;
        MinDegreesOfFreedom = minDegreesOfFreedom;
        _logExcess = LogParameter.Create([degreesOfFreedom - minDegreesOfFreedom], learnDegreesOfFreedom, dtype);
        RegisterComponents();
    }

    /// <summary>Whether the degrees of freedom are trained with the network.</summary>
    public bool LearnDegreesOfFreedom { get; }

    /// <summary>What the degrees of freedom stay above.</summary>
    public double MinDegreesOfFreedom { get; }

    /// <summary>The degrees of freedom nu now.</summary>
    public double DegreesOfFreedom => MinDegreesOfFreedom + LogParameter.Values(_logExcess)[0];

    private protected override PredictiveLaw Law => PredictiveLaw.StudentT(DegreesOfFreedom);

    private protected override Tensor StandardLogDensity(Tensor standard)
    {
        using var scope = NewDisposeScope();

        // The normalizer is a difference of log Gammas, which cancels in float32.
        Tensor nu = _logExcess.to(ScalarType.Float64).exp().Plus(MinDegreesOfFreedom);
        Tensor normalizer = LocationScaleLaw.StudentTLogNormalizer(nu).to(standard.dtype);
        Tensor tail = LocationScaleLaw.LogHypotenuse(standard.mul(nu.rsqrt().to(standard.dtype)));
        return tail.mul(nu.Plus(1).to(standard.dtype)).Plus(normalizer).neg().MoveToOuterDisposeScope();
    }
}
