using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>
/// A standard law on the line, location 0 and scale 1: what distributions, weight posteriors and priors of one family share.
/// </summary>
/// <param name="Noise">How it is drawn.</param>
/// <param name="Entropy">Its entropy in nats.</param>
/// <param name="Mean">Its mean: 0, or NaN where it does not exist.</param>
/// <param name="Variance">Its variance, infinite or NaN where it does not exist.</param>
/// <param name="LogDensity">Its log density, entry by entry; called inside a dispose scope.</param>
internal sealed record LocationScaleLaw(BaseNoise Noise, double Entropy, double Mean, double Variance, Func<Tensor, Tensor> LogDensity)
{
    internal static readonly double HalfLogTwoPi = 0.5 * Math.Log(2 * Math.PI);

    internal static LocationScaleLaw Normal { get; } = new(
        BaseNoise.Normal, HalfLogTwoPi + 0.5, 0, 1, eps => eps.Squared().mul(Scalars.Half).Plus(HalfLogTwoPi).neg());

    internal static LocationScaleLaw Laplace { get; } = new(
        BaseNoise.Laplace, 1 + Math.Log(2), 0, 2, eps => eps.abs().Plus(Math.Log(2)).neg());

    internal static LocationScaleLaw Logistic { get; } = new(
        BaseNoise.Logistic, 2, 0, Math.PI * Math.PI / 3, eps => nn.functional.logsigmoid(eps).Plus(nn.functional.logsigmoid(eps.neg())));

    /// <summary>On (-1/2, 1/2).</summary>
    internal static LocationScaleLaw Uniform { get; } = new(BaseNoise.Uniform, 0, 0, 1.0 / 12, eps =>
    {
        Tensor inside = zeros_like(eps);
        return where(eps.abs().le(Scalars.Half), inside, inside.Plus(double.NegativeInfinity));
    });

    internal static LocationScaleLaw Cauchy { get; } = new(
        BaseNoise.Cauchy, Math.Log(4 * Math.PI), double.NaN, double.NaN, eps => LogHypotenuse(eps).mul(Scalars.Two).Plus(Math.Log(Math.PI)).neg());

    /// <summary>Student-t with fixed degrees of freedom.</summary>
    internal static LocationScaleLaw StudentT(double degreesOfFreedom)
    {
        BaseNoise noise = BaseNoise.StudentT(degreesOfFreedom);
        using var scope = NewDisposeScope();
        Tensor nu = tensor(degreesOfFreedom, dtype: ScalarType.Float64);
        double logNormalizer = StudentTLogNormalizer(nu).item<double>();
        return new LocationScaleLaw(
            noise,
            StudentTEntropy(nu).item<double>(),
            degreesOfFreedom > 1 ? 0 : double.NaN,
            degreesOfFreedom > 2 ? degreesOfFreedom / (degreesOfFreedom - 2) : degreesOfFreedom > 1 ? double.PositiveInfinity : double.NaN,
            eps => LogHypotenuse(eps.Times(1 / Math.Sqrt(degreesOfFreedom))).Times(-(degreesOfFreedom + 1)).Plus(-logNormalizer));
    }

    /// <summary>ln[sqrt(nu) B(nu/2, 1/2)], the negative log density of Student-t at its mode; nu in float64.</summary>
    internal static Tensor StudentTLogNormalizer(Tensor nu)
    {
        using var scope = NewDisposeScope();
        Tensor half = nu.mul(Scalars.Half);
        Tensor logBeta = half.lgamma().sub(half.Plus(0.5).lgamma()).Plus(0.5 * Math.Log(Math.PI));
        return nu.log().mul(Scalars.Half).Plus(logBeta).MoveToOuterDisposeScope();
    }

    /// <summary>(nu+1)/2 [psi((nu+1)/2) - psi(nu/2)] + ln[sqrt(nu) B(nu/2, 1/2)]; nu in float64.</summary>
    internal static Tensor StudentTEntropy(Tensor nu)
    {
        using var scope = NewDisposeScope();
        Tensor half = nu.mul(Scalars.Half), halfUp = half.Plus(0.5);
        return halfUp.mul(halfUp.digamma().sub(half.digamma())).Plus(StudentTLogNormalizer(nu)).MoveToOuterDisposeScope();
    }

    /// <summary>ln sqrt(1 + x^2), which neither overflows for large x nor has a singular gradient at 0.</summary>
    internal static Tensor LogHypotenuse(Tensor x)
    {
        using var scope = NewDisposeScope();
        return hypot(x, ones([], dtype: x.dtype, device: x.device)).log().MoveToOuterDisposeScope();
    }
}
