using TorchSharp.Modules;

namespace BayesNet.Training.Fitting;

/// <summary>
/// The processes that take every step of a trainer together, each on rows of its own: what they have to agree on, how their gradients become
/// one, and what becomes of them when one fails. All of them make the same exchanges in the same order: <see cref="Join"/>, <see cref="Fetch"/>, <see cref="Sum"/>, and
/// <see cref="EndStep"/> after each <see cref="BeginStep"/>.
/// </summary>
/// <remarks>A trainer disposes it at its end, which frees what was kept for that trainer; another may come after.</remarks>
internal interface IPeers : IDisposable
{
    /// <summary>This process, from 0.</summary>
    int Rank { get; }

    /// <summary>How many there are.</summary>
    int Size { get; }

    /// <summary>Makes a new trainer, or one that has just resumed, a copy of rank 0's.</summary>
    void Join(VariationalTrainer trainer);

    /// <summary>A file of the first process's: its path there, and that of a copy, the caller's to delete, elsewhere; null where the first has none.</summary>
    /// <exception cref="IOException">The first process can't read it, or this one can't write.</exception>
    string? Fetch(string path);

    /// <summary>Replaces two values by their sums over all processes.</summary>
    /// <param name="values">Two of them.</param>
    /// <param name="place">Where in the run the process is; processes that are at different places throw.</param>
    void Sum(Span<double> values, long place);

    /// <summary>Begins a step: its noise is that of seed, rank and step, whatever was drawn before.</summary>
    /// <param name="trained">What the step trains.</param>
    /// <param name="step">Steps before this one.</param>
    void BeginStep(IReadOnlyList<Parameter> trained, long step);

    /// <summary>Tells, within a step, that a gradient is complete and stays as it is: its exchange may begin.</summary>
    void Complete(Parameter parameter);

    /// <summary>
    /// Replaces gradients and two values by their sums over all processes, and running statistics by their means. A parameter that has no
    /// gradient in any keeps none.
    /// </summary>
    /// <param name="values">Two of them.</param>
    /// <param name="share">This process's share of the rows of the step, by which its running statistics count.</param>
    void EndStep(Span<double> values, double share);

    /// <summary>Tells the others, in the exchange that they make next, that this process goes no further: they throw. What they know already is not told again.</summary>
    void Fail(Exception failure);

    /// <summary>The rows of a minibatch that are this process's: even shares in the order of the ranks, the first never empty.</summary>
    (long Start, long Length) Slice(long rows) => Share(rows, Rank, Size);

    /// <summary>The part of a number of things that is one process's: even shares in the order of the processes, the first the largest.</summary>
    static (long Start, long Length) Share(long count, int process, int size)
    {
        return (Start(process), Start(process + 1) - Start(process));

        long Start(int one) => (one * count + size - 1) / size;
    }
}
