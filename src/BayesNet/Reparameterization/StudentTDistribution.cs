using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>
/// Student-t with fixed degrees of freedom nu: z = location + scale * eps, eps ~ t_nu. See <see cref="LearnedStudentTDistribution"/> for a
/// nu that is learned.
/// </summary>
public sealed class StudentTDistribution : LocationScaleDistribution
{
    private readonly double _logNormalizer;

    /// <summary>Creates the distribution.</summary>
    /// <param name="location">The location; the mean where nu > 1.</param>
    /// <param name="scale">The scale; the variance is scale^2 nu / (nu - 2) where nu > 2.</param>
    /// <param name="degreesOfFreedom">nu, the tail index: moments of order below nu exist.</param>
    /// <exception cref="ArgumentException">A value is not finite, a scale is not above zero, or the two do not broadcast or differ in type.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="degreesOfFreedom"/> is not a finite number above zero.</exception>
    /// <exception cref="NotSupportedException">The parameters are not float32 or float64.</exception>
    public StudentTDistribution(Tensor location, Tensor scale, double degreesOfFreedom)
        : base(BaseNoise.StudentT(degreesOfFreedom), location, scale)
    {
        DegreesOfFreedom = degreesOfFreedom;
        using var scope = NewDisposeScope();
        Tensor nu = tensor(degreesOfFreedom, dtype: ScalarType.Float64);
        _logNormalizer = LogNormalizer(nu).item<double>();
        StandardEntropy = EntropyOf(nu).item<double>();
    }

    /// <summary>nu.</summary>
    public double DegreesOfFreedom { get; }

    /// <inheritdoc/>
    protected override double StandardEntropy { get; }

    /// <inheritdoc/>
    protected override double StandardMean => DegreesOfFreedom > 1 ? 0 : double.NaN;

    /// <inheritdoc/>
    protected override double StandardVariance
        => DegreesOfFreedom > 2 ? DegreesOfFreedom / (DegreesOfFreedom - 2) : DegreesOfFreedom > 1 ? double.PositiveInfinity : double.NaN;

    /// <inheritdoc/>
    public override ReparameterizedDistribution WithParameters(IReadOnlyList<Tensor> parameters)
        => new StudentTDistribution(parameters[0], parameters[1], DegreesOfFreedom);

    /// <inheritdoc/>
    protected override Tensor StandardLogDensity(Tensor eps)
        => LogHypotenuse(eps.Times(1 / Math.Sqrt(DegreesOfFreedom))).Times(-(DegreesOfFreedom + 1)).Plus(-_logNormalizer);

    /// <summary>ln[sqrt(nu) B(nu/2, 1/2)], the negative log density at the mode of the standard law; nu in float64.</summary>
    internal static Tensor LogNormalizer(Tensor nu)
    {
        using var scope = NewDisposeScope();
        Tensor half = nu.mul(Scalars.Half);
        Tensor logBeta = half.lgamma().sub(half.Plus(0.5).lgamma()).Plus(0.5 * Math.Log(Math.PI));
        return nu.log().mul(Scalars.Half).Plus(logBeta).MoveToOuterDisposeScope();
    }

    /// <summary>(nu+1)/2 [psi((nu+1)/2) - psi(nu/2)] + ln[sqrt(nu) B(nu/2, 1/2)]; nu in float64.</summary>
    internal static Tensor EntropyOf(Tensor nu)
    {
        using var scope = NewDisposeScope();
        Tensor half = nu.mul(Scalars.Half), halfUp = half.Plus(0.5);
        return halfUp.mul(halfUp.digamma().sub(half.digamma())).Plus(LogNormalizer(nu)).MoveToOuterDisposeScope();
    }
}
