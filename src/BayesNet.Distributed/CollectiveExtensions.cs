using System.Text.Json;
using System.Text.Json.Serialization;
using static TorchSharp.torch;

namespace BayesNet.Distributed;

/// <summary>What is made of the collectives of any engine.</summary>
public static class CollectiveExtensions
{
    private static readonly JsonSerializerOptions Json = new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };

    /// <summary>The bytes of all ranks, in their order, on every rank; each may have any number of them.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="mine">This rank's.</param>
    public static IReadOnlyList<byte[]> AllGather(this ICollectives ranks, byte[] mine)
    {
        ArgumentNullException.ThrowIfNull(ranks);
        ArgumentNullException.ThrowIfNull(mine);
        using var scope = NewDisposeScope();
        long[] lengths = new long[ranks.Size];
        lengths[ranks.Rank] = mine.Length;
        Tensor shared = tensor(lengths);
        ranks.AllReduce(shared);
        long[] known = shared.data<long>().ToArray();
        var all = new byte[ranks.Size][];
        for (int rank = 0; rank < all.Length; rank++)
        {
            if (known[rank] == 0)
            {
                all[rank] = [];
                continue;
            }

            using Tensor bytes = rank == ranks.Rank ? tensor(mine) : empty([known[rank]], ScalarType.Byte, CPU);
            ranks.Broadcast(bytes, rank);
            all[rank] = bytes.bytes.ToArray();
        }

        return all;
    }

    /// <summary>
    /// A function of every item, spread over the ranks (item i on rank i modulo their number); all results, in order, on every rank. Members of an
    /// ensemble, chains, divisions of a data set, settings of a search: anything whose items know nothing of each other.
    /// </summary>
    /// <typeparam name="TItem">An item; the same list on every rank.</typeparam>
    /// <typeparam name="TResult">A result, which travels as JSON: numbers (to the last bit, NaN and infinities too), text, arrays, records.</typeparam>
    /// <param name="ranks">The ranks.</param>
    /// <param name="items">What there is to do.</param>
    /// <param name="function">Does one; it must not use <paramref name="ranks"/>.</param>
    /// <exception cref="CollectiveException">The function failed on a rank; all ranks throw, and the message names rank, item and reason.</exception>
    public static IReadOnlyList<TResult> Map<TItem, TResult>(this ICollectives ranks, IReadOnlyList<TItem> items, Func<TItem, TResult> function)
    {
        ArgumentNullException.ThrowIfNull(ranks);
        ArgumentNullException.ThrowIfNull(items);
        ArgumentNullException.ThrowIfNull(function);
        var mine = new Share<TResult>([], null);
        Exception? failure = null;
        for (int i = ranks.Rank; i < items.Count && failure is null; i += ranks.Size)
        {
            try
            {
                mine.Results.Add(function(items[i]));
            }
            catch (Exception error)
            {
                // The others wait for this rank's results: they have to hear of it, whatever it is.
                failure = error;
                mine = mine with { Failure = $"Item {i} failed on rank {ranks.Rank}: {error.Message}" };
            }
        }

        Share<TResult>[] all = [.. ranks.AllGather(JsonSerializer.SerializeToUtf8Bytes(mine, Json)).Select(bytes => JsonSerializer.Deserialize<Share<TResult>>(bytes, Json)!)];
        if (Array.Find(all, share => share.Failure is not null) is { } failed)
            throw failure is null ? new CollectiveException(failed.Failure!) : new CollectiveException(failed.Failure!, failure);
        return [.. items.Select((_, i) => all[i % ranks.Size].Results[i / ranks.Size])];
    }

    private sealed record Share<TResult>(List<TResult> Results, string? Failure);
}
