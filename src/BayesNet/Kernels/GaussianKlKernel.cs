using System.Numerics;
using System.Runtime.CompilerServices;

namespace BayesNet.Kernels;

/// <summary>
/// KL(N(mu, sigma^2) || N(m, s^2)) over many entries in one pass over memory: the value, and the gradient, written or added to one that stands.
/// </summary>
/// <remarks>
/// An entry's divergence is ln s - ln sigma + (sigma^2 + (mu - m)^2) / (2 s^2) - 1/2 (Kingma and Welling 2014, appendix B, for m = 0 and s = 1), its
/// gradient (mu - m) / s^2 in mu and sigma^2 / s^2 - 1 in ln sigma, which the scale's parameter rho is or has a slope in.
/// </remarks>
internal static unsafe class GaussianKlKernel
{
    /// <summary>Returns the divergence and sets or adds <paramref name="weight"/> times its gradient.</summary>
    /// <param name="memory">The parameters, and where the gradients go.</param>
    /// <param name="priorMean">m.</param>
    /// <param name="priorStdDev">s.</param>
    /// <param name="weight">The gradient's weight; not the value's.</param>
    /// <typeparam name="T">float or double.</typeparam>
    /// <typeparam name="TScale">How sigma is made of rho.</typeparam>
    /// <returns>The sum over the entries in nats, the same on any number of threads.</returns>
    internal static double Accumulate<T, TScale>(in Memory<T> memory, double priorMean, double priorStdDev, double weight)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        where TScale : struct, IScale<T>
    {
        var entry = new Entry<T>(priorMean, priorStdDev, weight);
        return ChunkedSum.Of(memory.Count, new Body<T, TScale>(memory, entry)) + (memory.Mask == null ? memory.Count * entry.Constant : 0);
    }

    /// <summary>What a pass reads and writes.</summary>
    internal struct Memory<T>
        where T : unmanaged
    {
        /// <summary>mu and rho.</summary>
        internal required T* Mean, Scale;

        /// <summary>Zeros where an entry has no part in the divergence, and ones; null for ones alone.</summary>
        internal T* Mask;

        /// <summary>Where the gradients in mu and rho go; null for nowhere. Without <see cref="Add"/>, what the mask leaves out is not written.</summary>
        internal T* MeanGradient, ScaleGradient;

        /// <summary>Whether the gradients are added to what stands there.</summary>
        internal bool Add;

        /// <summary>The number of entries.</summary>
        internal required long Count;
    }

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

        /// <summary>The part of the divergence that is not constant, (sigma^2 + (mu - m)^2) / (2 s^2) - ln sigma.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        internal Vector<T> Value(Vector<T> mean, Vector<T> logScale, Vector<T> variance)
        {
            Vector<T> distance = mean - new Vector<T>(_priorMean);
            return (variance + distance * distance) * _halfPrecision - logScale;
        }

        /// <summary>The weighted gradient, in ln sigma for the second.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        internal void Gradient(Vector<T> mean, Vector<T> variance, out Vector<T> meanGradient, out Vector<T> logScaleGradient)
        {
            meanGradient = (mean - new Vector<T>(_priorMean)) * _precision;
            logScaleGradient = variance * _precision - new Vector<T>(_weight);
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

    private readonly struct Body<T, TScale>(Memory<T> memory, Entry<T> entry) : IRangeSum
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        where TScale : struct, IScale<T>
    {
        public double Sum(long begin, long end)
        {
            long i = begin;
            double sum = 0;
            if (Vector.IsHardwareAccelerated)
            {
                i = end - (end - begin) % Vector<T>.Count;
                sum = memory.Mask == null ? Vectors(begin, i) : MaskedVectors(begin, i);
            }

            Memory<T> m = memory;
            for (; i < end; i++)
            {
                if (m.Mask != null && m.Mask[i] == T.Zero)
                    continue;
                TScale.Of(m.Scale[i], out T variance, out T logScale, out T slope);
                sum += double.CreateTruncating(entry.Value(m.Mean[i], logScale, variance)) + (m.Mask == null ? 0 : entry.Constant);
                entry.Gradient(m.Mean[i], variance, out T inMean, out T inLogScale);
                if (m.MeanGradient != null)
                    m.MeanGradient[i] = m.Add ? m.MeanGradient[i] + inMean : inMean;
                if (m.ScaleGradient != null)
                    m.ScaleGradient[i] = m.Add ? m.ScaleGradient[i] + inLogScale * slope : inLogScale * slope;
            }

            return sum;
        }

        // Not inlined: the loops around it would use up what the compiler inlines into one method, and leave calls in this one.
        [MethodImpl(MethodImplOptions.NoInlining)]
        private double Vectors(long begin, long end)
        {
            Entry<T> form = entry;
            T* means = memory.Mean, scales = memory.Scale, ofMean = memory.MeanGradient, ofScale = memory.ScaleGradient;
            bool add = memory.Add;
            Vector<double> low = default, high = default;
            for (long i = begin; i < end; i += Vector<T>.Count)
            {
                Vector<T> mean = Vector.Load(means + i);
                TScale.Of(Vector.Load(scales + i), out Vector<T> variance, out Vector<T> logScale, out Vector<T> slope);
                form.Gradient(mean, variance, out Vector<T> inMean, out Vector<T> inLogScale);
                inLogScale *= slope;
                if (ofMean != null)
                    (add ? Vector.Load(ofMean + i) + inMean : inMean).Store(ofMean + i);
                if (ofScale != null)
                    (add ? Vector.Load(ofScale + i) + inLogScale : inLogScale).Store(ofScale + i);
                (Vector<double> first, Vector<double> second) = InDouble.Widen(form.Value(mean, logScale, variance));
                low += first;
                high += second;
            }

            return Vector.Sum(low + high);
        }

        /// <summary>Of the entries that the mask keeps, the constant with them. What it leaves out may hold anything.</summary>
        [MethodImpl(MethodImplOptions.NoInlining)]
        private double MaskedVectors(long begin, long end)
        {
            (Memory<T> m, Entry<T> form) = (memory, entry);
            Vector<double> low = default, high = default, kept = default;
            for (long i = begin; i < end; i += Vector<T>.Count)
            {
                Vector<T> mask = Vector.Load(m.Mask + i);
                if (Vector.EqualsAll(mask, Vector<T>.Zero))
                    continue;
                Vector<T> isKept = ~Vector.Equals(mask, Vector<T>.Zero);
                Vector<T> mean = Vector.Load(m.Mean + i);
                TScale.Of(Vector.Load(m.Scale + i), out Vector<T> variance, out Vector<T> logScale, out Vector<T> slope);
                form.Gradient(mean, variance, out Vector<T> inMean, out Vector<T> inLogScale);
                Put(m.MeanGradient, i, inMean, isKept);
                Put(m.ScaleGradient, i, inLogScale * slope, isKept);
                (Vector<double> first, Vector<double> second) = InDouble.Widen(form.Value(mean, logScale, variance) & isKept);
                low += first;
                high += second;
                (first, second) = InDouble.Widen(Vector<T>.One & isKept);
                kept += first + second;
            }

            return Vector.Sum(low + high) + form.Constant * Vector.Sum(kept);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private void Put(T* gradient, long at, Vector<T> value, Vector<T> isKept)
        {
            if (gradient == null)
                return;
            Vector<T> standing = Vector.Load(gradient + at);
            Vector.ConditionalSelect(isKept, memory.Add ? standing + value : value, standing).Store(gradient + at);
        }
    }
}
