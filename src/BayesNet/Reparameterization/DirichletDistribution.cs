using BayesNet.Estimators;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>
/// Dirichlet with concentrations a_1, ..., a_K on the simplex: z = g / sum(g), g_k ~ Gamma(a_k, 1). The density is with respect to the
/// first K - 1 entries.
/// </summary>
/// <remarks>
/// Noise: K standard normals an event, one for each Gamma by its quantile function; see <see cref="GammaDistribution"/> for that and for
/// the faster <see cref="Sample"/>. The ratio is a softmax of logarithms; entries that would round to 0 or 1 become the nearest number
/// inside.
/// </remarks>
public sealed class DirichletDistribution : ReparameterizedDistribution
{
    private readonly Tensor _concentration;

    /// <summary>Creates the distribution.</summary>
    /// <param name="concentration">(B, K), K at least 2.</param>
    /// <exception cref="ArgumentException">A value is not a finite number above zero, or there are fewer than two entries.</exception>
    /// <exception cref="NotSupportedException">The parameter is not float32 or float64.</exception>
    public DirichletDistribution(Tensor concentration)
        : base(BaseNoise.Normal, Classes(concentration), Classes(concentration), DistributionParameter.Positive(concentration, 1))
        => _concentration = concentration;

    /// <inheritdoc/>
    public override bool HasClosedFormEntropy => true;

    /// <inheritdoc/>
    public override Tensor Sample(NoiseSource noise, params ReadOnlySpan<long> leading)
    {
        ArgumentNullException.ThrowIfNull(noise);
        using var scope = NewDisposeScope();
        return From(StandardGamma.LogSample(_concentration, noise, [.. leading, .. BatchShape, .. EventShape])).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Entropy()
    {
        // ln B(a) + (sum(a) - K) psi(sum(a)) - sum (a_k - 1) psi(a_k)
        using var scope = NewDisposeScope();
        Tensor a = _concentration.to(ScalarType.Float64), sum = a.sum(dim: -1);
        Tensor digammas = sum.Plus(-EventShape[0]).mul(sum.digamma()).sub(a.Plus(-1).mul(a.digamma()).sum(dim: -1));
        return LogNormalizer(a).Plus(digammas).to(Dtype).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Mean()
    {
        using var scope = NewDisposeScope();
        return _concentration.div(_concentration.sum(-1, keepdim: true)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Variance()
    {
        using var scope = NewDisposeScope();
        Tensor sum = _concentration.sum(-1, keepdim: true), mean = _concentration.div(sum);
        return mean.mul(sum.sub(_concentration).div(sum)).div(sum.Plus(1)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override ReparameterizedDistribution WithParameters(IReadOnlyList<Tensor> parameters) => new DirichletDistribution(parameters[0]);

    /// <inheritdoc/>
    protected override Tensor Apply(Tensor eps)
    {
        using var scope = NewDisposeScope();
        return From(StandardGamma.LogQuantile(_concentration, eps)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>Entries must be above zero; that they sum to one is taken for granted.</remarks>
    protected override Tensor LogDensityOf(Tensor z)
    {
        using var scope = NewDisposeScope();
        Tensor a = _concentration.to(ScalarType.Float64), wide = z.to(ScalarType.Float64);
        Tensor inside = wide.gt(Scalars.Zero);
        Tensor safe = where(inside, wide, ones_like(wide));
        Tensor density = a.Plus(-1).mul(safe.log()).sum(dim: -1).sub(LogNormalizer(a));
        return Inside(inside.all(-1), density).to(Dtype).MoveToOuterDisposeScope();
    }

    private static long[] Classes(Tensor concentration)
    {
        ArgumentNullException.ThrowIfNull(concentration);
        return concentration.dim() >= 1 && concentration.size(-1) >= 2
            ? [concentration.size(-1)]
            : throw new ArgumentException(
                $"concentration has shape {Guard.Format(concentration.shape)}; its last dimension holds the classes, two or more.",
                nameof(concentration));
    }

    private static Tensor LogNormalizer(Tensor a) => a.lgamma().sum(dim: -1).sub(a.sum(dim: -1).lgamma());

    private Tensor From(Tensor logGamma) => FloatRange.KeepInOpenUnitInterval(logGamma.softmax(-1).to(Dtype));
}
