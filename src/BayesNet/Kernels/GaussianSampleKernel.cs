using System.Numerics;

namespace BayesNet.Kernels;

/// <summary>
/// Weights w_n = mu + exp(rho) eps_n of an independent Gaussian, and their gradients, in one pass over memory: the noise is made where it is
/// used and never stored. Entry j of weight n has entry n P + j of the draw, P the entries of a weight.
/// </summary>
/// <remarks>Results do not depend on the number of threads, sums over n included.</remarks>
internal static unsafe class GaussianSampleKernel
{
    // What one pass of the loops works on: noise, scales and sums stay in the nearest cache.
    private const int Tile = 1024;
    private const long Grain = 16 * Tile;

    /// <summary>Draws weights, or with no mean their deviations exp(rho) eps_n.</summary>
    /// <param name="mean">mu, <paramref name="size"/> entries, or null for zero.</param>
    /// <param name="logScale">rho.</param>
    /// <param name="draw">Which noise.</param>
    /// <param name="weights">(<paramref name="batch"/>, <paramref name="size"/>), to be written.</param>
    /// <param name="batch">How many weights.</param>
    /// <param name="size">P.</param>
    internal static void Sample<T>(T* mean, T* logScale, NoiseDraw draw, T* weights, long batch, long size)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var body = new SampleBody<T>(mean, logScale, draw, weights, batch, size);
        For(batch, size, ref body);
    }

    /// <summary>d mu = sum_n g_n and d rho = exp(rho) sum_n g_n eps_n, with the noise made again.</summary>
    /// <param name="gradient">g, (<paramref name="batch"/>, <paramref name="size"/>).</param>
    /// <param name="logScale">rho.</param>
    /// <param name="draw">The noise of the forward pass.</param>
    /// <param name="meanGradient">d mu, or null where nobody needs it.</param>
    /// <param name="addMean">Whether d mu is added to what stands there.</param>
    /// <param name="scaleGradient">d rho, or null.</param>
    /// <param name="addScale">Whether d rho is added to what stands there.</param>
    /// <param name="batch">How many weights.</param>
    /// <param name="size">P.</param>
    internal static void Gradients<T>(
        T* gradient, T* logScale, NoiseDraw draw, T* meanGradient, bool addMean, T* scaleGradient, bool addScale, long batch, long size)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var body = new GradientBody<T>(gradient, logScale, draw, meanGradient, addMean, scaleGradient, addScale, batch, size);
        For(batch, size, ref body);
    }

    private static void For<TBody>(long batch, long size, ref TBody body)
        where TBody : struct, IRangeBody
        => TorchThreads.For((size + Tile - 1) / Tile, Math.Max(1, Grain / Tile / Math.Max(1, batch)), ref body);

    /// <summary>exp(rho); <paramref name="scales"/> holds whole vectors, so there is no remainder.</summary>
    internal static void Scales<T>(ReadOnlySpan<T> logScale, Span<T> scales)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        logScale.CopyTo(scales);
        for (int i = 0; i < logScale.Length; i += Vector<T>.Count)
            VectorExp.Exp(new Vector<T>(scales[i..])).CopyTo(scales[i..]);
    }

    private readonly struct SampleBody<T>(T* mean, T* logScale, NoiseDraw draw, T* weights, long batch, long size) : IRangeBody
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public void Run(long begin, long end)
        {
            Span<T> scales = stackalloc T[Tile], noise = stackalloc T[Tile];
            for (long start = begin * Tile; start < Math.Min(end * Tile, size); start += Tile)
            {
                int count = (int)Math.Min(Tile, size - start);
                Scales(new ReadOnlySpan<T>(logScale + start, count), scales);
                for (long n = 0; n < batch; n++)
                {
                    draw.Fill(NoiseLaw.Normal, noise[..count], n * size + start);
                    var target = new Span<T>(weights + n * size + start, count);
                    if (mean == null)
                        Multiply(scales, noise, target);
                    else
                        MultiplyAdd(scales, noise, new ReadOnlySpan<T>(mean + start, count), target);
                }
            }
        }

        private static void Multiply(ReadOnlySpan<T> x, ReadOnlySpan<T> y, Span<T> product)
        {
            int i = 0;
            for (int last = product.Length - Vector<T>.Count; i <= last; i += Vector<T>.Count)
                (new Vector<T>(x[i..]) * new Vector<T>(y[i..])).CopyTo(product[i..]);
            for (; i < product.Length; i++)
                product[i] = x[i] * y[i];
        }

        private static void MultiplyAdd(ReadOnlySpan<T> x, ReadOnlySpan<T> y, ReadOnlySpan<T> z, Span<T> sum)
        {
            int i = 0;
            for (int last = sum.Length - Vector<T>.Count; i <= last; i += Vector<T>.Count)
                (new Vector<T>(x[i..]) * new Vector<T>(y[i..]) + new Vector<T>(z[i..])).CopyTo(sum[i..]);
            for (; i < sum.Length; i++)
                sum[i] = x[i] * y[i] + z[i];
        }
    }

    private readonly struct GradientBody<T>(
        T* gradient, T* logScale, NoiseDraw draw, T* meanGradient, bool addMean, T* scaleGradient, bool addScale, long batch, long size) : IRangeBody
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public void Run(long begin, long end)
        {
            Span<T> scales = stackalloc T[Tile], noise = stackalloc T[Tile];
            T* sum = stackalloc T[Tile], product = stackalloc T[Tile];
            Span<T> sums = new(sum, Tile), products = new(product, Tile);
            for (long start = begin * Tile; start < Math.Min(end * Tile, size); start += Tile)
            {
                int count = (int)Math.Min(Tile, size - start);
                sums.Clear();
                products.Clear();
                for (long n = 0; n < batch; n++)
                {
                    var g = new ReadOnlySpan<T>(gradient + n * size + start, count);
                    if (meanGradient != null)
                        LocalKernel.AddHere(sum, gradient + n * size + start, count);
                    if (scaleGradient == null)
                        continue;
                    draw.Fill(NoiseLaw.Normal, noise[..count], n * size + start);
                    AddProduct(products, g, noise);
                }

                if (meanGradient != null)
                    LocalKernel.PutHere(sum, meanGradient + start, count, addMean);
                if (scaleGradient == null)
                    continue;
                Scales(new ReadOnlySpan<T>(logScale + start, count), scales);
                for (int i = 0; i < count; i += Vector<T>.Count)
                    (new Vector<T>(products[i..]) * new Vector<T>(scales[i..])).CopyTo(products[i..]);
                LocalKernel.PutHere(product, scaleGradient + start, count, addScale);
            }
        }

        private static void AddProduct(Span<T> sum, ReadOnlySpan<T> x, ReadOnlySpan<T> y)
        {
            int i = 0;
            for (int last = x.Length - Vector<T>.Count; i <= last; i += Vector<T>.Count)
                (new Vector<T>(sum[i..]) + new Vector<T>(x[i..]) * new Vector<T>(y[i..])).CopyTo(sum[i..]);
            for (; i < x.Length; i++)
                sum[i] += x[i] * y[i];
        }
    }
}
