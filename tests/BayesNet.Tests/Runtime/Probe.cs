using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;

namespace BayesNet.Tests.Runtime;

/// <summary>Runs LoadProbe, a program that loads the native libraries and says which files they came from.</summary>
internal static class Probe
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(1);

    /// <summary>LoadProbe.dll.</summary>
    public static string Assembly { get; } = Path.GetFullPath(
        typeof(Probe).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(attribute => attribute.Key == "LoadProbe").Value!, AppContext.BaseDirectory);

    public static string Folder { get; } = Path.GetDirectoryName(Assembly)!;

    /// <summary>The folder of its libtorch on Linux.</summary>
    public static string Natives { get; } = Path.Combine(Folder, "runtimes", "linux-x64", "native");

    /// <summary>Runs it to its end, with these environment variables and without others that the loader reads.</summary>
    /// <exception cref="TimeoutException">It was still running after a minute, and was ended.</exception>
    public static async Task<ProbeResult> Run(params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(Host(), [Assembly])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach (string name in new[] { "BAYESNET_CACHE", "BAYESNET_LIBTORCH" })
            start.Environment.Remove(name);
        foreach ((string name, string value) in environment)
            start.Environment[name] = value;

        // The runtime's own files in the temporary folder are none of the tests' business.
        start.Environment["DOTNET_EnableDiagnostics"] = "0";
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        using var timeout = new CancellationTokenSource(Limit);
        try
        {
            await process.WaitForExitAsync(timeout.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"LoadProbe was still running after {Limit}.");
        }

        return new ProbeResult(process.ExitCode, await output, await errors);
    }

    /// <summary>The host of the runtime at hand, whether the tests were started by it or by a program of their own.</summary>
    private static string Host()
        => Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet"));
}

/// <summary>What LoadProbe wrote: lines of the form key=value.</summary>
internal sealed record ProbeResult(int ExitCode, string Output, string Errors)
{
    /// <summary>The TorchSharp library that was loaded; empty where that failed, or was left to TorchSharp.</summary>
    public string Loaded => Values("loaded") is [string path] ? path : "";

    /// <summary>The files of libtorch and TorchSharp that are mapped into the process.</summary>
    public string[] Mapped => Values("mapped");

    /// <summary>Why it did not load; empty where it did.</summary>
    public string Error => Values("error") is [string message] ? message : "";

    public bool Works => ExitCode == 0 && Values("sum") is ["2"];

    public override string ToString() => $"exit status {ExitCode}\n{Output}\n{Errors}";

    /// <summary>The values of a key.</summary>
    public string[] Values(string key)
        => [.. Output.Split('\n').Where(line => line.StartsWith(key + "=", StringComparison.Ordinal)).Select(line => line[(key.Length + 1)..].TrimEnd())];
}
