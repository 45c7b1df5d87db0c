using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Json.Serialization;
using TorchSharp;

namespace BayesNet.Benchmarks.Reporting;

/// <summary>What a figure depends on besides the code: the machine, without its name, versions, seed and command line.</summary>
internal sealed record ReportEnvironment
{
    public required string Date { get; init; }
    public required string Command { get; init; }
    public required string Commit { get; init; }
    public required ulong Seed { get; init; }
    public required bool Short { get; init; }
    public required string Cpu { get; init; }
    public required int Cores { get; init; }
    public required int Threads { get; init; }
    public required string OperatingSystem { get; init; }
    public required string DotNet { get; init; }
    public required string BayesNet { get; init; }
    public required string TorchSharp { get; init; }

    /// <summary>The GPUs' names; null where libtorch has none.</summary>
    public required string? Gpu { get; init; }

    /// <summary>Processes that ran or waited for a core, averaged over a minute; null where the system does not say.</summary>
    public required double? LoadAtStart { get; init; }
    public double? LoadAtEnd { get; init; }
    public double Minutes { get; init; }

    /// <summary>What measurements must agree in.</summary>
    [JsonIgnore]
    public RunIdentity Identity => new(Commit, Cpu, Seed, Short);

    /// <summary>Where and when what this run measures comes from.</summary>
    [JsonIgnore]
    public Origin Origin => new() { Date = Date, Commit = Commit, Command = Command, Cpu = Cpu, Seed = Seed, Short = Short };

    [JsonIgnore]
    public DateTime Start { get; init; }

    public static ReportEnvironment Current(Report report, ReportOptions options) => Current(report.CommandLine(options), options.Seed, options.Short);

    public static ReportEnvironment Current(string command, ulong seed, bool isShort) => new()
    {
        Date = Today(),
        Start = DateTime.UtcNow,
        Command = command,
        Commit = CurrentCommit(),
        Seed = seed,
        Short = isShort,
        Cpu = CpuModel(),
        Cores = Environment.ProcessorCount,
        Threads = torch.get_num_threads(),
        OperatingSystem = $"{RuntimeInformation.OSDescription}, {RuntimeInformation.OSArchitecture}",
        DotNet = RuntimeInformation.FrameworkDescription,
        BayesNet = Version(typeof(IBayesianModule).Assembly),
        TorchSharp = Version(typeof(torch).Assembly),
        Gpu = torch.cuda.is_available() ? Output("nvidia-smi", "--query-gpu=name,driver_version --format=csv,noheader")?.ReplaceLineEndings("; ") ?? "CUDA, of unknown name" : null,
        LoadAtStart = Load(),
    };

    /// <summary>The same at a later time, with the load and the minutes since the start.</summary>
    public ReportEnvironment At(DateTime time) => this with { LoadAtEnd = Load(), Minutes = (time - Start).TotalMinutes };

    /// <summary>Lines of a Markdown list.</summary>
    public IEnumerable<string> Lines()
    {
        yield return $"{Date}, `{Command}`";
        yield return $"commit {Commit}, seed {Seed}";
        yield return $"{Cpu}, {Cores} cores, {Threads} libtorch thread{(Threads == 1 ? "" : "s")}; {OperatingSystem}";
        yield return $"{DotNet}, TorchSharp {TorchSharp}, BayesNet {BayesNet}; GPU: {Gpu ?? "none, not measured"}";
        if (LoadAtStart is { } start && LoadAtEnd is { } end)
        {
            bool busy = Math.Max(start, end) > Threads + 0.5;
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"load average {start:F1} at the start, {end:F1} at the end, this process included{(busy ? ": other processes kept the machine busy, so times are upper bounds; ratios of times taken alternately suffer less" : "")}");
        }

        yield return string.Create(CultureInfo.InvariantCulture, $"run time {Minutes:F1} minutes");
    }

    public static string Today() => DateTime.UtcNow.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    public static double? Load()
        => File.Exists("/proc/loadavg") ? double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0], CultureInfo.InvariantCulture) : null;

    public static string CpuModel()
    {
        if (File.Exists("/proc/cpuinfo"))
        {
            string? line = File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal));
            if (line is not null)
                return line[(line.IndexOf(':') + 1)..].Trim();
        }

        return Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER") ?? Output("sysctl", "-n machdep.cpu.brand_string") ?? "unknown CPU";
    }

    public static string CurrentCommit()
    {
        if (Output("git", "rev-parse --short=10 HEAD") is not { Length: > 0 } commit)
            return "unknown";
        return Output("git", "status --porcelain -- src benchmarks") is { Length: 0 } ? commit : $"{commit} with uncommitted changes";
    }

    private static string Version(Assembly assembly)
        => (assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown").Split('+')[0];

    private static string? Output(string program, string arguments)
    {
        try
        {
            using Process? process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true });
            string? text = process?.StandardOutput.ReadToEnd().Trim();
            process?.WaitForExit();
            return process?.ExitCode == 0 ? text : null;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }
}
