using System.Buffers;

namespace BayesNet.Kernels;

/// <summary>The body of a sum that <see cref="ChunkedSum"/> runs.</summary>
internal interface IRangeSum
{
    /// <summary>The sum over the indices from <paramref name="begin"/> up to, without, <paramref name="end"/>.</summary>
    /// <remarks>Called from several threads at once, each with a range of its own.</remarks>
    double Sum(long begin, long end);
}

/// <summary>Sums on libtorch's threads whose value does not depend on how many there are: the chunks are fixed, and added in order.</summary>
internal static unsafe class ChunkedSum
{
    private const long Chunk = 8192;

    /// <summary>The sum of <paramref name="body"/> over 0 to <paramref name="count"/>.</summary>
    internal static double Of<TBody>(long count, TBody body)
        where TBody : struct, IRangeSum
    {
        if (count <= Chunk)
            return count > 0 ? body.Sum(0, count) : 0;
        int chunks = (int)((count + Chunk - 1) / Chunk);
        double[] parts = ArrayPool<double>.Shared.Rent(chunks);
        try
        {
            fixed (double* start = parts)
            {
                var loop = new Loop<TBody>(body, start, count);
                TorchThreads.For(chunks, 2, ref loop);
            }

            double total = 0;
            foreach (double part in parts.AsSpan(0, chunks))
                total += part;
            return total;
        }
        finally
        {
            ArrayPool<double>.Shared.Return(parts);
        }
    }

    private readonly struct Loop<TBody>(TBody body, double* parts, long count) : IRangeBody
        where TBody : struct, IRangeSum
    {
        public void Run(long begin, long end)
        {
            for (long i = begin; i < end; i++)
                parts[i] = body.Sum(i * Chunk, Math.Min(count, (i + 1) * Chunk));
        }
    }
}
