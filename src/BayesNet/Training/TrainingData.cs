using BayesNet.Likelihoods;
using BayesNet.Runtime;
using BayesNet.Training.Fitting;
using static TorchSharp.torch;

namespace BayesNet.Training;

/// <summary>Inputs and targets of a data set held in memory, row n of one belonging to row n of the other.</summary>
/// <remarks>The tensors stay the caller's: nothing here copies, changes or disposes them.</remarks>
public sealed class TrainingData
{
    /// <summary>Pairs inputs with targets.</summary>
    /// <param name="inputs">(rows, ...) as the model takes a batch.</param>
    /// <param name="targets">(rows, ...) as the likelihood takes them.</param>
    /// <param name="missing">
    /// Whether NaN in the targets stands for a missing entry; the likelihood must be told too (<see cref="MissingTargets.Masked"/>), or its loss is
    /// NaN.
    /// </param>
    /// <exception cref="ArgumentException">
    /// The numbers of rows differ, there is none, or a value is infinite, or NaN other than in targets that may be missing.
    /// </exception>
    public TrainingData(Tensor inputs, Tensor targets, MissingTargets missing = MissingTargets.Refused)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        ArgumentNullException.ThrowIfNull(targets);
        if (inputs.dim() == 0 || targets.dim() == 0 || inputs.size(0) != targets.size(0))
        {
            throw new ArgumentException(
                $"inputs have shape {Guard.Format(inputs.shape)} and targets {Guard.Format(targets.shape)}; the first dimensions, the rows, must be equal.",
                nameof(targets));
        }

        if (inputs.size(0) == 0)
            throw new ArgumentException("The data set has no rows; check how it was read or filtered.", nameof(inputs));
        Inputs = Guard.AllFinite(inputs);
        Targets = Guard.AllFinite(targets, allowNaN: missing == MissingTargets.Masked);
        Count = inputs.size(0);
    }

    /// <summary>The inputs, (rows, ...).</summary>
    public Tensor Inputs { get; }

    /// <summary>The targets, (rows, ...).</summary>
    public Tensor Targets { get; }

    /// <summary>The number of rows.</summary>
    public long Count { get; }

    /// <summary>The number of minibatches of a pass.</summary>
    internal long Batches(long batchSize) => (Count + batchSize - 1) / batchSize;

    /// <summary>
    /// One pass over the rows in minibatches, the last one smaller where the size does not divide the rows. The tensors of a minibatch
    /// belong to the dispose scope that is open while it is made.
    /// </summary>
    /// <param name="order">A permutation of the rows, int64, on the device of the data; null for the order of the rows.</param>
    /// <param name="batchSize">Rows of a minibatch.</param>
    /// <param name="skip">Minibatches left out at the start.</param>
    /// <param name="peers">The processes that share every minibatch; null where it is this one's alone.</param>
    internal IEnumerable<(Tensor Inputs, Tensor Targets)> Minibatches(Tensor? order, long batchSize, long skip = 0, IPeers? peers = null)
    {
        for (long first = skip * batchSize; first < Count; first += batchSize)
        {
            (long start, long length) = (first, Math.Min(batchSize, Count - first));
            if (peers is not null)
            {
                (long offset, length) = peers.Slice(length);
                start += offset;
            }

            if (order is null)
            {
                yield return (Inputs.narrow(0, start, length), Targets.narrow(0, start, length));
                continue;
            }

            Tensor rows = order.narrow(0, start, length);
            yield return (Inputs.index_select(0, rows), Targets.index_select(0, rows));
        }
    }
}
