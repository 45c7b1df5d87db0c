using BayesNet.Estimators;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>
/// Beta with concentrations a and b on (0, 1): z = g1 / (g1 + g2), g1 ~ Gamma(a, 1), g2 ~ Gamma(b, 1), density
/// z^(a-1) (1-z)^(b-1) / B(a, b).
/// </summary>
/// <remarks>
/// Noise: two standard normals an event, one for each Gamma by its quantile function; see <see cref="GammaDistribution"/> for that and for
/// the faster <see cref="Sample"/>. The ratio is made of logarithms, so that concentrations far below 1 work; draws that would round to 0
/// or 1 become the nearest number inside.
/// </remarks>
public sealed class BetaDistribution : ReparameterizedDistribution
{
    private readonly Tensor _concentration1, _concentration0;

    /// <summary>Creates the distribution; the parameters broadcast.</summary>
    /// <param name="concentration1">a, the power of z plus one.</param>
    /// <param name="concentration0">b, the power of 1 - z plus one.</param>
    /// <exception cref="ArgumentException">A value is not a finite number above zero, or shapes or types do not fit.</exception>
    /// <exception cref="NotSupportedException">The parameters are not float32 or float64.</exception>
    public BetaDistribution(Tensor concentration1, Tensor concentration0)
        : base(BaseNoise.Normal, [], [2], DistributionParameter.Positive(concentration1), DistributionParameter.Positive(concentration0))
        => (_concentration1, _concentration0) = (concentration1, concentration0);

    /// <inheritdoc/>
    public override bool HasClosedFormEntropy => true;

    /// <inheritdoc/>
    public override Tensor Sample(NoiseSource noise, params ReadOnlySpan<long> leading)
    {
        ArgumentNullException.ThrowIfNull(noise);
        using var scope = NewDisposeScope();
        long[] shape = [.. leading, .. BatchShape];
        Tensor first = StandardGamma.LogSample(_concentration1, noise, shape);
        return From(first, StandardGamma.LogSample(_concentration0, noise, shape)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Entropy()
    {
        // ln B(a, b) - (a-1) psi(a) - (b-1) psi(b) + (a+b-2) psi(a+b)
        using var scope = NewDisposeScope();
        Tensor a = _concentration1.to(ScalarType.Float64), b = _concentration0.to(ScalarType.Float64), sum = a.Plus(b);
        Tensor digammas = sum.Plus(-2).mul(sum.digamma()).sub(a.Plus(-1).mul(a.digamma())).sub(b.Plus(-1).mul(b.digamma()));
        return LogBeta(a, b).Plus(digammas).to(Dtype).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Mean()
    {
        using var scope = NewDisposeScope();
        return _concentration1.div(_concentration1.Plus(_concentration0)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Variance()
    {
        using var scope = NewDisposeScope();
        Tensor sum = _concentration1.Plus(_concentration0);
        return _concentration1.div(sum).mul(_concentration0.div(sum)).div(sum.Plus(1)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override ReparameterizedDistribution WithParameters(IReadOnlyList<Tensor> parameters)
        => new BetaDistribution(parameters[0], parameters[1]);

    /// <inheritdoc/>
    protected override Tensor Apply(Tensor eps)
    {
        using var scope = NewDisposeScope();
        Tensor first = StandardGamma.LogQuantile(_concentration1, eps.select(-1, 0));
        return From(first, StandardGamma.LogQuantile(_concentration0, eps.select(-1, 1))).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override Tensor LogDensityOf(Tensor z)
    {
        using var scope = NewDisposeScope();
        Tensor a = _concentration1.to(ScalarType.Float64), b = _concentration0.to(ScalarType.Float64), wide = z.to(ScalarType.Float64);
        Tensor inside = wide.gt(Scalars.Zero).logical_and(wide.lt(Scalars.One));
        Tensor safe = where(inside, wide, tensor(0.5, dtype: ScalarType.Float64, device: Device));
        Tensor density = a.Plus(-1).mul(safe.log()).Plus(b.Plus(-1).mul(safe.neg().log1p())).sub(LogBeta(a, b));
        return Inside(inside, density).to(Dtype).MoveToOuterDisposeScope();
    }

    private static Tensor LogBeta(Tensor a, Tensor b) => a.lgamma().Plus(b.lgamma()).sub(a.Plus(b).lgamma());

    private Tensor From(Tensor first, Tensor second) => FloatRange.KeepInOpenUnitInterval(first.sub(second).sigmoid().to(Dtype));
}
