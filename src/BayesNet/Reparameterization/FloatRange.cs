using System.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>The numbers at the edge of float32 and float64 to which draws from open intervals are kept.</summary>
internal static class FloatRange
{
    private const double LeastNormalSingle = 1.1754943508222875e-38, LeastNormalDouble = 2.2250738585072014e-308;

    private static readonly Scalar LeastNormalFloat32 = LeastNormalSingle;
    private static readonly Scalar LeastNormalFloat64 = LeastNormalDouble;
    private static readonly Scalar BelowOneFloat32 = 1 - Math.ScaleB(1, -24);
    private static readonly Scalar BelowOneFloat64 = 1 - Math.ScaleB(1, -53);

    /// <summary>The least positive normal number.</summary>
    internal static Scalar LeastNormal(ScalarType dtype) => dtype == ScalarType.Float64 ? LeastNormalFloat64 : LeastNormalFloat32;

    /// <inheritdoc cref="LeastNormal(ScalarType)"/>
    internal static T LeastNormal<T>()
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => T.CreateTruncating(typeof(T) == typeof(double) ? LeastNormalDouble : LeastNormalSingle);

    /// <summary>Moves 0 and 1, which open-interval draws reach by rounding alone, to the nearest numbers inside; the gradient there is zero.</summary>
    internal static Tensor KeepInOpenUnitInterval(Tensor value)
        => value.dtype == ScalarType.Float64
            ? value.clamp(LeastNormalFloat64, BelowOneFloat64)
            : value.clamp(LeastNormalFloat32, BelowOneFloat32);
}
