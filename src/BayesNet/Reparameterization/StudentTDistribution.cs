using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>
/// Student-t with fixed degrees of freedom nu: z = location + scale * eps, eps ~ t_nu. See <see cref="LearnedStudentTDistribution"/> for a
/// nu that is learned.
/// </summary>
public sealed class StudentTDistribution : LocationScaleDistribution
{
    /// <summary>Creates the distribution.</summary>
    /// <param name="location">The location; the mean where nu > 1.</param>
    /// <param name="scale">The scale; the variance is scale^2 nu / (nu - 2) where nu > 2.</param>
    /// <param name="degreesOfFreedom">nu, the tail index: moments of order below nu exist.</param>
    /// <exception cref="ArgumentException">A value is not finite, a scale is not above zero, or the two do not broadcast or differ in type.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="degreesOfFreedom"/> is not a finite number above zero.</exception>
    /// <exception cref="NotSupportedException">The parameters are not float32 or float64.</exception>
    public StudentTDistribution(Tensor location, Tensor scale, double degreesOfFreedom)
        : base(LocationScaleLaw.StudentT(degreesOfFreedom), location, scale)
        => DegreesOfFreedom = degreesOfFreedom;

    /// <summary>nu.</summary>
    public double DegreesOfFreedom { get; }

    /// <inheritdoc/>
    public override ReparameterizedDistribution WithParameters(IReadOnlyList<Tensor> parameters)
        => new StudentTDistribution(parameters[0], parameters[1], DegreesOfFreedom);
}
