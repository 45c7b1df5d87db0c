using System.Numerics;
using System.Runtime.CompilerServices;

namespace BayesNet.Kernels;

/// <summary>The passes over activations that lie between a layer's matrix products, on a block of columns of row-major matrices.</summary>
internal static unsafe class LayerKernels
{
    /// <summary>A block of columns of matrices with a common number of columns.</summary>
    internal readonly record struct Columns(int Rows, int Stride, int First, int Count);

    /// <summary>
    /// Local reparameterization's output, y = m + b + sqrt(v + b_v) zeta (Kingma, Salimans and Welling 2015, equation 6), and a = f(y). On the
    /// way back dL/dm = f'(y) dL/da, and dL/dv = f'(y) zeta / (2 sqrt v) dL/da: the two factors replace m and v.
    /// </summary>
    /// <param name="columns">Which columns.</param>
    /// <param name="activation">f.</param>
    /// <param name="mean">In: m; out: f'(y).</param>
    /// <param name="variance">In: v; out: f'(y) zeta / (2 sqrt v), zero where v is below the floor.</param>
    /// <param name="output">In: zeta; out: a.</param>
    /// <param name="squares">Out: a^2; null where nothing asks for it.</param>
    /// <param name="bias">b, or null.</param>
    /// <param name="biasVariance">b_v, or null.</param>
    /// <param name="floor">Where variances are clamped before the root.</param>
    internal static void ForwardLocal<T, TActivation>(
        Columns columns, TActivation activation, T* mean, T* variance, T* output, T* squares, T* bias, T* biasVariance, T floor)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        where TActivation : struct, IActivation<T>
    {
        var (vFloor, half) = (new Vector<T>(floor), new Vector<T>(T.CreateTruncating(0.5)));
        int end = columns.First + columns.Count;
        for (int row = 0; row < columns.Rows; row++)
        {
            long start = (long)row * columns.Stride;
            T* m = mean + start, v = variance + start, a = output + start, a2 = squares is null ? null : squares + start;
            for (int i = columns.First; i < end; i += Vector<T>.Count)
            {
                int lanes = Math.Min(Vector<T>.Count, end - i);
                Vector<T> y = Load(m + i, lanes), total = Load(v + i, lanes), zeta = Load(a + i, lanes);
                if (bias is not null)
                {
                    y += Load(bias + i, lanes);
                    total += Load(biasVariance + i, lanes);
                }

                Vector<T> root = Vector.SquareRoot(Vector.Max(total, vFloor));
                (Vector<T> value, Vector<T> slope) = activation.Apply(y + root * zeta);
                Vector<T> factor = Vector.ConditionalSelect(Vector.GreaterThan(total, vFloor), slope * zeta * half / root, Vector<T>.Zero);
                Store(slope, m + i, lanes);
                Store(factor, v + i, lanes);
                Store(value, a + i, lanes);
                if (a2 is not null)
                    Store(value * value, a2 + i, lanes);
            }
        }
    }

    /// <summary>a = f(m + b); f'(m + b) replaces m.</summary>
    /// <inheritdoc cref="ForwardLocal"/>
    internal static void Forward<T, TActivation>(Columns columns, TActivation activation, T* mean, T* output, T* squares, T* bias)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        where TActivation : struct, IActivation<T>
    {
        int end = columns.First + columns.Count;
        for (int row = 0; row < columns.Rows; row++)
        {
            long start = (long)row * columns.Stride;
            T* m = mean + start, a = output + start, a2 = squares is null ? null : squares + start;
            for (int i = columns.First; i < end; i += Vector<T>.Count)
            {
                int lanes = Math.Min(Vector<T>.Count, end - i);
                Vector<T> y = Load(m + i, lanes);
                if (bias is not null)
                    y += Load(bias + i, lanes);
                (Vector<T> value, Vector<T> slope) = activation.Apply(y);
                Store(slope, m + i, lanes);
                Store(value, a + i, lanes);
                if (a2 is not null)
                    Store(value * value, a2 + i, lanes);
            }
        }
    }

    /// <summary>
    /// The gradient in a layer's output, dL/da = g + 2 a t, carried through its activation and noise: slope becomes dL/dm, factor dL/dv.
    /// </summary>
    /// <param name="columns">Which columns.</param>
    /// <param name="gradient">g, through the means of the layer above.</param>
    /// <param name="varianceGradient">t, through its variances, or null where it has none.</param>
    /// <param name="output">a.</param>
    /// <param name="slope">In: f'(y); out: dL/dm.</param>
    /// <param name="factor">In: f'(y) zeta / (2 sqrt v); out: dL/dv; null for a layer without noise of its own.</param>
    internal static void Backward<T>(Columns columns, T* gradient, T* varianceGradient, T* output, T* slope, T* factor)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        int end = columns.First + columns.Count;
        for (int row = 0; row < columns.Rows; row++)
        {
            long start = (long)row * columns.Stride;
            for (int i = columns.First; i < end; i += Vector<T>.Count)
            {
                int lanes = Math.Min(Vector<T>.Count, end - i);
                long at = start + i;
                Vector<T> g = Load(gradient + at, lanes);
                if (varianceGradient is not null)
                {
                    Vector<T> term = Load(output + at, lanes) * Load(varianceGradient + at, lanes);
                    g += term + term;
                }

                Store(g * Load(slope + at, lanes), slope + at, lanes);
                if (factor is not null)
                    Store(g * Load(factor + at, lanes), factor + at, lanes);
            }
        }
    }

    /// <summary>The sums of the columns that the block names.</summary>
    internal static void SumRows<T>(Columns columns, T* matrix, T* target)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        int end = columns.First + columns.Count;
        for (int i = columns.First; i < end; i += Vector<T>.Count)
        {
            int lanes = Math.Min(Vector<T>.Count, end - i);
            Vector<T> sum = Vector<T>.Zero;
            for (int row = 0; row < columns.Rows; row++)
                sum += Load(matrix + (long)row * columns.Stride + i, lanes);
            Store(sum, target + i, lanes);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<T> Load<T>(T* source, int lanes)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => lanes == Vector<T>.Count ? Vector.Load(source) : LoadPart(source, lanes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<T>(Vector<T> value, T* target, int lanes)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        if (lanes == Vector<T>.Count)
            value.Store(target);
        else
            StorePart(value, target, lanes);
    }

    // What is left of a row that whole vectors do not fill.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Vector<T> LoadPart<T>(T* source, int lanes)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        Vector<T> part = Vector<T>.Zero;
        T* entries = (T*)&part;
        for (int i = 0; i < lanes; i++)
            entries[i] = source[i];
        return part;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void StorePart<T>(Vector<T> value, T* target, int lanes)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        T* entries = (T*)&value;
        for (int i = 0; i < lanes; i++)
            target[i] = entries[i];
    }
}
