using BayesNet.Estimators;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>
/// Student-t whose degrees of freedom are learned: z = location + scale * n / sqrt(g / (nu/2)), n ~ N(0, 1), g ~ Gamma(nu/2, 1). The
/// gradient in nu is the implicit one of the Gamma.
/// </summary>
/// <remarks>
/// Noise: two standard normals an event; the first is n, the second gives g by its quantile function (see
/// <see cref="GammaDistribution"/>). Negating both, or the first alone, leaves the law as it is.
/// </remarks>
public sealed class LearnedStudentTDistribution : ReparameterizedDistribution
{
    private readonly Tensor _location, _scale, _degreesOfFreedom;

    /// <summary>Creates the distribution; the parameters broadcast.</summary>
    /// <param name="location">The location.</param>
    /// <param name="scale">The scale.</param>
    /// <param name="degreesOfFreedom">nu.</param>
    /// <exception cref="ArgumentException">A value is not finite, a scale or nu is not above zero, or shapes or types do not fit.</exception>
    /// <exception cref="NotSupportedException">The parameters are not float32 or float64.</exception>
    public LearnedStudentTDistribution(Tensor location, Tensor scale, Tensor degreesOfFreedom)
        : base(
            BaseNoise.Normal, [], [2],
            DistributionParameter.Real(location), DistributionParameter.Positive(scale), DistributionParameter.Positive(degreesOfFreedom))
        => (_location, _scale, _degreesOfFreedom) = (location, scale, degreesOfFreedom);

    /// <summary>The smallest nu, as it is now.</summary>
    public override double TailIndex
    {
        get
        {
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            return _degreesOfFreedom.min().to(ScalarType.Float64).item<double>();
        }
    }

    /// <inheritdoc/>
    public override bool HasClosedFormEntropy => true;

    /// <inheritdoc/>
    public override Tensor Sample(NoiseSource noise, params ReadOnlySpan<long> leading)
    {
        ArgumentNullException.ThrowIfNull(noise);
        using var scope = NewDisposeScope();
        long[] shape = [.. leading, .. BatchShape];
        Tensor normal = noise.Normal(shape, Dtype, Device);
        Tensor half = _degreesOfFreedom.to(ScalarType.Float64).mul(Scalars.Half);
        return From(normal, half, StandardGamma.LogSample(half, noise, shape)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Entropy()
    {
        using var scope = NewDisposeScope();
        Tensor standard = LocationScaleLaw.StudentTEntropy(_degreesOfFreedom.to(ScalarType.Float64)).to(Dtype);
        return ToBatch(_scale.log().Plus(standard)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Mean()
    {
        using var scope = NewDisposeScope();
        Tensor undefined = _degreesOfFreedom.le(Scalars.One);
        return ToBatch(where(undefined, Constant(double.NaN), _location)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Variance()
    {
        using var scope = NewDisposeScope();
        Tensor nu = _degreesOfFreedom;
        Tensor none = where(nu.le(Scalars.One), Constant(double.NaN), Constant(double.PositiveInfinity));
        Tensor finite = nu.gt(Scalars.Two);
        Tensor safe = where(finite, nu, Constant(4));
        return ToBatch(where(finite, _scale.Squared().mul(safe).div(safe.Plus(-2)), none)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override ReparameterizedDistribution WithParameters(IReadOnlyList<Tensor> parameters)
        => new LearnedStudentTDistribution(parameters[0], parameters[1], parameters[2]);

    /// <inheritdoc/>
    protected override Tensor Apply(Tensor eps)
    {
        using var scope = NewDisposeScope();
        Tensor half = _degreesOfFreedom.to(ScalarType.Float64).mul(Scalars.Half);
        return From(eps.select(-1, 0), half, StandardGamma.LogQuantile(half, eps.select(-1, 1))).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override Tensor LogDensityOf(Tensor z)
    {
        using var scope = NewDisposeScope();
        Tensor nu = _degreesOfFreedom.to(ScalarType.Float64);
        Tensor x = z.sub(_location).div(_scale).to(ScalarType.Float64).div(nu.sqrt());
        Tensor logHypotenuse = LocationScaleLaw.LogHypotenuse(x);
        Tensor standard = logHypotenuse.mul(nu.Plus(1)).Plus(LocationScaleLaw.StudentTLogNormalizer(nu)).neg();
        return standard.to(Dtype).sub(_scale.log()).MoveToOuterDisposeScope();
    }

    // The ratio is made in float64: a Gamma draw of small shape is often below the range of float32.
    private Tensor From(Tensor normal, Tensor half, Tensor logGamma)
    {
        Tensor ratio = half.log().sub(logGamma).mul(Scalars.Half).exp();
        return addcmul(_location, _scale, ratio.mul(normal).to(Dtype), Scalars.One);
    }

    private Tensor Constant(double value) => tensor(value, dtype: Dtype, device: Device);
}
