using System.Numerics;
using System.Runtime.CompilerServices;

namespace BayesNet.Kernels;

/// <summary>Vectors of float32 or float64 as float64, for sums that must not lose what they add.</summary>
internal static class InDouble
{
    /// <summary>The entries in float64: two vectors for float32; the vector itself and zeros for float64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static (Vector<double> Low, Vector<double> High) Widen<T>(Vector<T> values)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        if (typeof(T) == typeof(double))
            return (values.As<T, double>(), Vector<double>.Zero);
        Vector.Widen(values.As<T, float>(), out Vector<double> low, out Vector<double> high);
        return (low, high);
    }
}
