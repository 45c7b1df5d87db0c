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

    /// <summary>square = x^2.</summary>
    internal static void Square<T>(T* x, T* square, long count)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => Multiply(x, x, square, count);

    /// <summary>product = x y; the result may be one of the factors.</summary>
    internal static void Multiply<T>(T* x, T* y, T* product, long count)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var body = new MultiplyBody<T>(x, y, product);
        TorchThreads.For(count, Grain, ref body);
    }

    /// <summary>
    /// y = mean + s noise, in the mean's memory, and dy/dvariance = noise / (2 s), in the noise's, s the root of the variance. A variance below
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

    /// <summary>
    /// The gradient of a linear layer's log scales, 2 variance * (h' x2), (outputs, inputs): a few rows of the product at a time, and their factor
    /// while they are in the cache.
    /// </summary>
    /// <param name="h">(rows, outputs), the gradient of the outputs' variances.</param>
    /// <param name="square">(rows, inputs), the squared inputs.</param>
    /// <param name="variance">(outputs, inputs).</param>
    /// <param name="gradient">(outputs, inputs); may be the variance's memory where nothing is added to.</param>
    /// <param name="add">Whether to add to what the gradient holds.</param>
    /// <param name="rows">The batch.</param>
    /// <param name="outputs">Outputs of the layer.</param>
    /// <param name="inputs">Inputs of the layer.</param>
    internal static void LogScaleGradient<T>(T* h, T* square, T* variance, T* gradient, bool add, int rows, int outputs, int inputs)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var body = new LogScaleGradientBody<T>(h, square, variance, gradient, add, rows, outputs, inputs);
        TorchThreads.For(outputs, Math.Max(1, Grain / inputs), ref body);
    }

    /// <summary>The gradient of a linear layer's bias: sums over the rows of (rows, outputs), times 2 <paramref name="variance"/> where there is one.</summary>
    /// <param name="rowGradients">(rows, outputs).</param>
    /// <param name="variance">(outputs), or null.</param>
    /// <param name="gradient">(outputs).</param>
    /// <param name="add">Whether to add to what the gradient holds.</param>
    /// <param name="rows">The batch.</param>
    /// <param name="outputs">Outputs of the layer.</param>
    internal static void BiasGradient<T>(T* rowGradients, T* variance, T* gradient, bool add, long rows, long outputs)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var body = new BiasGradientBody<T>(rowGradients, variance, gradient, add, rows, outputs);
        TorchThreads.For(outputs, Math.Max(1, Grain / rows), ref body);
    }

    private readonly struct VarianceBody<T>(T* logScale, T* variance) : IRangeBody
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public void Run(long begin, long end)
        {
            var exponential = new Exponential<T>();
            long i = begin;
            for (long last = end - Vector<T>.Count; i <= last; i += Vector<T>.Count)
                exponential.OfTwice(Vector.Load(logScale + i)).Store(variance + i);
            for (; i < end; i++)
                variance[i] = exponential.OfTwice(new Vector<T>(logScale[i]))[0];
        }
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
                Vector.ConditionalSelect(below, Vector<T>.Zero, half * z / s).Store(noise + i);
            }

            for (; i < end; i++)
            {
                bool below = variance[i] < floor;
                T s = T.Sqrt(below ? floor : variance[i]), z = noise[i];
                mean[i] += s * z;
                noise[i] = below ? T.Zero : T.CreateTruncating(0.5) * z / s;
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

    private readonly struct LogScaleGradientBody<T>(T* h, T* square, T* variance, T* gradient, bool add, int rows, int outputs, int inputs) : IRangeBody
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        // A quarter of a megabyte: what a core's second-level cache holds beside the squared inputs.
        private const int MostScratch = 1 << 18;

        public void Run(long begin, long end)
        {
            int most = (int)Math.Clamp(MostScratch / ((long)inputs * sizeof(T)), 1, end - begin);
            T* product = (T*)System.Runtime.InteropServices.NativeMemory.AlignedAlloc((nuint)most * (nuint)inputs * (nuint)sizeof(T), 64);
            try
            {
                for (long first = begin; first < end; first += most)
                {
                    int height = (int)Math.Min(most, end - first);
                    MatrixProduct.Multiply(true, false, height, inputs, rows, 2, h + first, outputs, square, inputs, 0, product, inputs);
                    long offset = first * inputs;
                    Scale(product, variance + offset, gradient + offset, (long)height * inputs);
                }
            }
            finally
            {
                System.Runtime.InteropServices.NativeMemory.AlignedFree(product);
            }
        }

        private void Scale(T* product, T* factor, T* result, long count)
        {
            if (!add)
            {
                new MultiplyBody<T>(product, factor, result).Run(0, count);
                return;
            }

            long i = 0;
            for (; i <= count - Vector<T>.Count; i += Vector<T>.Count)
                (Vector.Load(result + i) + Vector.Load(product + i) * Vector.Load(factor + i)).Store(result + i);
            for (; i < count; i++)
                result[i] += product[i] * factor[i];
        }
    }

    private readonly struct BiasGradientBody<T>(T* rowGradients, T* variance, T* gradient, bool add, long rows, long outputs) : IRangeBody
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public void Run(long begin, long end)
        {
            long i = begin;
            for (long last = end - Vector<T>.Count; i <= last; i += Vector<T>.Count)
            {
                Vector<T> sum = Vector<T>.Zero;
                for (long row = 0; row < rows; row++)
                    sum += Vector.Load(rowGradients + row * outputs + i);
                if (variance != null)
                    sum = (sum + sum) * Vector.Load(variance + i);
                (add ? Vector.Load(gradient + i) + sum : sum).Store(gradient + i);
            }

            for (; i < end; i++)
            {
                T sum = T.Zero;
                for (long row = 0; row < rows; row++)
                    sum += rowGradients[row * outputs + i];
                if (variance != null)
                    sum = (sum + sum) * variance[i];
                gradient[i] = add ? gradient[i] + sum : sum;
            }
        }
    }
}
