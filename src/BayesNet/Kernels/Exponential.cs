using System.Numerics;
using System.Runtime.CompilerServices;
using BayesNet.Reparameterization;

namespace BayesNet.Kernels;

/// <summary>
/// exp(2x), the variance that a log standard deviation stands for, one vector at a time, to a few units in the last place. .NET's own vector
/// exponential takes several times as long.
/// </summary>
/// <remarks>
/// exp(x) = 2^n exp(r) with n the nearest whole number to x / ln 2, so that |r| is at most ln(2) / 2, and exp(r) by its Taylor series: the first
/// term left out, r^8 / 8! for float32 and r^14 / 14! for float64, is below a tenth of a unit in the last place. What would not be a normal number is
/// zero or infinity; NaN stays NaN.
/// </remarks>
internal readonly struct Exponential<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    private const int FloatTerms = 7, DoubleTerms = 13;

    private readonly Vector<T> _most, _perLogTwo, _rounder, _logTwoHigh, _logTwoLow, _leastNormal;
    private readonly Terms _terms;

    public Exponential()
    {
        bool single = typeof(T) == typeof(float);

        // Beyond this exp(2x) is zero or infinite, and exp(x) still has room.
        _most = Of(single ? 50 : 400);
        _perLogTwo = Of(1 / Math.Log(2));

        // x + 1.5 * 2^(digits - 1) has no bits for a fraction, and the whole number in its last ones.
        _rounder = Of(single ? 12582912.0 : 6755399441055744.0);

        // The first part of ln 2 has trailing zeros, so that its product with n is exact (Cody and Waite 1980).
        _logTwoHigh = Of(single ? 0.693359375 : 6.93145751953125e-1);
        _logTwoLow = Of(single ? -2.12194440054690583e-4 : 1.42860682030941723212e-6);
        _leastNormal = new Vector<T>(FloatRange.LeastNormal<T>());
        double factorial = 1;
        for (int k = 0; k <= DoubleTerms; k++)
        {
            factorial *= Math.Max(1, k);
            _terms[k] = Of(1 / factorial);
        }
    }

    /// <summary>exp(2x), entry by entry.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal Vector<T> OfTwice(Vector<T> x)
    {
        x = Vector.ConditionalSelect(Vector.GreaterThan(x, _most), _most, x);
        x = Vector.ConditionalSelect(Vector.LessThan(x, -_most), -_most, x);
        Vector<T> shifted = MultiplyAdd(x, _perLogTwo, _rounder);
        Vector<T> n = shifted - _rounder;
        Vector<T> r = x - n * _logTwoHigh - n * _logTwoLow;
        Vector<T> exp;
        if (typeof(T) == typeof(float))
        {
            exp = _terms[FloatTerms];
            for (int k = FloatTerms - 1; k >= 0; k--)
                exp = MultiplyAdd(exp, r, _terms[k]);
            Vector<int> bits = Vector.ShiftLeft(Vector.AsVectorInt32(shifted), 23) + new Vector<int>(127 << 23);
            exp *= bits.As<int, T>();
        }
        else
        {
            exp = _terms[DoubleTerms];
            for (int k = DoubleTerms - 1; k >= 0; k--)
                exp = MultiplyAdd(exp, r, _terms[k]);
            Vector<long> bits = Vector.ShiftLeft(Vector.AsVectorInt64(shifted), 52) + new Vector<long>(1023L << 52);
            exp *= bits.As<long, T>();
        }

        exp *= exp;
        return Vector.ConditionalSelect(Vector.LessThan(exp, _leastNormal), Vector<T>.Zero, exp);
    }

    private static Vector<T> Of(double value) => new(T.CreateTruncating(value));

    private static Vector<T> MultiplyAdd(Vector<T> a, Vector<T> b, Vector<T> c)
        => typeof(T) == typeof(float)
            ? Vector.MultiplyAddEstimate(a.As<T, float>(), b.As<T, float>(), c.As<T, float>()).As<float, T>()
            : Vector.MultiplyAddEstimate(a.As<T, double>(), b.As<T, double>(), c.As<T, double>()).As<double, T>();

    [InlineArray(DoubleTerms + 1)]
    private struct Terms
    {
        private Vector<T> _first;
    }
}
