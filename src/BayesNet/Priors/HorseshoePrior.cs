using BayesNet.Estimators;
using BayesNet.Kernels;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Priors;

/// <summary>
/// The horseshoe, entry by entry: w ~ N(0, tau^2 lambda^2) with lambda half-Cauchy of scale 1 (Carvalho, Polson and Scott 2010): an
/// infinite spike at zero and tails as heavy as Cauchy's. lambda is integrated out exactly.
/// </summary>
/// <remarks>
/// The density is e^u E1(u) / (tau sqrt(2 pi^3)) with u = w^2 / (2 tau^2), E1 the exponential integral. It is evaluated to about 1e-9 from
/// a table in ln u; its gradient at w = 0, where the density is infinite, is zero.
/// </remarks>
public sealed class HorseshoePrior : Prior
{
    // Below and above the table two terms of the series and five of the asymptotic expansion are exact to rounding or nearly so.
    private const double Low = -14;
    private const double High = 6;
    private static readonly TorchSharp.Scalar LowScalar = Low, HighScalar = High;
    private static readonly Lazy<HermiteTable> Table = new(() => HermiteTable.Of(
        logU => Math.Log(SpecialFunctions.ScaledExponentialIntegral(Math.Exp(logU))),
        logU => Math.Exp(logU) - 1 / SpecialFunctions.ScaledExponentialIntegral(Math.Exp(logU)),
        Low, High, 2560));

    /// <summary>Creates a prior.</summary>
    /// <param name="globalScale">tau.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="globalScale"/> is not a finite number above zero.</exception>
    public HorseshoePrior(double globalScale)
        : base(nameof(HorseshoePrior))
    {
        GlobalScale = Guard.Positive(globalScale);
        RegisterComponents();
    }

    /// <summary>tau.</summary>
    public double GlobalScale { get; }

    /// <summary>A prior with the given global scale for every tensor of a layer.</summary>
    public static PriorSpecification WithGlobalScale(double globalScale) => new Specification(Guard.Positive(globalScale));

    /// <inheritdoc/>
    public override Tensor LogDensity(Tensor weight)
    {
        ArgumentNullException.ThrowIfNull(weight);
        using var scope = NewDisposeScope();
        using TorchSharp.Scalar tiny = weight.dtype == ScalarType.Float64 ? 1e-150 : 1e-18;
        Tensor logU = weight.Times(1 / (Math.Sqrt(2) * GlobalScale)).abs().clamp_min(tiny).log().mul(Scalars.Two);
        return LogScaledExponentialIntegral(logU).Plus(-Math.Log(GlobalScale) - 0.5 * Math.Log(2 * Math.PI * Math.PI * Math.PI)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Sample(NoiseSource noise, ReadOnlySpan<long> shape, ScalarType dtype, Device device)
    {
        ArgumentNullException.ThrowIfNull(noise);
        using var scope = NewDisposeScope();
        Tensor lambda = BaseNoise.Cauchy.Draw(noise, shape, dtype, device).abs();
        return noise.Normal(shape, dtype, device).mul(lambda).Times(GlobalScale).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override string ToString() => Describe(GlobalScale);

    /// <summary>ln[e^u E1(u)] of ln u.</summary>
    private static Tensor LogScaledExponentialIntegral(Tensor logU)
    {
        Tensor below = logU.clamp_max(LowScalar), above = logU.clamp_min(HighScalar);

        // Small u: E1(u) = -gamma - ln u + u - ..., and ln e^u = u.
        Tensor u = below.exp();
        Tensor small = u.sub(below).Plus(-SpecialFunctions.EulerGamma).log().Plus(u);

        // Large u: e^u E1(u) = 1/u (1 - 1/u + 2/u^2 - 6/u^3 + 24/u^4 - ...).
        Tensor v = above.neg().exp();
        Tensor series = v.Times(24).Plus(-6).mul(v).Plus(2).mul(v).Plus(-1).mul(v);
        Tensor large = series.log1p().sub(above);
        return where(logU.lt(LowScalar), small, where(logU.gt(HighScalar), large, Table.Value.Evaluate(logU)));
    }

    private sealed record Specification(double GlobalScale) : PriorSpecification
    {
        public override Prior Create(Tensor like) => new HorseshoePrior(GlobalScale);
    }
}
