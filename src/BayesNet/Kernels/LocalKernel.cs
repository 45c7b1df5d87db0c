using System.Numerics;

namespace BayesNet.Kernels;

/// <summary>The loops of local reparameterization, one pass over memory each, on contiguous memory of one length and on libtorch's threads.</summary>
internal static unsafe class LocalKernel
{
    // 64 kB of float32: below that, waking a thread costs more than the loop.
    private const long Grain = 16384;

    /// <summary>variance = exp(2 logScale).</summary>
    internal static void Variance<T>(T* logScale, T* variance, long count)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var body = new VarianceBody<T>(logScale, variance);
        TorchThreads.For(count, Grain, ref body);
    }

    /// <summary>product = x y; the result may be one of the factors.</summary>
    internal static void Multiply<T>(T* x, T* y, T* product, long count)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var body = new MultiplyBody<T>(x, y, product);
        TorchThreads.For(count, Grain, ref body);
    }

    /// <summary>
    /// y = mean + s noise, in the mean's memory, and dy/dvariance = noise / (2 s), in the variance's, s the root of the variance. A variance below
    /// <paramref name="floor"/> counts as that, and has no derivative.
    /// </summary>
    internal static void Sample<T>(T* mean, T* variance, T* noise, T floor, long count)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var body = new SampleBody<T>(mean, variance, noise, floor);
        TorchThreads.For(count, Grain, ref body);
    }

    /// <summary>sum += 2 x y.</summary>
    internal static void AddTwiceProduct<T>(T* sum, T* x, T* y, long count)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var body = new AddTwiceProductBody<T>(sum, x, y);
        TorchThreads.For(count, Grain, ref body);
    }

    /// <summary>sum += 2 x y, on the calling thread.</summary>
    internal static void AddTwiceProductHere<T>(T* sum, T* x, T* y, long count)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => new AddTwiceProductBody<T>(sum, x, y).Run(0, count);

    /// <summary>sum += x, on the calling thread.</summary>
    internal static void AddHere<T>(T* sum, T* x, long count)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => AddHere(sum, x, count, T.One);

    /// <summary>sum += factor x, on the calling thread.</summary>
    internal static void AddHere<T>(T* sum, T* x, long count, T factor)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var scale = new Vector<T>(factor);
        long i = 0;
        for (; i <= count - Vector<T>.Count; i += Vector<T>.Count)
            (Vector.Load(sum + i) + scale * Vector.Load(x + i)).Store(sum + i);
        for (; i < count; i++)
            sum[i] += factor * x[i];
    }

    /// <summary>target = source, or that added to what it holds, on the calling thread.</summary>
    internal static void PutHere<T>(T* source, T* target, long count, bool add)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        if (add)
            AddHere(target, source, count);
        else
            Buffer.MemoryCopy(source, target, count * sizeof(T), count * sizeof(T));
    }

    private readonly struct VarianceBody<T>(T* logScale, T* variance) : IRangeBody
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public void Run(long begin, long end) => MeanFieldKernels.Variance(logScale + begin, variance + begin, end - begin);
    }

    private readonly struct MultiplyBody<T>(T* x, T* y, T* product) : IRangeBody
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public void Run(long begin, long end)
        {
            long i = begin;
            for (long last = end - Vector<T>.Count; i <= last; i += Vector<T>.Count)
                (Vector.Load(x + i) * Vector.Load(y + i)).Store(product + i);
            for (; i < end; i++)
                product[i] = x[i] * y[i];
        }
    }

    private readonly struct SampleBody<T>(T* mean, T* variance, T* noise, T floor) : IRangeBody
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public void Run(long begin, long end)
        {
            var (least, half) = (new Vector<T>(floor), new Vector<T>(T.CreateTruncating(0.5)));
            long i = begin;
            for (long last = end - Vector<T>.Count; i <= last; i += Vector<T>.Count)
            {
                Vector<T> v = Vector.Load(variance + i), z = Vector.Load(noise + i);

                // Compared this way round, NaN is not below the floor and stays NaN.
                Vector<T> below = Vector.LessThan(v, least);
                Vector<T> s = Vector.SquareRoot(Vector.ConditionalSelect(below, least, v));
                (Vector.Load(mean + i) + s * z).Store(mean + i);
                Vector.ConditionalSelect(below, Vector<T>.Zero, half * z / s).Store(variance + i);
            }

            for (; i < end; i++)
            {
                bool below = variance[i] < floor;
                T s = T.Sqrt(below ? floor : variance[i]), z = noise[i];
                mean[i] += s * z;
                variance[i] = below ? T.Zero : T.CreateTruncating(0.5) * z / s;
            }
        }
    }

    private readonly struct AddTwiceProductBody<T>(T* sum, T* x, T* y) : IRangeBody
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public void Run(long begin, long end)
        {
            long i = begin;
            for (long last = end - Vector<T>.Count; i <= last; i += Vector<T>.Count)
            {
                Vector<T> a = Vector.Load(x + i);
                (Vector.Load(sum + i) + (a + a) * Vector.Load(y + i)).Store(sum + i);
            }

            for (; i < end; i++)
                sum[i] += (x[i] + x[i]) * y[i];
        }
    }
}
