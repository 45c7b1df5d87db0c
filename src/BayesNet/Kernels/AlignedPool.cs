using System.Collections.Concurrent;
using System.Numerics;

namespace BayesNet.Kernels;

/// <summary>
/// Workspaces outside the managed heap that are used again, aligned to a cache line: the rounding of a matrix product depends on how its operands
/// are aligned, and a run under a seed is to repeat itself to the last bit.
/// </summary>
/// <remarks>A few of each size, powers of two, are kept for the life of the process. Any thread may rent and return.</remarks>
internal static unsafe class AlignedPool<T>
    where T : unmanaged
{
    private const int KeptPerSize = 8;

    private static readonly ConcurrentStack<NativeBuffer<T>>[] Free = [.. Enumerable.Range(0, 48).Select(_ => new ConcurrentStack<NativeBuffer<T>>())];

    /// <summary>A buffer with room for <paramref name="count"/> entries, contents undefined; the caller's until it is returned.</summary>
    internal static NativeBuffer<T> Rent(long count)
    {
        int size = SizeOf(count);
        if (!Free[size].TryPop(out NativeBuffer<T>? buffer))
        {
            buffer = new NativeBuffer<T>();
            buffer.Reserve(1L << size);
        }

        return buffer;
    }

    /// <summary>Takes a buffer back.</summary>
    internal static void Return(NativeBuffer<T> buffer)
    {
        ConcurrentStack<NativeBuffer<T>> kept = Free[SizeOf(buffer.Capacity)];
        if (kept.Count < KeptPerSize)
            kept.Push(buffer);
        else
            buffer.Dispose();
    }

    private static int SizeOf(long count) => count <= 1 ? 0 : BitOperations.Log2((ulong)(count - 1)) + 1;
}
