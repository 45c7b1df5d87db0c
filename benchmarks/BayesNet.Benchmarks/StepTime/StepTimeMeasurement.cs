using System.Diagnostics;
using BayesNet.Benchmarks.Reporting;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.StepTime;

/// <summary>The measurement of one shape on one number of threads: all contestants in one process, in turns; then the memory of each by itself.</summary>
internal sealed class StepTimeMeasurement(StepTimeShape shape, Place place, int threads, StepTimeSettings settings)
{
    private const double Megabyte = 1 << 20;

    // Seconds and rounds.
    private readonly double _budget = settings.Short ? 0.3 : 1.2, _warmUp = settings.Short ? 0.2 : 0.6, _block = settings.Short ? 0.01 : 0.05;
    private readonly int _leastRounds = settings.Short ? 3 : 5;

    /// <summary>Measures.</summary>
    public (IReadOnlyList<StepTimeRow> Rows, IReadOnlyList<StepTimeGap> Gaps) Run()
    {
        set_num_threads(threads);
        manual_seed((long)settings.Seed);
        var gaps = new List<StepTimeGap>();
        var entries = Entries(gaps);
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
        if (place.DeviceName == "cpu")
        {
            var degree = new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount };
            Parallel.For(0, entries.Count, degree, i =>
                peaks[i] = PeakMemory.Of(shape, place, entries[i].Estimator, entries[i].Optimizer, threads, settings.KeepMemory));
        }

        var rows = new List<StepTimeRow>();
        for (int i = 0; i < entries.Count; i++)
        {
            (string estimator, string optimizer, _) = entries[i];
            double[] sorted = [.. seconds[i].Order()];
            int reference = entries.FindIndex(entry => entry.Estimator == Names.Deterministic && entry.Optimizer == optimizer);
            rows.Add(new StepTimeRow
            {
                Shape = shape.Name,
                Batch = shape.Batch,
                Threads = threads,
                Device = place.DeviceName,
                Dtype = place.DtypeName,
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
                Settings = settings,
            });
        }

        return (rows, gaps);
    }

    /// <summary>What can't be measured here, and why.</summary>
    public IReadOnlyList<StepTimeGap> Gaps()
    {
        var gaps = new List<StepTimeGap>();
        foreach ((_, _, Contestant contestant) in Entries(gaps))
            contestant.Dispose();
        return gaps;
    }

    private List<(string Estimator, string Optimizer, Contestant Contestant)> Entries(List<StepTimeGap> gaps)
    {
        var entries = new List<(string, string, Contestant)>();
        string[] asked = settings.Estimators.Split(',');
        foreach (string estimator in Names.Estimators.Where(name => name == Names.Deterministic || asked.Contains(name)))
        {
            foreach (string optimizer in Names.Optimizers)
            {
                (Contestant? contestant, string? reason) = Contestant.Create(shape, place, estimator, optimizer);
                if (contestant is not null)
                    entries.Add((estimator, optimizer, contestant));
                else
                    gaps.Add(new StepTimeGap(shape.Name, threads, estimator, optimizer, reason!));
            }
        }

        return entries;
    }

    private Action Timed(Contestant contestant) => place.DeviceName == "cpu"
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
