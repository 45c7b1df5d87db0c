using System.Numerics;
using System.Runtime.CompilerServices;
using BayesNet.Reparameterization;

namespace BayesNet.Kernels;

/// <summary>
/// The passes over memory that a mean-field Gaussian weight with rho = ln sigma needs beside its matrix products, with the KL term's work in
/// the same passes: variances or a sample on the way forward, the chain rule to mu and rho on the way back.
/// </summary>
internal static unsafe class MeanFieldKernels
{
    /// <summary>variance = exp(2 rho); returns the divergence without its constant.</summary>
    internal static double Variance<T>(T* mean, T* rho, T* variance, long count, GaussianKlKernel.Entry<T> divergence)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        Vector<double> low = default, high = default;
        long i = 0;
        for (; i <= count - Vector<T>.Count; i += Vector<T>.Count)
        {
            Vector<T> r = Vector.Load(rho + i), v = VarianceOf(r);
            v.Store(variance + i);
            Add(divergence.Value(Vector.Load(mean + i), r, v), ref low, ref high);
        }

        double sum = Vector.Sum(low + high);
        for (; i < count; i++)
        {
            variance[i] = VarianceOf(rho[i]);
            sum += double.CreateTruncating(divergence.Value(mean[i], rho[i], variance[i]));
        }

