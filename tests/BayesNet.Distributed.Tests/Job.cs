using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using Xunit;

namespace BayesNet.Distributed.Tests;

/// <summary>RankProbe as a job of several ranks, or as a process by itself.</summary>
internal sealed class Job : IDisposable
{
    private static readonly string Probe = Path.GetFullPath(
        typeof(Job).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(attribute => attribute.Key == "RankProbe").Value!, AppContext.BaseDirectory);

    private static readonly string Host = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "dotnet"));

    private readonly Process _process;
    private readonly Timer _limit;

    private Job(ProcessStartInfo start)
    {
        (start.RedirectStandardOutput, start.RedirectStandardError, start.UseShellExecute) = (true, true, false);
        start.Environment["OMP_NUM_THREADS"] = "1";
        start.Environment["DOTNET_EnableDiagnostics"] = "0";
        start.Environment["DOTNET_TieredPGO"] = "0";

        // No control sequences: mpirun gives its processes a terminal.
        start.Environment["TERM"] = "dumb";
        _process = Process.Start(start)!;
        _limit = new Timer(_ => _process.Kill(entireProcessTree: true), null, TimeSpan.FromMinutes(1), Timeout.InfiniteTimeSpan);
        Error = _process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>Skips a test by name where Open MPI is not installed.</summary>
    internal static string? WhyNot { get; } = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, "mpirun")))
        ? null
        : "mpirun is not installed (Debian, Ubuntu: apt-get install openmpi-bin).";

    internal Task<string> Error { get; }

    /// <summary>Starts ranks under mpirun.</summary>
    internal static Job Start(int ranks, params string[] arguments)
    {
        Assert.SkipUnless(WhyNot is null, WhyNot ?? "");
        return new Job(new ProcessStartInfo("mpirun", ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", $"{ranks}", Host, Probe, .. arguments]));
    }

    /// <summary>Starts one process, which no launcher knows of.</summary>
    internal static Job StartAlone(params string[] arguments) => new(new ProcessStartInfo(Host, [Probe, .. arguments]));

    /// <summary>The next line of output; null at the end.</summary>
    internal string? ReadLine() => _process.StandardOutput.ReadLine();

    /// <summary>The lines of output, the exit code and the errors.</summary>
    internal (string[] Lines, int Code, string Error) End()
    {
        string[] lines = _process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        _process.WaitForExit();
        return (lines, _process.ExitCode, Error.Result);
    }

    /// <summary>The lines of output of a job that has ended well, in which every rank said once that it is done.</summary>
    /// <param name="ranks">How many there are.</param>
    /// <param name="done">What each says behind its number.</param>
    internal string[] EndWell(int ranks, string done)
    {
        (string[] lines, int code, string error) = End();
        Assert.True(code == 0, error);
        Assert.Equal(
            [.. Enumerable.Range(0, ranks).Select(rank => $"rank {rank} of {ranks}: {done}")],
            lines.Where(line => line.StartsWith("rank", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
        return lines;
    }

    public void Dispose()
    {
        if (!_process.HasExited)
            _process.Kill(entireProcessTree: true);
        _limit.Dispose();
        _process.Dispose();
    }
}
