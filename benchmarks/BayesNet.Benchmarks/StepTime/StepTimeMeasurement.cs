using System.Diagnostics;
using BayesNet.Benchmarks.Reporting;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.StepTime;

/// <summary>The measurement of one shape on one number of threads: all contestants in one process, in turns; then the memory of each by itself.</summary>
internal sealed class StepTimeMeasurement(StepTimePoint point)
{
    private const double Megabyte = 1 << 20;

    private readonly StepTimeShape _shape = point.Shape;
    private readonly Place _place = point.Place;
    private readonly StepTimeSettings _settings = point.Settings;

    // Seconds and rounds.
    private readonly double _budget = point.Settings.Short ? 0.3 : 1.2, _warmUp = point.Settings.Short ? 0.2 : 0.6, _block = point.Settings.Short ? 0.01 : 0.05;
    private readonly int _leastRounds = point.Settings.Short ? 3 : 5;

    /// <summary>Measures.</summary>
    public (IReadOnlyList<StepTimeRow> Rows, IReadOnlyList<StepTimeGap> Gaps) Run()
    {
        set_num_threads(point.Threads);
        manual_seed((long)_settings.Seed);
        if (_place.DeviceName == "cuda")
            cuda.manual_seed_all((long)_settings.Seed);
        var gaps = new List<StepTimeGap>();
        var entries = Entries(gaps, (_, _) => true);
        IReadOnlyList<double>[] seconds;
        try
        {
            Action[] actions = [.. entries.Select(entry => Timed(entry.Contestant))];
            foreach (Action action in actions)
                WarmUp(action);
            seconds = Measure.InTurns(actions, _budget * actions.Length, _leastRounds, int.MaxValue, _block);
        }
        finally
        {
            foreach ((_, _, Contestant contestant) in entries)
                contestant.Dispose();
        }

        var peaks = new (long Growth, long Process)?[entries.Count];
        if (_place.DeviceName == "cpu")
        {
            var degree = new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount };
            Parallel.For(0, entries.Count, degree, i =>
                peaks[i] = PeakMemory.Of(_shape, _place, entries[i].Estimator, entries[i].Optimizer, point.Threads, _settings.KeepMemory));
        }

        var rows = new List<StepTimeRow>();
        for (int i = 0; i < entries.Count; i++)
        {
            (string estimator, string optimizer, _) = entries[i];
            double[] sorted = [.. seconds[i].Order()];
            int reference = entries.FindIndex(entry => entry.Estimator == Names.Deterministic && entry.Optimizer == optimizer);
            rows.Add(new StepTimeRow
            {
                Shape = _shape.Name,
                Batch = _shape.Batch,
                Threads = point.Threads,
                Device = _place.DeviceName,
                Dtype = _place.DtypeName,
                Estimator = estimator,
                Phase = Names.Phase(optimizer),
                Optimizer = optimizer,
                MedianMs = 1000 * Measure.Median(sorted),
                Ratio = Measure.Median(sorted) / Measure.Median(seconds[reference]),
                PeakMb = peaks[i]?.Growth / Megabyte,
                ProcessPeakMb = peaks[i]?.Process / Megabyte,
                LowerQuartileMs = 1000 * sorted[sorted.Length / 4],
                UpperQuartileMs = 1000 * sorted[3 * sorted.Length / 4],
                TimedSteps = sorted.Length,
                Settings = _settings,
                Date = ReportEnvironment.Today(),
            });
        }

        return (rows, gaps);
    }

    /// <summary>What rows that were measured leave out, and why.</summary>
    public IReadOnlyList<StepTimeGap> Gaps(IReadOnlyList<StepTimeRow> rows)
    {
        var gaps = new List<StepTimeGap>();
        foreach ((string name, string with, Contestant contestant) in Entries(gaps, (estimator, optimizer) => !rows.Any(row => row.Estimator == estimator && row.Optimizer == optimizer)))
        {
            contestant.Dispose();
            gaps.Add(new StepTimeGap(_shape.Name, _shape.Batch, point.Threads, name, with, "the commit that measured the others left it out"));
        }

        return gaps;
    }

    private List<(string Estimator, string Optimizer, Contestant Contestant)> Entries(List<StepTimeGap> gaps, Func<string, string, bool> isWanted)
    {
        var entries = new List<(string, string, Contestant)>();
        string[] asked = _settings.Estimators.Split(','), optimizers = _settings.Optimizers.Split(',');
        foreach (string estimator in Names.Estimators.Where(name => name == Names.Deterministic || asked.Contains(name)))
        {
            foreach (string optimizer in Names.Optimizers.Where(name => optimizers.Contains(name) && isWanted(estimator, name)))
            {
                (Contestant? contestant, string? reason) = Contestant.Create(_shape, _place, estimator, optimizer);
                if (contestant is not null)
                    entries.Add((estimator, optimizer, contestant));
                else
                    gaps.Add(new StepTimeGap(_shape.Name, _shape.Batch, point.Threads, estimator, optimizer, reason!));
            }
        }

        return entries;
    }

    private Action Timed(Contestant contestant) => _place.DeviceName == "cpu"
        ? contestant.Run
        : () =>
        {
            contestant.Run();
            cuda.synchronize();
        };

    // For long enough that the runtime has compiled what it will run once more, optimised.
    private void WarmUp(Action action)
    {
        var clock = Stopwatch.StartNew();
        for (int call = 0; call < 2 || clock.Elapsed.TotalSeconds < _warmUp; call++)
            action();
    }
}
