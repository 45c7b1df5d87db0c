using BayesNet.Likelihoods;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>ln (1/S) sum_s p(y | f_s) of given targets, gathered from blocks of samples by log-sum-exp, in float64.</summary>
internal sealed class RunningLogDensity : IDisposable
{
    private readonly Likelihood _likelihood;
    private readonly Tensor _targets;
    private readonly SortedDictionary<long, (Tensor LogSum, long Samples)> _ranges = [];
    private ScalarType _dtype;

    internal RunningLogDensity(Likelihood likelihood, Tensor targets)
    {
        _likelihood = likelihood;
        _targets = targets;
    }

    /// <summary>Adds samples of some rows.</summary>
    internal void Add(SampleBlock samples)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using Predictive block = _likelihood.Predict(samples.Outputs);
        Tensor logDensity = block.LogDensity(samples.FirstRow is { } row ? _targets.narrow(0, row, samples.Outputs.size(1)) : _targets);
        _dtype = logDensity.dtype;
        Tensor logSum = logDensity.to(ScalarType.Float64).Plus(Math.Log(block.Samples));
        (long firstRow, long count) = (samples.FirstRow ?? 0, block.Samples);
        if (_ranges.Remove(firstRow, out (Tensor LogSum, long Samples) before))
        {
            (logSum, count) = (logSum.logaddexp(before.LogSum), count + before.Samples);
            before.LogSum.Dispose();
        }

        _ranges.Add(firstRow, (logSum.DetachFromDisposeScope(), count));
    }

    /// <summary>Shape (batch).</summary>
    internal Tensor Result()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor[] parts = [.. _ranges.Values.Select(range => range.LogSum.Plus(-Math.Log(range.Samples)))];
        return cat(parts, 0).to(_dtype).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        foreach ((Tensor logSum, _) in _ranges.Values)
            logSum.Dispose();
    }
}
