using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Kernels;

/// <summary>The memory behind a tensor, for loops of our own.</summary>
internal static unsafe class TensorMemory
{
    /// <summary>Whether <paramref name="tensor"/> is a dense, contiguous CPU tensor of <typeparamref name="T"/> that a span can hold.</summary>
    internal static bool IsPlain<T>(Tensor tensor)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => tensor.device_type == DeviceType.CPU && tensor.dtype == DtypeOf<T>() && !tensor.is_sparse && tensor.is_contiguous()
            && tensor.numel() <= int.MaxValue / sizeof(T);

    /// <summary>The entries of a tensor that <see cref="IsPlain{T}"/>, in order; valid while the tensor lives, which is the caller's to see to.</summary>
    internal static Span<T> Span<T>(Tensor tensor)
        where T : unmanaged
        => MemoryMarshal.Cast<byte, T>(tensor.bytes);

    /// <summary>The address of the first entry; see <see cref="Span{T}"/>.</summary>
    internal static T* Pointer<T>(Tensor tensor)
        where T : unmanaged
        => (T*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(tensor.bytes));

    /// <summary>Sets a gradient to zero.</summary>
    internal static void Zero(Tensor gradient)
    {
        // libtorch's own costs some microseconds, and zeros large tensors on all cores.
        if (gradient.numel() <= 65_536 && !gradient.requires_grad && IsPlain<float>(gradient))
            Span<float>(gradient).Clear();
        else
            gradient.zero_();
    }

    /// <summary>float32 or float64.</summary>
    internal static ScalarType DtypeOf<T>()
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => typeof(T) == typeof(float) ? ScalarType.Float32
            : typeof(T) == typeof(double) ? ScalarType.Float64
            : throw new NotSupportedException($"No kernel for {typeof(T).Name}.");
}
