using System.Numerics;

namespace BayesNet.Kernels;

/// <summary>
/// Products of inputs with the deviations of weights that each example has its own of, y_np = (sigma o eps_n) x_np, and their gradients. No
/// eps_n exists as a whole: a few rows of it are made in the nearest cache, used, and made again in the backward pass. Entry (o, i) of example
/// n's weight has entry (n O + o) I + i of the draw.
/// </summary>
/// <remarks>Results do not depend on the number of threads.</remarks>
internal static unsafe class PerExampleKernel
{
    // What noise is made for at a time, in entries, or one row where that is longer.
    private const long Tile = 1024;
    private const long Grain = 16 * Tile;

    // Into how many sums the input's gradient is split, and their entries: as many threads share the backward pass.
    private const long MostParts = 16, MostPartEntries = 1 << 27;

    /// <summary>The sizes of a product, its noise, and what it reads.</summary>
    /// <param name="LogScale">ln sigma, (O, I).</param>
    /// <param name="Input">x, (B, P, I).</param>
    /// <param name="Draw">eps.</param>
    /// <param name="Batch">B, the examples.</param>
    /// <param name="Positions">P, the positions of an example, which share its weight.</param>
    /// <param name="Inputs">I.</param>
    /// <param name="Outputs">O.</param>
    internal readonly record struct Product<T>(nint LogScale, nint Input, NoiseDraw Draw, long Batch, long Positions, long Inputs, long Outputs)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        /// <summary>The rows of a tile.</summary>
        internal long Rows => Math.Clamp(Tile / Inputs, 1, Outputs);

        internal long Tiles => (Outputs + Rows - 1) / Rows;

        /// <summary>The sums that the input's gradient is split into.</summary>
        internal long Parts => Math.Clamp(MostPartEntries / Math.Max(1, InputSize), 1, Math.Min(MostParts, Tiles));

        /// <summary>The entries of <see cref="Input"/>.</summary>
        internal long InputSize => Batch * Positions * Inputs;

        /// <summary>Room for a tile: for whole groups of noise on either side, and whole vectors.</summary>
        internal long Room => Rows * Inputs + 2 * NoiseDraw.GroupSize<T>();

        /// <summary>x of a position.</summary>
        internal T* InputOf(long example, long position) => (T*)Input + (example * Positions + position) * Inputs;

        /// <summary>sigma of a tile's rows.</summary>
        internal void Scales(long row, long rows, T* scales)
            => GaussianSampleKernel.Scales(
                new ReadOnlySpan<T>((T*)LogScale + row * Inputs, (int)(rows * Inputs)), new Span<T>(scales, (int)Room));

