using System.Security.Cryptography;
using System.Text;
using BayesNet.Estimators;
using BayesNet.Kernels;
using BayesNet.Runtime;
using BayesNet.Training;
using BayesNet.Training.Fitting;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Distributed;

/// <summary>The ranks of collectives as the peers of a trainer.</summary>
internal sealed class DataParallel(ICollectives ranks) : IPeers
{
    private GradientBuckets? _buckets;

    /// <inheritdoc/>
    public int Rank => ranks.Rank;

    /// <inheritdoc/>
    public int Size => ranks.Size;

    /// <inheritdoc/>
    public void Join(VariationalTrainer trainer)
    {
        KeyValuePair<string, Tensor>[] state = [.. trainer.State().OrderBy(entry => entry.Key, StringComparer.Ordinal)];
        RequireSame(state, trainer);
        foreach ((_, Tensor tensor) in state)
            Broadcast(tensor);
        if (Rank == 0)
            return;
        foreach ((_, IBayesianModule module) in trainer.Model.BayesianModules())
        {
            if (module.Noise.State is { } noise)
                module.Noise.State = (Seeds.Derive(noise.Key, Rank)!.Value, noise.Counter);
        }

        // Steps taken before a checkpoint are not drawn again.
        random.manual_seed(unchecked((long)Seeds.Derive(trainer.Options.Seed + (ulong)trainer.Steps, Rank)!.Value));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _buckets?.Dispose();
        _buckets = null;
    }

    /// <inheritdoc/>
    public void Sum(Span<double> values)
    {
        using Tensor shared = empty([values.Length], ScalarType.Float64, CPU).DetachFromDisposeScope();
        values.CopyTo(TensorMemory.Span<double>(shared));
        ranks.AllReduce(shared);
        TensorMemory.Span<double>(shared).CopyTo(values);
    }

    /// <inheritdoc/>
    public void Sum(IReadOnlyList<Parameter> trained, Span<double> values)
    {
        if (_buckets is null || !_buckets.AreOf(trained))
        {
            Dispose();
            _buckets = new GradientBuckets(ranks, trained);
        }

        _buckets.Sum(values);
    }

    private void Broadcast(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        if (tensor.is_contiguous())
        {
            ranks.Broadcast(tensor);
            return;
        }

        Tensor plain = tensor.contiguous();
        ranks.Broadcast(plain);
        tensor.copy_(plain);
    }

    /// <summary>Refuses ranks that have built different models: what follows would exchange memory of different sizes.</summary>
    private void RequireSame(KeyValuePair<string, Tensor>[] state, VariationalTrainer trainer)
    {
        var text = new StringBuilder();
        foreach ((string name, Tensor tensor) in state)
            text.Append(name).Append(' ').Append(tensor.dtype).Append(Guard.Format(tensor.shape)).Append(';');
        TrainerOptions options = trainer.Options;
        text.Append(trainer.TrainingSetSize).Append(' ').Append(options.BatchSize).Append(' ').Append(options.AccumulationSteps).Append(' ').Append(options.Samples)
            .Append(' ').Append(options.Epochs).Append(' ').Append(options.Seed).Append(' ').Append(options.Shuffle).Append(' ').Append(trainer.Steps);
        long print = BitConverter.ToInt64(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString()))) >> 2;
        using Tensor bounds = tensor(new long[] { print, -print }).DetachFromDisposeScope();
        ranks.AllReduce(bounds, Reduction.Max);
        Span<long> found = TensorMemory.Span<long>(bounds);
        if (found[0] != -found[1])
        {
            throw new InvalidOperationException(
                "The ranks did not build the same trainer: parameters, sizes, options or the checkpoint differ from rank to rank. Every rank runs the same program "
                + "on the same data set; what depends on the rank is left to the trainer.");
        }
    }
}
