using System.Numerics;
using System.Runtime.CompilerServices;

namespace BayesNet.Kernels;

/// <summary>How a standard deviation sigma is made of its parameter rho, inside of a kernel: the twin of a <see cref="Posteriors.ScaleParameterization"/>.</summary>
internal interface IScale<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <summary>sigma^2, ln sigma, and the derivative of ln sigma in rho.</summary>
    static abstract void Of(Vector<T> rho, out Vector<T> variance, out Vector<T> logScale, out Vector<T> slope);

    /// <inheritdoc cref="Of(Vector{T}, out Vector{T}, out Vector{T}, out Vector{T})"/>
    static abstract void Of(T rho, out T variance, out T logScale, out T slope);
}

/// <summary>sigma = e^rho.</summary>
internal readonly struct LogScale<T> : IScale<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Of(Vector<T> rho, out Vector<T> variance, out Vector<T> logScale, out Vector<T> slope)
        => (variance, logScale, slope) = (VectorExp.Exp(rho + rho), rho, Vector<T>.One);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Of(T rho, out T variance, out T logScale, out T slope) => (variance, logScale, slope) = (T.Exp(rho + rho), rho, T.One);
}

/// <summary>
/// sigma = ln(1 + e^rho), as max(rho, 0) + ln(1 + e^-|rho|). Below -20, where sigma is e^rho - e^2rho / 2 to rounding, ln sigma is rho - e^rho / 2, and
/// its slope 1 - e^rho / 2: the logarithm of a subnormal sigma would not be.
/// </summary>
internal readonly struct SoftplusScale<T> : IScale<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    private static T TailStart => T.CreateTruncating(-20);

    private static T Half => T.CreateTruncating(0.5);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Of(Vector<T> rho, out Vector<T> variance, out Vector<T> logScale, out Vector<T> slope)
    {
        Vector<T> exp = VectorExp.Exp(-Vector.Abs(rho)), sum = Vector<T>.One + exp;

        // ln(1 + x), with the rounding of 1 + x taken out again (Goldberg 1991, theorem 4).
        Vector<T> rounded = sum - Vector<T>.One;
        Vector<T> log = Vector.ConditionalSelect(Vector.Equals(rounded, Vector<T>.Zero), exp, Log(sum) * exp / rounded);
        Vector<T> sigma = Vector.Max(rho, Vector<T>.Zero) + log;
        Vector<T> sigmoid = Vector.ConditionalSelect(Vector.LessThan(rho, Vector<T>.Zero), exp, Vector<T>.One) / sum;
        Vector<T> isTail = Vector.LessThan(rho, new Vector<T>(TailStart)), half = exp * Half;
        variance = sigma * sigma;
        logScale = Vector.ConditionalSelect(isTail, rho - half, Log(sigma));
        slope = Vector.ConditionalSelect(isTail, Vector<T>.One - half, sigmoid / sigma);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Of(T rho, out T variance, out T logScale, out T slope)
    {
        T exp = T.Exp(-T.Abs(rho)), half = exp * Half;
        T sigma = T.Max(rho, T.Zero) + Log1P(exp), sigmoid = (rho < T.Zero ? exp : T.One) / (T.One + exp);
        bool isTail = rho < TailStart;
        variance = sigma * sigma;
        logScale = isTail ? rho - half : T.Log(sigma);
        slope = isTail ? T.One - half : sigmoid / sigma;
    }

    // .NET's LogP1 is the logarithm of 1 + x, which has lost a small x.
    private static T Log1P(T x)
    {
        T sum = T.One + x, rounded = sum - T.One;
        return rounded == T.Zero ? x : T.Log(sum) * x / rounded;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<T> Log(Vector<T> x)
        => typeof(T) == typeof(float) ? Vector.Log(x.As<T, float>()).As<float, T>() : Vector.Log(x.As<T, double>()).As<double, T>();
}
