using static TorchSharp.torch.optim;
using static TorchSharp.torch.optim.lr_scheduler;

namespace BayesNet.Training.Fitting;

/// <summary>
/// A scheduler of TorchSharp's and what it was told. It can't be saved, but it can be made again and told the same: its arithmetic is that of
/// the first time.
/// </summary>
internal sealed class LearningRateSchedule
{
    private readonly Optimizer _optimizer;
    private readonly Func<Optimizer, LRScheduler>? _make;
    private readonly (double Rate, double Initial, double? Momentum, (double, double)? Betas)[] _start;
    private LRScheduler? _scheduler;
    private List<double?> _metrics = [];

    internal LearningRateSchedule(Optimizer optimizer, Func<Optimizer, LRScheduler>? make)
    {
        (_optimizer, _make) = (optimizer, make);
        _start = make is null ? [] : [.. optimizer.ParamGroups.Select(group =>
            (group.LearningRate, group.InitialLearningRate, (group as IMomentum)?.Momentum, (group as IBetas)?.Betas))];
        _scheduler = make?.Invoke(optimizer);
    }

    /// <summary>Whether it goes by the score of validation rows.</summary>
    internal bool NeedsMetric => _scheduler is impl.ReduceLROnPlateau;

    /// <summary>What it was told so far, step by step: the metric, or null.</summary>
    internal IReadOnlyList<double?> Metrics => _metrics;

    /// <summary>Steps it.</summary>
    /// <param name="metric">What is to be minimised; null where it is not known. A scheduler that goes by it then stays.</param>
    internal void Step(double? metric = null)
    {
        if (_scheduler is null || (metric is null && NeedsMetric))
            return;
        _metrics.Add(metric);
        Tell(metric);
    }

    /// <summary>Starts again and steps as told.</summary>
    internal void Replay(IReadOnlyList<double?> metrics)
    {
        if (_make is null)
            return;
        foreach ((ILearningRateController group, (double rate, double initial, double? momentum, (double, double)? betas)) in _optimizer.ParamGroups.Zip(_start))
        {
            (group.LearningRate, group.InitialLearningRate) = (rate, initial);
            if (momentum is { } m && group is IMomentum withMomentum)
                withMomentum.Momentum = m;
            if (betas is { } b && group is IBetas withBetas)
                withBetas.Betas = b;
        }

        _scheduler = _make(_optimizer);
        _metrics = [.. metrics];
        foreach (double? metric in metrics)
            Tell(metric);
    }

    private void Tell(double? metric)
    {
        if (metric is { } value && NeedsMetric)
            _scheduler!.step(value);
        else
            _scheduler!.step();
    }
}
