using static TorchSharp.torch;

namespace BayesNet.Training.Fitting;

/// <summary>Where the minibatches of an epoch come from.</summary>
internal abstract class MinibatchSource
{
    /// <summary>Minibatches of an epoch; null where that is not known before one.</summary>
    internal abstract long? Count { get; }

    /// <summary>Whether the order of an epoch follows from a key.</summary>
    internal virtual bool NeedsKey => false;

    /// <summary>An epoch's minibatches without the first <paramref name="skip"/>.</summary>
    internal abstract IEnumerable<(Tensor Inputs, Tensor Targets)> Epoch(ulong key, long skip);

    /// <summary>
    /// Enumerates in groups with a dispose scope around each: what the source makes for a group is freed when the next is asked for. The last
    /// group holds the rest.
    /// </summary>
    internal static IEnumerable<(Tensor Inputs, Tensor Targets)[]> InGroups(IEnumerable<(Tensor, Tensor)> source, int size)
    {
        using IEnumerator<(Tensor, Tensor)> enumerator = source.GetEnumerator();
        while (true)
        {
            using var scope = NewDisposeScope();
            var group = new (Tensor, Tensor)[size];
            int count = 0;
            while (count < size && enumerator.MoveNext())
                group[count++] = enumerator.Current;
            if (count == 0)
                yield break;
            yield return count == size ? group : group[..count];
        }
    }
}

/// <summary>Minibatches of data in memory, in a new order every epoch on request; of processes that work together, each gets its slices.</summary>
internal sealed class DataSource(TrainingData data, long batchSize, bool shuffle, IPeers? peers) : MinibatchSource
{
    /// <inheritdoc/>
    internal override long? Count => data.Batches(batchSize);

    /// <inheritdoc/>
    internal override bool NeedsKey => shuffle;

    /// <inheritdoc/>
    internal override IEnumerable<(Tensor Inputs, Tensor Targets)> Epoch(ulong key, long skip)
    {
        if (!shuffle)
        {
            foreach ((Tensor, Tensor) batch in data.Minibatches(null, batchSize, skip, peers))
                yield return batch;
            yield break;
        }

        using var generator = new Generator(key, CPU);
        using Tensor drawn = randperm(data.Count, dtype: ScalarType.Int64, generator: generator).DetachFromDisposeScope();
        using Tensor order = drawn.to(data.Inputs.device).DetachFromDisposeScope();
        foreach ((Tensor, Tensor) batch in data.Minibatches(order, batchSize, skip, peers))
            yield return batch;
    }
}

/// <summary>Minibatches of anyone's loader, enumerated once an epoch.</summary>
internal sealed class LoaderSource(IEnumerable<(Tensor Inputs, Tensor Targets)> loader) : MinibatchSource
{
    /// <inheritdoc/>
    internal override long? Count => loader.TryGetNonEnumeratedCount(out int count) ? count : null;

    /// <inheritdoc/>
    internal override IEnumerable<(Tensor Inputs, Tensor Targets)> Epoch(ulong key, long skip)
    {
        using IEnumerator<(Tensor, Tensor)> enumerator = loader.GetEnumerator();
        for (long i = 0; i < skip; i++)
        {
            using var scope = NewDisposeScope();
            if (!enumerator.MoveNext())
                yield break;
        }

        while (enumerator.MoveNext())
            yield return enumerator.Current;
    }
}