        /// <summary>eps of a tile's rows, somewhere in <paramref name="buffer"/>: filling whole groups is fastest.</summary>
        internal T* Noise(long example, long row, long rows, T* buffer)
        {
            int group = NoiseDraw.GroupSize<T>();
            (long index, long skip) = Math.DivRem((example * Outputs + row) * Inputs, group);
            long groups = (skip + rows * Inputs + group - 1) / group;
            Draw.Fill(NoiseLaw.Normal, new Span<T>(buffer, (int)(groups * group)), index * group);
            return buffer + skip;
        }
    }

    /// <summary>Writes y.</summary>
    /// <param name="product">The product.</param>
    /// <param name="output">y, (B, P, O).</param>
    internal static void Forward<T>(in Product<T> product, T* output)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var body = new ForwardBody<T>(product, output);
        TorchThreads.For(product.Tiles, Math.Max(1, Grain / Math.Max(1, product.Batch * product.Rows * product.Inputs)), ref body);
    }

    /// <summary>
    /// d ln sigma = sigma o sum_n eps_n o (g_n' x_n) and d x_n = g_n (sigma o eps_n). Where g is zero, which it is behind a unit of a rectifier
    /// that is off, no noise is made.
    /// </summary>
    /// <param name="product">The product.</param>
    /// <param name="gradient">g, (B, P, O).</param>
    /// <param name="scaleGradient">d ln sigma, or null where nobody needs it.</param>
    /// <param name="addScale">Whether d ln sigma is added to what stands there.</param>
    /// <param name="inputGradients">
    /// (<see cref="Product{T}.Parts"/>, B, P, I), to be written: d x is the first, the others are used up; or null.
    /// </param>
    internal static void Backward<T>(in Product<T> product, T* gradient, T* scaleGradient, bool addScale, T* inputGradients)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        long parts = product.Parts, work = product.Batch * product.Inputs * product.Outputs;
        var body = new BackwardBody<T>(product, gradient, scaleGradient, addScale, inputGradients);
        TorchThreads.For(parts, Math.Max(1, Grain * parts / Math.Max(1, work)), ref body);
        if (inputGradients == null || parts == 1)
            return;
        var sum = new SumBody<T>(inputGradients, parts, product.InputSize);
        TorchThreads.For(product.InputSize, Grain, ref sum);
    }

    private static T Dot<T>(T* scale, T* noise, T* input, long count)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        int width = Vector<T>.Count;
        Vector<T> even = default, odd = default;
        long i = 0;
        for (; i <= count - 2 * width; i += 2 * width)
        {
            even += Vector.Load(scale + i) * Vector.Load(noise + i) * Vector.Load(input + i);
            odd += Vector.Load(scale + i + width) * Vector.Load(noise + i + width) * Vector.Load(input + i + width);
        }

        T sum = Vector.Sum(even + odd);
        for (; i < count; i++)
            sum += scale[i] * noise[i] * input[i];
        return sum;
    }

    // sum += factor a o b
    private static void AddProduct<T>(T* sum, T factor, T* a, T* b, long count)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var factors = new Vector<T>(factor);
        long i = 0;
        for (; i <= count - Vector<T>.Count; i += Vector<T>.Count)
            (Vector.Load(sum + i) + factors * Vector.Load(a + i) * Vector.Load(b + i)).Store(sum + i);
        for (; i < count; i++)
            sum[i] += factor * a[i] * b[i];
    }

    private readonly struct ForwardBody<T>(Product<T> product, T* output) : IRangeBody
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public void Run(long begin, long end)
        {
            using var buffer = new NativeBuffer<T>();
            T* scales = buffer.Reserve(2 * product.Room), noise = scales + product.Room;
            (long inputs, long outputs) = (product.Inputs, product.Outputs);
            for (long row = begin * product.Rows; row < Math.Min(end * product.Rows, outputs); row += product.Rows)
            {
                long rows = Math.Min(product.Rows, outputs - row);
                product.Scales(row, rows, scales);
                for (long n = 0; n < product.Batch; n++)
                {
                    T* eps = product.Noise(n, row, rows, noise);
                    for (long p = 0; p < product.Positions; p++)
                    {
                        T* x = product.InputOf(n, p), y = output + (n * product.Positions + p) * outputs + row;
                        for (long r = 0; r < rows; r++)
                            y[r] = Dot(scales + r * inputs, eps + r * inputs, x, inputs);
                    }
                }
            }
        }
    }

    private readonly struct BackwardBody<T>(Product<T> product, T* gradient, T* scaleGradient, bool addScale, T* inputGradients) : IRangeBody
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public void Run(long begin, long end)
        {
            using var buffer = new NativeBuffer<T>();
            buffer.Reserve(3 * product.Room);
            (long parts, long tiles) = (product.Parts, product.Tiles);
            for (long part = begin; part < end; part++)
            {
                T* inputGradient = inputGradients == null ? null : inputGradients + part * product.InputSize;
                if (inputGradient != null)
                    new Span<T>(inputGradient, (int)product.InputSize).Clear();
                for (long tile = tiles * part / parts; tile < tiles * (part + 1) / parts; tile++)
                    Rows(tile * product.Rows, buffer.Pointer, inputGradient);
            }
        }

        private void Rows(long row, T* buffer, T* inputGradient)
        {
            T* scales = buffer, noise = scales + product.Room, products = noise + product.Room;
            (long inputs, long outputs, long rows) = (product.Inputs, product.Outputs, Math.Min(product.Rows, product.Outputs - row));
            product.Scales(row, rows, scales);
            new Span<T>(products, (int)(rows * inputs)).Clear();
            for (long n = 0; n < product.Batch; n++)
            {
                if (IsZero(n, row, rows))
                    continue;
                T* eps = product.Noise(n, row, rows, noise);
                for (long p = 0; p < product.Positions; p++)
                {
                    T* x = product.InputOf(n, p), g = gradient + (n * product.Positions + p) * outputs + row;
                    for (long r = 0; r < rows; r++)
                    {
                        if (scaleGradient != null)
                            AddProduct(products + r * inputs, g[r], eps + r * inputs, x, inputs);
                        if (inputGradient != null)
                            AddProduct(inputGradient + (n * product.Positions + p) * inputs, g[r], eps + r * inputs, scales + r * inputs, inputs);
                    }
                }
            }

            if (scaleGradient == null)
                return;
            T* target = scaleGradient + row * inputs;
            if (!addScale)
                new Span<T>(target, (int)(rows * inputs)).Clear();
            AddProduct(target, T.One, products, scales, rows * inputs);
        }

        private bool IsZero(long example, long row, long rows)
        {
            for (long p = 0; p < product.Positions; p++)
            {
                if (new ReadOnlySpan<T>(gradient + (example * product.Positions + p) * product.Outputs + row, (int)rows).ContainsAnyExcept(T.Zero))
                    return false;
            }

            return true;
        }
    }

    private readonly struct SumBody<T>(T* parts, long count, long size) : IRangeBody
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public void Run(long begin, long end)
        {
            for (long start = begin; start < end; start += Tile)
            {
                int length = (int)Math.Min(Tile, end - start);
                for (long part = 1; part < count; part++)
                    LocalKernel.AddHere(parts + start, parts + part * size + start, length);
            }
        }
    }
}
