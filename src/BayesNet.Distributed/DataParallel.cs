using System.Security.Cryptography;
using System.Text;
using BayesNet.Estimators;
using BayesNet.Kernels;
using BayesNet.Runtime;
using BayesNet.Training;
using BayesNet.Training.Fitting;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Distributed;

/// <summary>The ranks of collectives as the peers of a trainer.</summary>
/// <remarks>
/// Between steps all exchanges have one form, and a step has its own: a rank that fails knows which one the others are coming to, and takes part
/// in it to say so.
/// </remarks>
internal sealed class DataParallel(ICollectives ranks) : IPeers
{
    private NoiseSource[] _noise = [];
    private RunningStatistics? _statistics;
    private GradientBuckets? _buckets;
    private ulong _seed;
    private bool _onCpu, _inStep;
    private Exception? _known;

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
            ranks.Spread(tensor, 0);
        _seed = Seeds.Derive(trainer.Options.Seed, Rank)!.Value;
        _onCpu = trainer.Model.parameters().First().device_type == DeviceType.CPU;
        _noise = [.. trainer.Model.BayesianModules().Select(entry => entry.Module.Noise).Distinct()];
        _statistics = new RunningStatistics(trainer.Model);
    }

    /// <inheritdoc/>
    public string? Fetch(string path) => ranks.Fetch(path);

    /// <inheritdoc/>
    public void Dispose()
    {
        _buckets?.Dispose();
        _buckets = null;
    }

    /// <inheritdoc/>
    public void Sum(Span<double> values, long place)
    {
        // They are at one place where the variance of its number is zero.
        double number = place % 1024;
        double[] sums = Agree([values[0], values[1], 0, number, number * number], null);
        if (sums[3] * sums[3] != Size * sums[4])
        {
            throw _known = new InvalidOperationException(
                "The ranks have come to different places of their runs. Give each as many minibatches as the others, and all of them validation data or none.");
        }

        sums.AsSpan(0, 2).CopyTo(values);
    }

    /// <inheritdoc/>
    public void BeginStep(IReadOnlyList<Parameter> trained, long step)
    {
        if (_buckets is null || !_buckets.AreOf(trained))
        {
            Dispose();
            _buckets = new GradientBuckets(ranks, trained, _statistics!.Count);
        }

        _buckets.Begin();
        _inStep = true;

        // On CUDA layers draw from the global generator, seeded here too: seeded sources are slow there. Dropout layers do anywhere.
        ulong seed = unchecked(_seed + (ulong)step);
        foreach (NoiseSource noise in _noise)
        {
            ulong own = Seeds.Next(ref seed);
            noise.Seed = _onCpu ? own : null;
        }

        using Generator global = random.manual_seed(unchecked((long)Seeds.Next(ref seed)));
    }

    /// <inheritdoc/>
    public void Complete(Parameter parameter) => _buckets!.Complete(parameter);

    /// <inheritdoc/>
    public void EndStep(Span<double> values, double share)
    {
        _statistics!.Read(_buckets!.Others, share);
        EndStep(values, null);
        _statistics.Write(_buckets.Others);
    }

    /// <inheritdoc/>
    public void Fail(Exception failure)
    {
        // Where the engine itself has failed, there is no way to tell.
        if (ReferenceEquals(failure, _known) || failure is CollectiveException)
            return;
        _known = failure;
        if (_inStep)
            EndStep([0, 0], failure);
        else
            Agree([0, 0, 1, 0, 0], failure);
    }

    private void EndStep(Span<double> values, Exception? failure)
    {
        _inStep = false;
        if (_buckets!.Sum(values, failure is not null))
            Raise(failure);
    }

    /// <summary>Two values, how many ranks have failed, and the number of a place and its square, summed.</summary>
    private double[] Agree(double[] values, Exception? failure)
    {
        using Tensor shared = tensor(values, ScalarType.Float64).DetachFromDisposeScope();
        ranks.AllReduce(shared);
        TensorMemory.Span<double>(shared).CopyTo(values);
        if (values[2] > 0)
            Raise(failure);
        return values;
    }

    /// <summary>Throws where the failure is another rank's; a rank's own goes its way already.</summary>
    private void Raise(Exception? mine)
    {
        Exception first = RankFailures.Exchange(ranks, mine);
        if (mine is null)
            throw _known = first;
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
