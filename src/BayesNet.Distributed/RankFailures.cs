using System.Text;
using System.Text.Json;
using BayesNet.Training;

namespace BayesNet.Distributed;

/// <summary>How the failure of some ranks reaches the others: as an exception on every rank, in place of a rank that never comes.</summary>
internal static class RankFailures
{
    /// <summary>
    /// Told on all ranks once they know that some have failed, and of each what it was: what a rank without a failure of its own is to throw.
    /// </summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="mine">This rank's failure; null where it has none.</param>
    /// <returns>The failure of the first rank that has one, in the type it has there where callers go by the type.</returns>
    internal static Exception Exchange(ICollectives ranks, Exception? mine)
    {
        IReadOnlyList<byte[]> all = ranks.AllGather(mine is null ? [] : JsonSerializer.SerializeToUtf8Bytes(new Told(mine is NonFiniteLossException, mine.Message)));
        int rank = all.Index().First(entry => entry.Item.Length > 0).Index;
        Told told = JsonSerializer.Deserialize<Told>(Encoding.UTF8.GetString(all[rank]))!;
        string message = $"Rank {rank} failed: {told.Message}";
        return told.IsLoss ? new NonFiniteLossException(message) : new CollectiveException(message);
    }

    private sealed record Told(bool IsLoss, string Message);
}
