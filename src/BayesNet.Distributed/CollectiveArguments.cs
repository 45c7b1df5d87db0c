using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Distributed;

/// <summary>Checks before memory goes to an engine, and what all engines do alike.</summary>
internal static class CollectiveArguments
{
    /// <summary>A tensor whose memory an engine may reduce.</summary>
    internal static Tensor Reducible(Tensor tensor, Reduction reduction, DeviceType device)
    {
        Plain(tensor, device);
        if (tensor.dtype is not (ScalarType.Float32 or ScalarType.Float64 or ScalarType.Int64))
            throw new ArgumentException($"tensor is {tensor.dtype}; reductions take Float32, Float64 and Int64: convert it.", nameof(tensor));
        if (reduction == Reduction.Mean && tensor.dtype == ScalarType.Int64)
            throw new ArgumentException("tensor is Int64, whose mean is no integer; take Reduction.Sum, or convert it to Float64.", nameof(reduction));
        if (!Enum.IsDefined(reduction))
            throw new ArgumentOutOfRangeException(nameof(reduction), reduction, "reduction must be Sum, Mean or Max.");
        return tensor;
    }

    /// <summary>A tensor whose memory an engine may send as it lies.</summary>
    internal static Tensor Plain(Tensor tensor, DeviceType device)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        if (tensor.device_type != device)
            throw new ArgumentException($"tensor is on {tensor.device_type}, and these ranks exchange memory of {device}; move it there.", nameof(tensor));
        if (tensor.is_sparse || !tensor.is_contiguous())
            throw new ArgumentException("tensor is not contiguous; pass tensor.contiguous(), and copy the result back.", nameof(tensor));
        if (tensor.numel() * tensor.element_size() > int.MaxValue)
            throw new ArgumentException($"tensor has shape {Guard.Format(tensor.shape)}, over 2 GiB; exchange it in parts (narrow).", nameof(tensor));
        return tensor;
    }

    internal static int Root(int root, int size)
        => root >= 0 && root < size ? root : throw new ArgumentOutOfRangeException(nameof(root), root, $"root must be a rank, 0 to {size - 1}.");

    /// <summary>Makes a mean of a sum.</summary>
    internal static void Divide(Tensor sum, int size)
    {
        using var _ = no_grad();
        using Scalar divisor = size;
        sum.div_(divisor);
    }
}
