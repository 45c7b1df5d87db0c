using BayesNet.Reparameterization;
using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Diagnostics;

/// <summary>The grid of a floating-point type: what becomes of mu + delta when it is rounded to nearest.</summary>
/// <remarks>All tensors are float64 and exact: the types' numbers have at most 24 bits.</remarks>
internal sealed class Rounding
{
    private static readonly Scalar LeastMagnitude = double.Epsilon;

    // Beyond this sigma/h, rounding adds a uniform error: the variance is sigma^2 + h^2/3 to within e^(-pi^2 sigma^2 / 2 h^2) = 1e-19.
    private const double FineGrid = 3;
    private const int CoarseTerms = 16;

    private readonly int _precision;
    private readonly int _leastExponent;

    private Rounding(int precision, int leastExponent) => (_precision, _leastExponent) = (precision, leastExponent);

    /// <summary>The grid of float32, float16 or bfloat16.</summary>
    /// <exception cref="NotSupportedException">The type is another.</exception>
    internal static Rounding Of(ScalarType dtype) => dtype switch
    {
        ScalarType.Float32 => new Rounding(24, -126),
        ScalarType.Float16 => new Rounding(11, -14),
        ScalarType.BFloat16 => new Rounding(8, -126),
        _ => throw new NotSupportedException($"dtype is {dtype}; absorption is told for Float32, Float16 and BFloat16."),
    };

    /// <summary>The least normal number.</summary>
    internal double LeastNormal => Math.ScaleB(1, _leastExponent);

    /// <summary>
    /// Half the distance from |mu| to its neighbour away from zero and to that towards zero. They differ where |mu| is a power of two, the
    /// spacing below it being half of that above.
    /// </summary>
    internal (Tensor Away, Tensor Towards) HalfSpacings(Tensor mean)
    {
        using var scope = NewDisposeScope();
        using Scalar least = (double)_leastExponent, shift = -(double)_precision;
        Tensor magnitude = mean.abs();
        Tensor exponent = magnitude.clamp_min(LeastMagnitude).log2().floor().clamp_min(least);
        Tensor away = exponent.add(shift, Scalars.One).exp2();
        Tensor isPower = magnitude.eq(exponent.exp2()).logical_and(exponent.gt(least));
        Tensor towards = where(isPower, away.mul(Scalars.Half), away);
        return (away.MoveToOuterDisposeScope(), towards.MoveToOuterDisposeScope());
    }

    /// <summary>P(fl(mu + sigma eps) = mu): erf(h / (sigma sqrt 2)) where the spacings are equal, the mean of two such terms where not.</summary>
    internal static Tensor AbsorbedShare((Tensor Away, Tensor Towards) half, Tensor stdDev)
    {
        using var scope = NewDisposeScope();
        Tensor root = stdDev.Times(Math.Sqrt(2));
        return half.Away.div(root).erf().Plus(half.Towards.div(root).erf()).mul(Scalars.Half).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// E[(fl(mu + sigma eps) - mu)^2] = sum over k != 0 of (2hk)^2 [Phi((2k+1)h/sigma) - Phi((2k-1)h/sigma)], the terms of either sign with the
    /// spacing of their side. The spacing is taken to be that next to mu all along.
    /// </summary>
    internal static Tensor EffectiveVariance((Tensor Away, Tensor Towards) half, Tensor stdDev)
    {
        using var scope = NewDisposeScope();
        return OneSide(half.Away, stdDev).Plus(OneSide(half.Towards, stdDev)).MoveToOuterDisposeScope();
    }

    private static Tensor OneSide(Tensor half, Tensor stdDev)
    {
        using var scope = NewDisposeScope();
        using Scalar fine = FineGrid;
        Tensor width = half.div(stdDev);
        Tensor sum = zeros_like(width);
        Tensor above = StandardNormal.Cdf(width.neg());
        for (int k = 1; k <= CoarseTerms; k++)
        {
            Tensor next = StandardNormal.Cdf(width.Times(-(2 * k + 1)));
            sum = sum.Plus(above.sub(next).Times(4.0 * k * k));
            above = next;
        }

        Tensor squared = half.Squared();
        Tensor uniform = stdDev.Squared().mul(Scalars.Half).Plus(squared.Times(1.0 / 6));
        return where(stdDev.gt(half.mul(fine)), uniform, sum.mul(squared)).MoveToOuterDisposeScope();
    }
}
