using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Kernels;

/// <summary>
/// Workspaces that are used again: what libtorch frees, the C library may give back to the system, and fresh pages cost more than the
/// arithmetic that fills them. All layers share one pool, so that what one needs for a moment serves the next; it lasts as long as a layer does.
/// </summary>
/// <remarks>
/// A workspace that nobody asked for in a long while is freed, so that changing batch sizes leave nothing behind. Small ones are not kept, nor
/// those on CUDA, where libtorch's own allocator does this and knows of streams. Any thread may rent and return.
/// </remarks>
internal sealed class TensorPool
{
    /// <summary>The least size worth keeping: below it the C library keeps blocks itself.</summary>
    internal const long LeastBytes = 1 << 16;

    private const long MostAge = 1000;

    private static readonly Lock Gate = new();
    private static readonly WeakReference<TensorPool> Latest = new(null!);

    private readonly List<(Tensor Tensor, long Returned)> _free = [];
    private long _clock;
    private int _owners;

    private TensorPool()
    {
    }

    /// <summary>The pool, for a layer to hold until it calls <see cref="Release"/> or is collected.</summary>
    internal static TensorPool Acquire()
    {
        lock (Gate)
        {
            if (!Latest.TryGetTarget(out TensorPool? pool))
                Latest.SetTarget(pool = new TensorPool());
            pool._owners++;
            return pool;
        }
    }

    /// <summary>Gives up what <see cref="Acquire"/> gave; the last owner's leaving frees all that is kept.</summary>
    internal void Release()
    {
        lock (Gate)
        {
            if (--_owners == 0)
                Free(long.MaxValue);
        }
    }

    /// <summary>A contiguous tensor of the given shape, contents undefined, outside of every dispose scope; the caller's until it is returned.</summary>
    internal Tensor Rent(ReadOnlySpan<long> shape, ScalarType dtype, Device device)
    {
        if (IsKept(device.type, dtype, shape))
        {
            lock (Gate)
            {
                _clock++;
                for (int i = _free.Count - 1; i >= 0; i--)
                {
                    Tensor candidate = _free[i].Tensor;
                    if (candidate.dtype == dtype && HasShape(candidate, shape))
                    {
                        _free.RemoveAt(i);
                        return candidate;
                    }
                }
            }
        }

        return empty(shape.ToArray(), dtype: dtype, device: device).DetachFromDisposeScope();
    }

    /// <summary>Takes back what was rented; nobody may hold it any longer.</summary>
    internal void Return(Tensor tensor)
    {
        if (tensor.device_type != DeviceType.CPU || tensor.numel() * tensor.element_size() < LeastBytes)
        {
            tensor.Dispose();
            return;
        }

        lock (Gate)
        {
            _free.Add((tensor, _clock));
            Free(_owners == 0 ? long.MaxValue : _clock - MostAge);
        }
    }

    /// <summary>Frees what was returned before the given time; the list is in its order.</summary>
    private void Free(long before)
    {
        int count = 0;
        for (; count < _free.Count && _free[count].Returned < before; count++)
            _free[count].Tensor.Dispose();
        _free.RemoveRange(0, count);
    }

    private static bool IsKept(DeviceType device, ScalarType dtype, ReadOnlySpan<long> shape)
    {
        long bytes = dtype == ScalarType.Float64 ? 8 : 4;
        foreach (long size in shape)
            bytes *= size;
        return device == DeviceType.CPU && bytes >= LeastBytes;
    }

    private static bool HasShape(Tensor tensor, ReadOnlySpan<long> shape)
    {
        if (tensor.dim() != shape.Length)
            return false;
        for (int i = 0; i < shape.Length; i++)
        {
            if (tensor.size(i) != shape[i])
                return false;
        }

        return true;
    }
}
