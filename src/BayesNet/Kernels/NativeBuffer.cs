using System.Runtime.InteropServices;

namespace BayesNet.Kernels;

/// <summary>Uninitialised memory outside the managed heap, aligned to a cache line, that grows and is kept until it is disposed.</summary>
internal sealed unsafe class NativeBuffer<T> : IDisposable
    where T : unmanaged
{
    private const nuint Alignment = 64;

    /// <summary>Where the memory begins; null before the first <see cref="Reserve"/>.</summary>
    public T* Pointer { get; private set; }

    /// <summary>The number of entries that there is room for.</summary>
    public long Capacity { get; private set; }

    /// <summary>Makes room for <paramref name="count"/> entries; what was there is lost where the buffer has to grow.</summary>
    public T* Reserve(long count)
    {
        if (count <= Capacity)
            return Pointer;
        Free();
        Pointer = (T*)NativeMemory.AlignedAlloc(checked((nuint)count * (nuint)sizeof(T)), Alignment);
        Capacity = count;
        GC.AddMemoryPressure(count * sizeof(T));
        return Pointer;
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    ~NativeBuffer() => Free();

    private void Free()
    {
        if (Pointer is null)
            return;
        NativeMemory.AlignedFree(Pointer);
        GC.RemoveMemoryPressure(Capacity * sizeof(T));
        Pointer = null;
        Capacity = 0;
    }
}
