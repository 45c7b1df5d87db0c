using System.Diagnostics;
using System.Globalization;
using BayesNet.Runtime;

namespace BayesNet.Benchmarks.Reporting;

/// <summary>Times and memory.</summary>
internal static class Measure
{
    /// <summary>
    /// Seconds of each of several actions, medians of runs taken in turns, so that what else the machine does falls on all alike.
    /// </summary>
    /// <param name="budget">Seconds after which no further round starts, five rounds aside.</param>
    /// <param name="rounds">Most rounds.</param>
    /// <param name="actions">What is timed.</param>
    public static double[] Medians(double budget, int rounds, params Action[] actions)
    {
        const int warmUps = 2, leastRounds = 5;
        foreach (Action action in actions)
        {
            for (int i = 0; i < warmUps; i++)
                action();
        }

        return [.. InTurns(actions, budget, leastRounds, rounds, block: 0).Select(seconds => Median(seconds))];
    }

    /// <summary>Seconds of every timed run of several actions, which take turns.</summary>
    /// <param name="actions">What is timed; warm.</param>
    /// <param name="budget">Seconds after which no further round starts, <paramref name="leastRounds"/> aside.</param>
    /// <param name="leastRounds">Least rounds.</param>
    /// <param name="mostRounds">Most rounds.</param>
    /// <param name="block">
    /// For how many seconds an action is repeated at its turn; 0 for one run. The first of several is not timed: it finds the caches full of
    /// another's data, and an action that runs again and again, as a training step does, finds its own. An action that takes longer than that
    /// runs once, and is timed.
    /// </param>
    public static IReadOnlyList<double>[] InTurns(IReadOnlyList<Action> actions, double budget, int leastRounds, int mostRounds, double block)
    {
        var seconds = actions.Select(_ => new List<double>()).ToArray();
        var total = Stopwatch.StartNew();
        for (int round = 0; round < mostRounds && (round < leastRounds || total.Elapsed.TotalSeconds < budget); round++)
        {
            for (int i = 0; i < actions.Count; i++)
            {
                long turn = Stopwatch.GetTimestamp();
                if (seconds[i].Count == 0 || seconds[i][^1] < block)
                    actions[i]();
                do
                {
                    long start = Stopwatch.GetTimestamp();
                    actions[i]();
                    seconds[i].Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
                }
                while (Stopwatch.GetElapsedTime(turn).TotalSeconds < block);
            }
        }

        return seconds;
    }

    public static double Median(IReadOnlyCollection<double> values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    /// <summary>The least-squares slope of ln y over ln x: the exponent of y ~ x^slope.</summary>
    public static double LogSlope(IReadOnlyList<double> x, IReadOnlyList<double> y)
    {
        double[] u = [.. x.Select(value => Math.Log(value))], v = [.. y.Select(value => Math.Log(value))];
        double meanU = u.Average(), meanV = v.Average();
        return u.Zip(v, (a, b) => (a - meanU) * (b - meanV)).Sum() / u.Sum(a => (a - meanU) * (a - meanU));
    }

    /// <summary>
    /// By how many bytes the process's resident memory grew, at its peak, while the action ran; null where the system can't tell (other than
    /// Linux with glibc). Memory that the allocator held free is given back beforehand.
    /// </summary>
    public static long? PeakGrowth(Action action)
    {
        if (!OperatingSystem.IsLinux())
            return null;
        try
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            _ = MemoryAllocation.ReleaseFreedMemory();
            File.WriteAllText("/proc/self/clear_refs", "5");
            long before = Status("VmRSS:");
            action();
            return Math.Max(0, Status("VmHWM:") - before);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The most memory that the process has had resident, in bytes; null where the system does not say.</summary>
    public static long? ProcessPeak() => OperatingSystem.IsLinux() ? Status("VmHWM:") : null;

    private static long Status(string key)
    {
        string line = File.ReadLines("/proc/self/status").First(line => line.StartsWith(key, StringComparison.Ordinal));
        return 1024 * long.Parse(line[key.Length..].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture);
    }
}
