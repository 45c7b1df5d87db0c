using System.Numerics;
using System.Runtime.CompilerServices;

namespace BayesNet.Kernels;

/// <summary>
/// KL(N(mu, e^2rho) || N(m, s^2)) over many entries in one pass over memory: the value, and the gradient added to one that stands.
/// </summary>
/// <remarks>
/// An entry's divergence is ln s - rho + (e^2rho + (mu - m)^2) / (2 s^2) - 1/2 (Kingma and Welling 2014, appendix B, for m = 0 and s = 1), its
/// gradient (mu - m) / s^2 in mu and e^2rho / s^2 - 1 in rho.
/// </remarks>
internal static unsafe class GaussianKlKernel
{
    /// <summary>Returns the divergence and adds <paramref name="weight"/> times its gradient to the gradients given.</summary>
    /// <param name="mean">mu.</param>
    /// <param name="logScale">rho.</param>
    /// <param name="meanGradient">Where the gradient in mu is added; null for nowhere.</param>
    /// <param name="logScaleGradient">Where the gradient in rho is added; null for nowhere.</param>
    /// <param name="count">The number of entries.</param>
    /// <param name="priorMean">m.</param>
    /// <param name="priorStdDev">s.</param>
    /// <param name="weight">The gradient's weight; not the value's.</param>
    /// <returns>The sum over the entries in nats, the same on any number of threads.</returns>
    internal static double Accumulate<T>(
        T* mean, T* logScale, T* meanGradient, T* logScaleGradient, long count, double priorMean, double priorStdDev, double weight)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => ChunkedSum.Of(count, new Body<T>(mean, logScale, meanGradient, logScaleGradient, new Entry<T>(priorMean, priorStdDev, weight)))
            + count * new Entry<T>(priorMean, priorStdDev, weight).Constant;

    /// <summary>One entry, or a vector of them, for kernels that do other work in the same pass.</summary>
    internal readonly struct Entry<T>
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        private readonly T _priorMean, _halfPrecision, _precision, _weight;

        internal Entry(double priorMean, double priorStdDev, double weight)
        {
            double precision = 1 / (priorStdDev * priorStdDev);
            (_priorMean, _halfPrecision) = (T.CreateTruncating(priorMean), T.CreateTruncating(precision / 2));
            (_precision, _weight) = (T.CreateTruncating(weight * precision), T.CreateTruncating(weight));
            Constant = Math.Log(priorStdDev) - 0.5;
        }

        /// <summary>ln s - 1/2, the part of the divergence that every entry has alike.</summary>
        internal double Constant { get; }

        /// <summary>(sigma^2 + (mu - m)^2) / (2 s^2) - rho, the part of the divergence that is not constant, and the weighted gradient.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        internal Vector<T> Apply(Vector<T> mean, Vector<T> logScale, out Vector<T> meanGradient, out Vector<T> logScaleGradient)
        {
            Vector<T> variance = VectorExp.Exp(logScale + logScale);
            Gradient(mean, variance, out meanGradient, out logScaleGradient);
            return Value(mean, logScale, variance);
        }

        /// <summary>The part of the divergence that is not constant, with sigma^2 given.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        internal Vector<T> Value(Vector<T> mean, Vector<T> logScale, Vector<T> variance)
        {
            Vector<T> distance = mean - new Vector<T>(_priorMean);
            return (variance + distance * distance) * _halfPrecision - logScale;
        }

        /// <summary>The weighted gradient, with sigma^2 given.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        internal void Gradient(Vector<T> mean, Vector<T> variance, out Vector<T> meanGradient, out Vector<T> logScaleGradient)
        {
            meanGradient = (mean - new Vector<T>(_priorMean)) * _precision;
            logScaleGradient = variance * _precision - new Vector<T>(_weight);
        }

        /// <inheritdoc cref="Apply(Vector{T}, Vector{T}, out Vector{T}, out Vector{T})"/>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        internal T Apply(T mean, T logScale, out T meanGradient, out T logScaleGradient)
        {
            T variance = T.Exp(logScale + logScale);
            Gradient(mean, variance, out meanGradient, out logScaleGradient);
            return Value(mean, logScale, variance);
        }

        /// <inheritdoc cref="Value(Vector{T}, Vector{T}, Vector{T})"/>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        internal T Value(T mean, T logScale, T variance)
        {
            T distance = mean - _priorMean;
            return (variance + distance * distance) * _halfPrecision - logScale;
        }

        /// <inheritdoc cref="Gradient(Vector{T}, Vector{T}, out Vector{T}, out Vector{T})"/>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        internal void Gradient(T mean, T variance, out T meanGradient, out T logScaleGradient)
        {
            meanGradient = (mean - _priorMean) * _precision;
            logScaleGradient = variance * _precision - _weight;
        }
    }

    private readonly struct Body<T>(T* mean, T* logScale, T* meanGradient, T* logScaleGradient, Entry<T> entry) : IRangeSum
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public double Sum(long begin, long end)
        {
            Entry<T> form = entry;
            long i = begin;
            double sum = 0;
            if (Vector.IsHardwareAccelerated)
            {
                Vector<double> low = default, high = default;
                for (; i <= end - Vector<T>.Count; i += Vector<T>.Count)
                {
                    Vector<T> value = form.Apply(Vector.Load(mean + i), Vector.Load(logScale + i), out Vector<T> inMean, out Vector<T> inLogScale);
                    if (meanGradient != null)
                        (Vector.Load(meanGradient + i) + inMean).Store(meanGradient + i);
                    if (logScaleGradient != null)
                        (Vector.Load(logScaleGradient + i) + inLogScale).Store(logScaleGradient + i);
                    (Vector<double> first, Vector<double> second) = InDouble.Widen(value);
                    low += first;
                    high += second;
                }

                sum = Vector.Sum(low + high);
            }

            for (; i < end; i++)
            {
                sum += double.CreateTruncating(form.Apply(mean[i], logScale[i], out T inMean, out T inLogScale));
                if (meanGradient != null)
                    meanGradient[i] += inMean;
                if (logScaleGradient != null)
                    logScaleGradient[i] += inLogScale;
            }

            return sum;
        }
    }
}
