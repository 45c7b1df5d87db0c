using TorchSharp.Modules;

namespace BayesNet.Training.Fitting;

/// <summary>
/// The processes that take every step of a trainer together, each on rows of its own: what they have to agree on, and how their gradients become
/// one. <see cref="Join"/> and the sums are called by all of them in the same order.
/// </summary>
/// <remarks>A trainer disposes it at its end, which frees what was kept for that trainer; another may come after.</remarks>
internal interface IPeers : IDisposable
{
    /// <summary>This process, from 0.</summary>
    int Rank { get; }

    /// <summary>How many there are.</summary>
    int Size { get; }

    /// <summary>Makes a new trainer, or one that has just resumed, a copy of rank 0's that draws noise of its own.</summary>
    void Join(VariationalTrainer trainer);

    /// <summary>Replaces values by their sums over all processes.</summary>
    void Sum(Span<double> values);

    /// <summary>
    /// Replaces gradients and values by their sums over all processes. A parameter that has no gradient in any keeps none.
    /// </summary>
    void Sum(IReadOnlyList<Parameter> trained, Span<double> values);

    /// <summary>The rows of a minibatch that are this process's: even shares in the order of the ranks, the first never empty.</summary>
    (long Start, long Length) Slice(long rows)
    {
        long start = (Rank * rows + Size - 1) / Size, end = ((Rank + 1) * rows + Size - 1) / Size;
        return (start, end - start);
    }
}
