using BayesNet.Training;

namespace BayesNet.Distributed;

/// <summary>Training on several processes, by the trainer that trains on one.</summary>
public static class DataParallelExtensions
{
    /// <summary>
    /// The same options for a trainer whose steps all ranks take together, each on its slice of every minibatch:
    /// <c>new VariationalTrainer(model, likelihood, n, options.OnRanks(ranks))</c>. On one rank, the options as they are.
    /// </summary>
    /// <remarks>
    /// <para>
    /// Every rank runs the same program: it builds the same model and calls <c>Fit</c> with the same data, of which it uses its share.
    /// <see cref="TrainerOptions.BatchSize"/> is that of all ranks together, so that a run means the same on any number of them. A loader, and
    /// <see cref="VariationalTrainer.Step"/>, are given the rank's own rows instead, on each rank as many times.
    /// </para>
    /// <para>
    /// The trainer starts from rank 0's parameters. The noise of a step is that of seed, rank and step; libtorch's global generator (dropout layers) is seeded so too. The gradients are those of the union of the rows, the KL term counts
    /// once, and parameters stay the same on all ranks to the last bit. Losses, scores of validation rows and the history are of all ranks; progress
    /// and checkpoints come from rank 0 alone, and any number of ranks, one too, resumes from them by <see cref="VariationalTrainer.Resume"/>, called
    /// on every rank. Callbacks run on every rank. Running statistics of batch normalisation are averaged over the ranks in every step;
    /// other buffers stay each rank's own, and a checkpoint has rank 0's.
    /// </para>
    /// <para>
    /// What fails on one rank (a loss that is not finite, a callback, a checkpoint that can't be written) throws there, and on the others, in what they do
    /// together next, a <see cref="CollectiveException"/> that names rank and reason; a <see cref="NonFiniteLossException"/> is one on all of them.
    /// </para>
    /// </remarks>
    /// <param name="options">How to train. <see cref="TrainerOptions.Seed"/> must be set.</param>
    /// <param name="ranks">The processes; they stay the caller's, and live as long as the trainer.</param>
    /// <exception cref="ArgumentException">There is no seed.</exception>
    public static TrainerOptions OnRanks(this TrainerOptions options, ICollectives ranks)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(ranks);
        if (options.Seed is null)
        {
            throw new ArgumentException(
                "TrainerOptions.Seed is not set: the ranks draw the order of the rows from it, each for itself and all the same. Set it to any number.", nameof(options));
        }

        return ranks.Size == 1 ? options : options with { Peers = new DataParallel(ranks) };
    }
}
