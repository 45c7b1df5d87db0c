using System.Runtime.ExceptionServices;
using System.Text;
using BayesNet.Kernels;
using static TorchSharp.torch;

namespace BayesNet.Distributed;

/// <summary>
/// A failure on a rank reaches all: the others would wait for it in the next collective. Where every rank failed, bad input say, each throws what it
/// met, as one process would.
/// </summary>
internal static class Failures
{
    /// <summary>Does what one rank does by itself; all throw where one does.</summary>
    /// <param name="ranks">The ranks, all of which make this call.</param>
    /// <param name="own">This rank's part, without collectives.</param>
    /// <param name="discard">Frees the result where another rank failed.</param>
    /// <exception cref="CollectiveException">Another rank failed; the message names it.</exception>
    /// <exception cref="OperationCanceledException">A rank was cancelled.</exception>
    internal static T Together<T>(this ICollectives ranks, Func<T> own, Action<T>? discard = null)
    {
        T result = default!;
        Exception? failure = null;
        try
        {
            result = own();
        }
        catch (Exception error)
        {
            // The others wait for this rank: they have to hear of it, whatever it is.
            failure = error;
        }

        try
        {
            ranks.ThrowIfAny(failure);
        }
        catch when (failure is null)
        {
            discard?.Invoke(result);
            throw;
        }

        return result;
    }

    /// <summary>Returns where no rank has a failure, after a reduction of 16 bytes; else all throw.</summary>
    /// <param name="ranks">The ranks, all of which make this call.</param>
    /// <param name="own">What happened on this one; null for nothing.</param>
    internal static void ThrowIfAny(this ICollectives ranks, Exception? own)
    {
        using Tensor found = tensor(new long[] { own is null ? 0 : ranks.Size - ranks.Rank, own is null ? 1 : 0 }).DetachFromDisposeScope();
        ranks.AllReduce(found, Reduction.Max);
        ReadOnlySpan<long> greatest = TensorMemory.Span<long>(found);
        if (greatest[0] == 0)
            return;
        if (greatest[1] == 0)
            ExceptionDispatchInfo.Throw(own!);
        Throw(ranks, own, ranks.Size - (int)greatest[0]);
    }

    /// <summary>Throws the first failed rank's failure on all.</summary>
    private static void Throw(ICollectives ranks, Exception? own, int first)
    {
        string text = own is CollectiveException or null ? own?.Message ?? "" : $"Rank {ranks.Rank} failed: {own.Message}";
        byte[] told = ranks.BroadcastBytes(Encoding.UTF8.GetBytes((own is OperationCanceledException ? "c" : "e") + text), first);
        string message = Encoding.UTF8.GetString(told.AsSpan(1));
        if (ranks.Rank == first && own is CollectiveException or OperationCanceledException)
            ExceptionDispatchInfo.Throw(own);
        if (told[0] == 'c')
            throw new OperationCanceledException(message, own);
        throw own is null ? new CollectiveException(message) : new CollectiveException(message, own);
    }

    /// <summary>One rank's bytes, any number of them above zero, on every rank.</summary>
    internal static byte[] BroadcastBytes(this ICollectives ranks, byte[] bytes, int root)
    {
        using Tensor length = tensor(new long[] { bytes.Length }).DetachFromDisposeScope();
        ranks.Broadcast(length, root);
        using Tensor shared = (ranks.Rank == root ? tensor(bytes) : empty([TensorMemory.Span<long>(length)[0]], ScalarType.Byte, CPU)).DetachFromDisposeScope();
        ranks.Broadcast(shared, root);
        return TensorMemory.Span<byte>(shared).ToArray();
    }
}
