using System.Text.Json;
using System.Text.Json.Serialization;
using static TorchSharp.torch;

namespace BayesNet.Distributed;

/// <summary>What is made of the collectives of any engine.</summary>
public static class CollectiveExtensions
{
    /// <summary>How items and results are written: numbers to the last bit, NaN and infinities too, and the fields of tuples.</summary>
    internal static JsonSerializerOptions Json { get; } = new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals, IncludeFields = true };

    /// <summary>The bytes of all ranks, in their order, on every rank; each may have any number of them.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="mine">This rank's.</param>
    public static IReadOnlyList<byte[]> AllGather(this ICollectives ranks, byte[] mine)
    {
        ArgumentNullException.ThrowIfNull(ranks);
        ArgumentNullException.ThrowIfNull(mine);
        using var scope = NewDisposeScope();
        long[] known = ranks.Gathered(mine.Length);
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
    /// A function of every item, spread over the ranks (of those to do, number i on rank i modulo their number); all results, in order, on every rank. Members of an
    /// ensemble, chains, divisions of a data set, settings of a search: anything whose items know nothing of each other.
    /// </summary>
    /// <remarks>
    /// With <paramref name="results"/>, what is done is on disk as it is done, a line of JSON each in a file a rank, <c>results.0</c>, <c>results.1</c> and so on, and a
    /// job that was ended goes on with what is missing, on any number of ranks. Every rank takes what it finds on its own disk, shared with others or not. An
    /// item is known by its JSON, a result by its type; a function that has changed is not noticed, so that it needs another path.
    /// </remarks>
    /// <typeparam name="TItem">An item; the same list on every rank.</typeparam>
    /// <typeparam name="TResult">A result, which travels as JSON: numbers (to the last bit, NaN and infinities too), text, arrays, tuples, records.</typeparam>
    /// <param name="ranks">The ranks.</param>
    /// <param name="items">What there is to do.</param>
    /// <param name="function">Does one; it must not use <paramref name="ranks"/>.</param>
    /// <param name="results">Where results are kept, a path that ranks add their number to; its folder must exist. Null, the default, for nowhere.</param>
    /// <exception cref="CollectiveException">
    /// The function failed on a rank; all ranks throw, and the message names rank, item and reason. So it is where a file can't be read or written.
    /// </exception>
    /// <exception cref="InvalidDataException">A file has results of another kind, or is damaged; the message names it.</exception>
    public static IReadOnlyList<TResult> Map<TItem, TResult>(
        this ICollectives ranks, IReadOnlyList<TItem> items, Func<TItem, TResult> function, string? results = null)
    {
        ArgumentNullException.ThrowIfNull(ranks);
        ArgumentNullException.ThrowIfNull(items);
        ArgumentNullException.ThrowIfNull(function);
        var all = new Dictionary<int, TResult>();
        using ResultFile<TItem, TResult>? file = results is null ? null : new ResultFile<TItem, TResult>(results, ranks.Rank, items);
        if (file is not null)
            Exchange(ranks.Together(file.Read));

        // Number j of what is missing on rank j modulo their number.
        int[] missing = [.. Enumerable.Range(0, items.Count).Where(i => !all.ContainsKey(i))];
        Exchange(ranks.Together(() =>
        {
            var own = new Dictionary<int, TResult>();
            for (int j = ranks.Rank; j < missing.Length; j += ranks.Size)
                own.Add(missing[j], Do(missing[j]));
            return own;
        }));
        return [.. items.Select((_, i) => all[i])];

        TResult Do(int item)
        {
            try
            {
                TResult result = function(items[item]);
                file?.Add(item, result);
                return result;
            }
            catch (Exception error) when (error is not OperationCanceledException)
            {
                throw new CollectiveException($"Item {item} failed on rank {ranks.Rank}: {error.Message}", error);
            }
        }

        // What the first of the ranks that have it says, on all.
        void Exchange(Dictionary<int, TResult> own)
        {
            foreach (byte[] bytes in ranks.AllGather(JsonSerializer.SerializeToUtf8Bytes(own, Json)))
            {
                foreach ((int item, TResult result) in JsonSerializer.Deserialize<Dictionary<int, TResult>>(bytes, Json)!)
                    all.TryAdd(item, result);
            }
        }
    }

    /// <summary>
    /// A search among settings, hyperparameters say: scores each, spread over the ranks as by <see cref="Map"/>, and returns the trials on every rank, the best
    /// first.
    /// </summary>
    /// <remarks>
    /// A setting whose score can't be computed is a trial with a message, and ends nothing. Trials without a number for a score come last. Trials of equal scores are in the
    /// order of their settings.
    /// </remarks>
    /// <typeparam name="TSetting">What is searched; with <paramref name="results"/>, its JSON tells one from another.</typeparam>
    /// <param name="ranks">The ranks.</param>
    /// <param name="settings">The same list on every rank.</param>
    /// <param name="score">The score of a setting, a log likelihood of validation rows say; it must not use <paramref name="ranks"/>.</param>
    /// <param name="minimize">Whether the least score is the best, as of a loss; false, the default, for the greatest.</param>
    /// <param name="results">As <see cref="Map"/> has it: a search that was ended goes on. Failures are kept too. Null, the default, for nowhere.</param>
    /// <exception cref="InvalidDataException">A file has results of another kind, or is damaged; the message names it.</exception>
    public static IReadOnlyList<Trial<TSetting>> Search<TSetting>(
        this ICollectives ranks, IReadOnlyList<TSetting> settings, Func<TSetting, double> score, bool minimize = false, string? results = null)
    {
        ArgumentNullException.ThrowIfNull(settings);
        ArgumentNullException.ThrowIfNull(score);
        IReadOnlyList<Scored> scored = ranks.Map(settings, setting =>
        {
            try
            {
                return new Scored(score(setting), null);
            }
            catch (Exception error) when (error is not OperationCanceledException)
            {
                return new Scored(double.NaN, error.Message);
            }
        }, results);
        return
        [
            .. settings.Zip(scored, (setting, found) => new Trial<TSetting>(setting, found.Score, found.Failure))
                .OrderBy(trial => double.IsNaN(trial.Score)).ThenBy(trial => minimize ? trial.Score : -trial.Score),
        ];
    }

    private sealed record Scored(double Score, string? Failure);
}

/// <summary>One setting of a search.</summary>
/// <typeparam name="TSetting">What is searched.</typeparam>
/// <param name="Setting">The setting.</param>
/// <param name="Score">Its score; NaN where it failed.</param>
/// <param name="Failure">Why it has no score; null where nothing was thrown.</param>
public sealed record Trial<TSetting>(TSetting Setting, double Score, string? Failure);
