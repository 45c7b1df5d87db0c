using System.Runtime.ExceptionServices;
using System.Text.Json;
using BayesNet.Kernels;
using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Distributed;

/// <summary>How the failure of some ranks reaches the others: as an exception on every rank, in place of a rank that never comes.</summary>
internal static class RankFailures
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

    /// <summary>Returns where no rank has a failure, after a reduction of 16 bytes; else all throw. Where all ranks failed, by bad input say, each throws its own.</summary>
    /// <param name="ranks">The ranks, all of which make this call.</param>
    /// <param name="own">What happened on this one; null for nothing.</param>
    internal static void ThrowIfAny(this ICollectives ranks, Exception? own)
    {
        using Tensor found = tensor(new long[] { own is null ? 0 : 1, own is null ? 1 : 0 }).DetachFromDisposeScope();
        ranks.AllReduce(found, Reduction.Max);
        ReadOnlySpan<long> greatest = TensorMemory.Span<long>(found);
        if (greatest[0] == 0)
            return;
        Exception? first = greatest[1] == 0 ? null : Exchange(ranks, own);
        if (own is not null && (first is null || KindOf(own) != Kind.Other))
            ExceptionDispatchInfo.Throw(own);
        throw own is null ? first! : new CollectiveException(first!.Message, own);
    }

    /// <summary>
    /// Told on all ranks once they know that some have failed, and of each what it was: what a rank without a failure of its own is to throw.
    /// </summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="mine">This rank's failure; null where it has none.</param>
    /// <returns>The failure of the first rank that has one, in the type it has there where callers go by the type.</returns>
    internal static Exception Exchange(ICollectives ranks, Exception? mine)
    {
        IReadOnlyList<byte[]> all = ranks.AllGather(mine is null ? [] : JsonSerializer.SerializeToUtf8Bytes(new Told(KindOf(mine), mine.Message)));
        int rank = all.Index().First(entry => entry.Item.Length > 0).Index;
        Told told = JsonSerializer.Deserialize<Told>(all[rank])!;
        string message = told.Kind == Kind.Told ? told.Message : $"Rank {rank} failed: {told.Message}";
        return told.Kind switch
        {
            Kind.Loss => new NonFiniteLossException(message),
            Kind.Cancelled => new OperationCanceledException(message),
            _ => new CollectiveException(message),
        };
    }

    private static Kind KindOf(Exception failure) => failure switch
    {
        NonFiniteLossException => Kind.Loss,
        OperationCanceledException => Kind.Cancelled,
        CollectiveException => Kind.Told,
        _ => Kind.Other,
    };

    private enum Kind
    {
        Other,
        Loss,
        Cancelled,

        /// <summary>The message says where it happened.</summary>
        Told,
    }

    private sealed record Told(Kind Kind, string Message);
}
