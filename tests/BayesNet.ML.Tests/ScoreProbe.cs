using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using Xunit;

namespace BayesNet.ML.Tests;

/// <summary>A program that loads a saved pipeline and predicts with it.</summary>
internal static class ScoreProbe
{
    private static readonly string Path = System.IO.Path.GetFullPath(
        typeof(ScoreProbe).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(attribute => attribute.Key == "ScoreProbe").Value!, AppContext.BaseDirectory);

    private static readonly string Host = System.IO.Path.GetFullPath(
        System.IO.Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet"));

    /// <summary>The bits of the predictions, a line a column.</summary>
    public static string[] Run(string model, string rows, params string[] columns)
    {
        var start = new ProcessStartInfo(Host, [Path, model, rows, .. columns]) { UseShellExecute = false, RedirectStandardError = true, RedirectStandardOutput = true };
        start.Environment["OMP_NUM_THREADS"] = "1";
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, errors.Result);
        return output.Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries);
    }
}
