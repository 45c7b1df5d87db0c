using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

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

        var seconds = actions.Select(_ => new List<double>()).ToArray();
        var total = Stopwatch.StartNew();
        for (int round = 0; round < rounds && (round < leastRounds || total.Elapsed.TotalSeconds < budget); round++)
        {
            for (int i = 0; i < actions.Length; i++)
            {
                long start = Stopwatch.GetTimestamp();
                actions[i]();
                seconds[i].Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
            }
        }

        return [.. seconds.Select(list => Median(list))];
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
            _ = MallocTrim(0);
            File.WriteAllText("/proc/self/clear_refs", "5");
            long before = Status("VmRSS:");
            action();
            return Math.Max(0, Status("VmHWM:") - before);
        }
        catch (Exception e) when (e is EntryPointNotFoundException or DllNotFoundException or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>
    /// Makes glibc keep freed memory for the rest of the process in place of returning large blocks to the kernel, which hands each out again
    /// page fault by page fault; false where the allocator is another.
    /// </summary>
    public static bool KeepMemory()
    {
        const int trimThreshold = -1, mappedBlocks = -4;
        if (!OperatingSystem.IsLinux())
            return false;
        try
        {
            return Mallopt(mappedBlocks, 0) == 1 && Mallopt(trimThreshold, int.MaxValue) == 1;
        }
        catch (Exception e) when (e is EntryPointNotFoundException or DllNotFoundException)
        {
            return false;
        }
    }

    private static long Status(string key)
    {
        string line = File.ReadLines("/proc/self/status").First(line => line.StartsWith(key, StringComparison.Ordinal));
        return 1024 * long.Parse(line[key.Length..].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture);
    }

    [DllImport("libc", EntryPoint = "malloc_trim")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int MallocTrim(nuint pad);

    [DllImport("libc", EntryPoint = "mallopt")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Mallopt(int parameter, int value);
}