        return sum;
    }

    /// <summary>variance = exp(2 rho).</summary>
    internal static void Variance<T>(T* rho, T* variance, long count)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        long i = 0;
        for (; i <= count - Vector<T>.Count; i += Vector<T>.Count)
            VarianceOf(Vector.Load(rho + i)).Store(variance + i);
        for (; i < count; i++)
            variance[i] = VarianceOf(rho[i]);
    }

    /// <summary>deviation = sigma eps (eps is what it holds) and weight = mu + deviation; returns the divergence without its constant.</summary>
    internal static double Sample<T>(T* mean, T* rho, T* deviation, T* weight, long count, GaussianKlKernel.Entry<T> divergence)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        Vector<double> low = default, high = default;
        long i = 0;
        for (; i <= count - Vector<T>.Count; i += Vector<T>.Count)
        {
            Vector<T> m = Vector.Load(mean + i), r = Vector.Load(rho + i), sigma = VectorExp.Exp(r), d = sigma * Vector.Load(deviation + i);
            d.Store(deviation + i);
            (m + d).Store(weight + i);
            Add(divergence.Value(m, r, sigma * sigma), ref low, ref high);
        }

        double sum = Vector.Sum(low + high);
        for (; i < count; i++)
        {
            T sigma = T.Exp(rho[i]);
            deviation[i] *= sigma;
            weight[i] = mean[i] + deviation[i];
            sum += double.CreateTruncating(divergence.Value(mean[i], rho[i], sigma * sigma));
        }

        return sum;
    }

    /// <summary>
    /// From gradients in mu and in sigma^2 to those in mu and rho, the divergence's added: scaleGradient holds the gradient in sigma^2, and
    /// receives 2 sigma^2 times it and its share.
    /// </summary>
    internal static void ChainVariance<T>(T* mean, T* variance, T* meanGradient, T* scaleGradient, long count, GaussianKlKernel.Entry<T> divergence)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => Chain<T, VarianceRule<T>>(mean, variance, scaleGradient, meanGradient, scaleGradient, count, divergence);

    /// <summary>The same with rho given, and the gradient in sigma^2 apart from where that in rho goes, which may be the same memory.</summary>
    internal static void ChainLogScale<T>(
        T* mean, T* rho, T* varianceGradient, T* meanGradient, T* scaleGradient, long count, GaussianKlKernel.Entry<T> divergence)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => Chain<T, LogScaleRule<T>>(mean, rho, varianceGradient, meanGradient, scaleGradient, count, divergence);

    /// <summary>
    /// From the gradient in a sampled weight w = mu + d, d = sigma eps, which meanGradient holds, to those in mu and rho, the divergence's
    /// added: scaleGradient receives d times it and its share.
    /// </summary>
    internal static void ChainSample<T>(
        T* mean, T* rho, T* deviation, T* meanGradient, T* scaleGradient, long count, GaussianKlKernel.Entry<T> divergence)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => Chain<T, SampleRule<T>>(mean, rho, deviation, meanGradient, scaleGradient, count, divergence);

    private static void Chain<T, TRule>(
        T* mean, T* scale, T* factor, T* meanGradient, T* scaleGradient, long count, GaussianKlKernel.Entry<T> divergence)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        where TRule : IRule<T>
    {
        long i = 0;
        for (; i <= count - Vector<T>.Count; i += Vector<T>.Count)
        {
            Vector<T> g = Vector.Load(meanGradient + i), variance = TRule.Variance(Vector.Load(scale + i));
            divergence.Gradient(Vector.Load(mean + i), variance, out Vector<T> inMean, out Vector<T> inScale);
            (TRule.Gradient(variance, g, Vector.Load(factor + i)) + inScale).Store(scaleGradient + i);
            (g + inMean).Store(meanGradient + i);
        }

        for (; i < count; i++)
        {
            T g = meanGradient[i], variance = TRule.Variance(scale[i]);
            divergence.Gradient(mean[i], variance, out T inMean, out T inScale);
            scaleGradient[i] = TRule.Gradient(variance, g, factor[i]) + inScale;
            meanGradient[i] = g + inMean;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<T>(Vector<T> value, ref Vector<double> low, ref Vector<double> high)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        (Vector<double> first, Vector<double> second) = InDouble.Widen(value);
        low += first;
        high += second;
    }

    // A variance below the least normal number counts as zero: processors take a hundred times as long over subnormal numbers.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<T> VarianceOf<T>(Vector<T> rho)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        Vector<T> variance = VectorExp.Exp(rho + rho);
        return Vector.AndNot(variance, Vector.LessThan(variance, new Vector<T>(FloatRange.LeastNormal<T>())));
    }

    private static T VarianceOf<T>(T rho)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        T variance = T.Exp(rho + rho);
        return variance < FloatRange.LeastNormal<T>() ? T.Zero : variance;
    }

    private interface IRule<T>
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        static abstract Vector<T> Variance(Vector<T> scale);

        static abstract T Variance(T scale);

        static abstract Vector<T> Gradient(Vector<T> variance, Vector<T> meanGradient, Vector<T> factor);

        static abstract T Gradient(T variance, T meanGradient, T factor);
    }

    // The scale is sigma^2, the factor the gradient in it.
    private readonly struct VarianceRule<T> : IRule<T>
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public static Vector<T> Variance(Vector<T> scale) => scale;

        public static T Variance(T scale) => scale;

        public static Vector<T> Gradient(Vector<T> variance, Vector<T> meanGradient, Vector<T> factor) => (variance + variance) * factor;

        public static T Gradient(T variance, T meanGradient, T factor) => (variance + variance) * factor;
    }

    // The scale is rho, the factor the gradient in sigma^2.
    private readonly struct LogScaleRule<T> : IRule<T>
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public static Vector<T> Variance(Vector<T> scale) => VarianceOf(scale);

        public static T Variance(T scale) => VarianceOf(scale);

        public static Vector<T> Gradient(Vector<T> variance, Vector<T> meanGradient, Vector<T> factor) => (variance + variance) * factor;

        public static T Gradient(T variance, T meanGradient, T factor) => (variance + variance) * factor;
    }

    // The scale is rho, the factor the sampled deviation.
    private readonly struct SampleRule<T> : IRule<T>
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public static Vector<T> Variance(Vector<T> scale) => VectorExp.Exp(scale + scale);

        public static T Variance(T scale) => T.Exp(scale + scale);

        public static Vector<T> Gradient(Vector<T> variance, Vector<T> meanGradient, Vector<T> factor) => meanGradient * factor;

        public static T Gradient(T variance, T meanGradient, T factor) => meanGradient * factor;
    }
}
