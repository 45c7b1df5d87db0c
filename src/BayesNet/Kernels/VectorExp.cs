using System.Numerics;
using System.Runtime.CompilerServices;

namespace BayesNet.Kernels;

/// <summary>
/// e^x entry by entry on the processor's vectors, within 1.5 units in the last place on the whole range, subnormal results, infinities and
/// NaN included.
/// </summary>
/// <remarks>
/// x = n ln 2 + r with |r| at most (ln 2) / 2, ln 2 in two parts of which n times the first is exact (Cody and Waite 1980, chapter 6); e^r by
/// its Taylor polynomial, cut where the rest is below a tenth of a unit; 2^n in two factors, so that a subnormal result is rounded once. .NET's own
/// <c>Vector256.Exp</c> takes float32 through float64 and costs about three times as much.
/// </remarks>
internal static class VectorExp
{
    private const float Log2EF = 1.44269504f;
    private const float Ln2HighF = 0.693145751953125f, Ln2LowF = 1.42860677e-6f;
    private const double Ln2High = 0.69314718036912382, Ln2Low = 1.9082149292705877e-10;

    // 1.5 * 2^(mantissa bits): adding it rounds to an integer, which then stands in the lowest bits.
    private const float ShifterF = 12582912f;
    private const double Shifter = 6755399441055744;

    /// <summary>e^x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector<T> Exp<T>(Vector<T> x)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => typeof(T) == typeof(float) ? Exp(x.As<T, float>()).As<float, T>()
            : typeof(T) == typeof(double) ? Exp(x.As<T, double>()).As<double, T>()
            : throw new NotSupportedException($"No vector exponential for {typeof(T).Name}.");

    /// <summary>e^x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector<float> Exp(Vector<float> x)
    {
        // Beyond these ends the result is 0 or infinite. In this order of arguments a NaN passes through.
        Vector<float> clamped = Vector.MaxNative(Vector.Create(-104f), Vector.MinNative(Vector.Create(89f), x));
        Vector<float> shifted = Vector.MultiplyAddEstimate(clamped, Vector.Create(Log2EF), Vector.Create(ShifterF));
        Vector<float> n = shifted - Vector.Create(ShifterF);
        Vector<float> r = Vector.MultiplyAddEstimate(n, Vector.Create(-Ln2HighF), clamped);
        r = Vector.MultiplyAddEstimate(n, Vector.Create(-Ln2LowF), r);
        Vector<float> p = Vector.Create(1 / 5040f);
        p = Vector.MultiplyAddEstimate(p, r, Vector.Create(1 / 720f));
        p = Vector.MultiplyAddEstimate(p, r, Vector.Create(1 / 120f));
        p = Vector.MultiplyAddEstimate(p, r, Vector.Create(1 / 24f));
        p = Vector.MultiplyAddEstimate(p, r, Vector.Create(1 / 6f));
        p = Vector.MultiplyAddEstimate(p, r, Vector.Create(1 / 2f));
        p = Vector.MultiplyAddEstimate(p * r, r, r) + Vector<float>.One;
        Vector<int> exponent = Vector.AsVectorInt32(shifted) - Vector.AsVectorInt32(Vector.Create(ShifterF));
        Vector<int> half = Vector.ShiftRightArithmetic(exponent, 1);
        return p * PowerOfTwo(half) * PowerOfTwo(exponent - half);

        static Vector<float> PowerOfTwo(Vector<int> n) => Vector.AsVectorSingle(Vector.ShiftLeft(n + Vector.Create(127), 23));
    }

    /// <summary>e^x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector<double> Exp(Vector<double> x)
    {
        Vector<double> clamped = Vector.MaxNative(Vector.Create(-746.0), Vector.MinNative(Vector.Create(710.0), x));
        Vector<double> shifted = Vector.MultiplyAddEstimate(clamped, Vector.Create(1 / Math.Log(2)), Vector.Create(Shifter));
        Vector<double> n = shifted - Vector.Create(Shifter);
        Vector<double> r = Vector.MultiplyAddEstimate(n, Vector.Create(-Ln2High), clamped);
        r = Vector.MultiplyAddEstimate(n, Vector.Create(-Ln2Low), r);
        Vector<double> p = Vector.Create(1 / 6227020800.0);
        p = Vector.MultiplyAddEstimate(p, r, Vector.Create(1 / 479001600.0));
        p = Vector.MultiplyAddEstimate(p, r, Vector.Create(1 / 39916800.0));
        p = Vector.MultiplyAddEstimate(p, r, Vector.Create(1 / 3628800.0));
        p = Vector.MultiplyAddEstimate(p, r, Vector.Create(1 / 362880.0));
        p = Vector.MultiplyAddEstimate(p, r, Vector.Create(1 / 40320.0));
        p = Vector.MultiplyAddEstimate(p, r, Vector.Create(1 / 5040.0));
        p = Vector.MultiplyAddEstimate(p, r, Vector.Create(1 / 720.0));
        p = Vector.MultiplyAddEstimate(p, r, Vector.Create(1 / 120.0));
        p = Vector.MultiplyAddEstimate(p, r, Vector.Create(1 / 24.0));
        p = Vector.MultiplyAddEstimate(p, r, Vector.Create(1 / 6.0));
        p = Vector.MultiplyAddEstimate(p, r, Vector.Create(1 / 2.0));
        p = Vector.MultiplyAddEstimate(p * r, r, r) + Vector<double>.One;
        Vector<long> exponent = Vector.AsVectorInt64(shifted) - Vector.AsVectorInt64(Vector.Create(Shifter));

        // A logical shift of the exponent raised above zero: AVX2 has no arithmetic shift of 64 bits.
        Vector<long> half = Vector.ShiftRightLogical(exponent + Vector.Create(2048L), 1) - Vector.Create(1024L);
        return p * PowerOfTwo(half) * PowerOfTwo(exponent - half);

        static Vector<double> PowerOfTwo(Vector<long> n) => Vector.AsVectorDouble(Vector.ShiftLeft(n + Vector.Create(1023L), 52));
    }
}
