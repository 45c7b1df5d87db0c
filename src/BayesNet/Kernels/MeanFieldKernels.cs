using System.Numerics;
using System.Runtime.CompilerServices;

namespace BayesNet.Kernels;

/// <summary>
/// The passes over memory that a mean-field Gaussian weight needs beside its matrix products: variances from the parameter rho = ln sigma,
/// the sums of the KL divergence from N(m, s^2), and the chain rule of local reparameterization.
/// </summary>
/// <remarks>Sums are carried in float64 from one short block to the next, so that a layer's size does not cost digits.</remarks>
internal static unsafe class MeanFieldKernels
{
    // Entries after which a vector's running sums go to float64.
    private const int Block = 1024;

    /// <summary>What KL(q || p) = P ln s - sum(rho) + (sum sigma^2 + sum (mu - m)^2) / (2 s^2) - P/2 is made of.</summary>
    internal struct Sums
    {
        public double Rho;
        public double Squares;

        public readonly double Divergence(double count, double priorStdDev)
            => count * (Math.Log(priorStdDev) - 0.5) - Rho + Squares / (2 * priorStdDev * priorStdDev);

        public static Sums operator +(Sums a, Sums b) => new() { Rho = a.Rho + b.Rho, Squares = a.Squares + b.Squares };
    }

    /// <summary>The weight of the KL term, and the prior N(m, s^2) that it is from.</summary>
    internal readonly record struct KlTerm(double Weight, double PriorMean, double PriorStdDev);

    /// <summary>variance = exp(2 rho), and the sums.</summary>
    internal static Sums Variance<T>(T* mean, T* rho, T* variance, long count, double priorMean)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var sums = default(Sums);
        T centre = T.CreateTruncating(priorMean), two = T.CreateTruncating(2);
        var (vCentre, vTwo) = (new Vector<T>(centre), new Vector<T>(two));
        for (long start = 0; start < count; start += Block)
        {
            long i = start, end = Math.Min(count, start + Block);
            Vector<T> rhos = Vector<T>.Zero, squares = Vector<T>.Zero;
            for (; i <= end - Vector<T>.Count; i += Vector<T>.Count)
            {
                Vector<T> r = Vector.Load(rho + i), distance = Vector.Load(mean + i) - vCentre, v = Exp(r * vTwo);
                v.Store(variance + i);
                rhos += r;
                squares += v + distance * distance;
            }

            sums.Rho += double.CreateTruncating(Vector.Sum(rhos));
            sums.Squares += double.CreateTruncating(Vector.Sum(squares));
            for (; i < end; i++)
            {
                T v = T.Exp(rho[i] * two), distance = mean[i] - centre;
                variance[i] = v;
                sums.Rho += double.CreateTruncating(rho[i]);
                sums.Squares += double.CreateTruncating(v + distance * distance);
            }
        }

        return sums;
    }

    /// <summary>
    /// From gradients in mu and in sigma^2 to those in mu and rho, the KL term's added: meanGradient += w (mu - m) / s^2, and in place of the
    /// gradient in sigma^2, 2 sigma^2 times it + w (sigma^2 / s^2 - 1).
    /// </summary>
    internal static void ChainVariance<T>(T* mean, T* variance, T* meanGradient, T* scaleGradient, long count, in KlTerm kl)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => Chain<T, VarianceRule<T>>(mean, variance, scaleGradient, meanGradient, scaleGradient, count, kl);

    /// <summary>
    /// From the gradient in a sampled weight w = mu + d, d = sigma eps, which meanGradient holds, to those in mu and rho, the KL term's added:
    /// scaleGradient = d meanGradient + w (sigma^2 / s^2 - 1), meanGradient += w (mu - m) / s^2.
    /// </summary>
    internal static void ChainSample<T>(T* mean, T* rho, T* deviation, T* meanGradient, T* scaleGradient, long count, in KlTerm kl)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => Chain<T, SampleRule<T>>(mean, rho, deviation, meanGradient, scaleGradient, count, kl);

    private static void Chain<T, TRule>(T* mean, T* scale, T* factor, T* meanGradient, T* scaleGradient, long count, in KlTerm kl)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        where TRule : IRule<T>
    {
        T centre = T.CreateTruncating(kl.PriorMean), precision = T.CreateTruncating(kl.Weight / (kl.PriorStdDev * kl.PriorStdDev)), weight = T.CreateTruncating(kl.Weight);
        var (vCentre, vPrecision, vWeight) = (new Vector<T>(centre), new Vector<T>(precision), new Vector<T>(weight));
        long i = 0;
        for (; i <= count - Vector<T>.Count; i += Vector<T>.Count)
        {
            Vector<T> g = Vector.Load(meanGradient + i), variance = TRule.Variance(Vector.Load(scale + i));
            (TRule.Gradient(variance, g, Vector.Load(factor + i)) + (variance * vPrecision - vWeight)).Store(scaleGradient + i);
            (g + (Vector.Load(mean + i) - vCentre) * vPrecision).Store(meanGradient + i);
        }

        for (; i < count; i++)
        {
            T g = meanGradient[i], variance = TRule.Variance(scale[i]);
            scaleGradient[i] = TRule.Gradient(variance, g, factor[i]) + (variance * precision - weight);
            meanGradient[i] = g + (mean[i] - centre) * precision;
        }
    }

    /// <summary>deviation = sigma eps (eps is what it holds), weight = mu + deviation, and the sums.</summary>
    internal static Sums Sample<T>(T* mean, T* rho, T* deviation, T* weight, long count, double priorMean)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var sums = default(Sums);
        T centre = T.CreateTruncating(priorMean);
        var vCentre = new Vector<T>(centre);
        for (long start = 0; start < count; start += Block)
        {
            long i = start, end = Math.Min(count, start + Block);
            Vector<T> rhos = Vector<T>.Zero, squares = Vector<T>.Zero;
            for (; i <= end - Vector<T>.Count; i += Vector<T>.Count)
            {
                Vector<T> r = Vector.Load(rho + i), m = Vector.Load(mean + i), distance = m - vCentre, sigma = Exp(r), v = sigma * sigma;
                Vector<T> d = sigma * Vector.Load(deviation + i);
                d.Store(deviation + i);
                (m + d).Store(weight + i);
                rhos += r;
                squares += v + distance * distance;
            }

            sums.Rho += double.CreateTruncating(Vector.Sum(rhos));
            sums.Squares += double.CreateTruncating(Vector.Sum(squares));
            for (; i < end; i++)
            {
                T sigma = T.Exp(rho[i]), distance = mean[i] - centre;
                deviation[i] *= sigma;
                weight[i] = mean[i] + deviation[i];
                sums.Rho += double.CreateTruncating(rho[i]);
                sums.Squares += double.CreateTruncating(sigma * sigma + distance * distance);
            }
        }

        return sums;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<T> Exp<T>(Vector<T> x)
        => typeof(T) == typeof(float) ? Vector.Exp(x.As<T, float>()).As<float, T>() : Vector.Exp(x.As<T, double>()).As<double, T>();

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

    // The scale is rho, the factor the sampled deviation.
    private readonly struct SampleRule<T> : IRule<T>
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public static Vector<T> Variance(Vector<T> scale) => Exp(scale + scale);

        public static T Variance(T scale) => T.Exp(scale + scale);

        public static Vector<T> Gradient(Vector<T> variance, Vector<T> meanGradient, Vector<T> factor) => meanGradient * factor;

        public static T Gradient(T variance, T meanGradient, T factor) => meanGradient * factor;
    }
}
