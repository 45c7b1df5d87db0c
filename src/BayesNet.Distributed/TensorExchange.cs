using System.Text.Json;
using BayesNet.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Distributed;

/// <summary>Collectives of tensors of any layout, device and size. What travels lies on the CPU.</summary>
internal static class TensorExchange
{
    private const long MostBytes = 1L << 30;

    /// <summary>Replaces a tensor by that of one rank, where it lies if it is contiguous on the CPU.</summary>
    internal static void Spread(this ICollectives ranks, Tensor tensor, int root)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        bool lies = tensor.device_type == DeviceType.CPU && tensor.is_contiguous();
        Tensor plain = lies ? tensor : tensor.detach().cpu().contiguous();
        foreach (Tensor part in Parts(plain))
            ranks.Broadcast(part, root);
        if (!lies && ranks.Rank != root)
            tensor.copy_(plain);
    }

    /// <summary>Replaces numbers by those of one rank.</summary>
    internal static void Spread(this ICollectives ranks, Span<long> values, int root)
    {
        using Tensor shared = tensor(values.ToArray()).DetachFromDisposeScope();
        ranks.Broadcast(shared, root);
        TensorMemory.Span<long>(shared).CopyTo(values);
    }

    /// <summary>Replaces a contiguous tensor on the CPU by its reduction.</summary>
    internal static Tensor Reduced(this ICollectives ranks, Tensor tensor, Reduction reduction = Reduction.Sum)
    {
        using var scope = NewDisposeScope();
        foreach (Tensor part in Parts(tensor))
            ranks.AllReduce(part, reduction);
        return tensor;
    }

    /// <summary>A number of every rank, on all.</summary>
    internal static long[] Gathered(this ICollectives ranks, long own)
    {
        long[] all = new long[ranks.Size];
        all[ranks.Rank] = own;
        using Tensor shared = tensor(all).DetachFromDisposeScope();
        ranks.AllReduce(shared);
        return TensorMemory.Span<long>(shared).ToArray();
    }

    /// <summary>The rows of all ranks one behind the other, in their order, on every rank.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="mine">This rank's, (rows, ...); null where it has none.</param>
    /// <param name="rows">How many each rank has.</param>
    /// <param name="layout">Of a row, and where to put them.</param>
    internal static Tensor Gathered(this ICollectives ranks, Tensor? mine, long[] rows, RowLayout layout)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor all = empty([rows.Sum(), .. layout.Shape], layout.Type, CPU);
        long first = 0;
        for (int rank = 0; rank < rows.Length; rank++)
        {
            if (rows[rank] == 0)
                continue;
            Tensor place = all.narrow(0, first, rows[rank]);
            if (rank == ranks.Rank)
                place.copy_(mine!);
            ranks.Spread(place, rank);
            first += rows[rank];
        }

        return layout.Moved(all).MoveToOuterDisposeScope();
    }

    /// <summary>One rank's description of something, which is not tensors, on every rank.</summary>
    internal static T Described<T>(this ICollectives ranks, T? own, int root)
        => JsonSerializer.Deserialize<T>(ranks.BroadcastBytes(ranks.Rank == root ? JsonSerializer.SerializeToUtf8Bytes(own) : [0], root))!;

    /// <summary>One rank's bytes, any number of them above zero, on every rank.</summary>
    internal static byte[] BroadcastBytes(this ICollectives ranks, byte[] bytes, int root)
    {
        using Tensor length = tensor(new long[] { bytes.Length }).DetachFromDisposeScope();
        ranks.Broadcast(length, root);
        using Tensor shared = (ranks.Rank == root ? tensor(bytes) : empty([TensorMemory.Span<long>(length)[0]], ScalarType.Byte, CPU)).DetachFromDisposeScope();
        ranks.Broadcast(shared, root);
        return TensorMemory.Span<byte>(shared).ToArray();
    }

    /// <summary>Parts of at most a GiB, in their order.</summary>
    private static IEnumerable<Tensor> Parts(Tensor tensor)
    {
        long count = tensor.numel(), most = MostBytes / Math.Max(1, tensor.element_size());
        if (count <= most)
        {
            if (count > 0)
                yield return tensor;
            yield break;
        }

        Tensor flat = tensor.view(-1);
        for (long start = 0; start < count; start += most)
            yield return flat.narrow(0, start, Math.Min(most, count - start));
    }
}

/// <summary>What the rows of a tensor are like.</summary>
/// <param name="Type">The type.</param>
/// <param name="Shape">Of a row.</param>
/// <param name="Device">Where they lie on the rank that says so.</param>
internal sealed record RowLayout(ScalarType Type, long[] Shape, DeviceType Device)
{
    internal static RowLayout Of(Tensor rows) => new(rows.dtype, rows.shape[1..], rows.device_type);

    internal Tensor Moved(Tensor rows) => Device == DeviceType.CPU ? rows : rows.to(new Device(Device));
}
