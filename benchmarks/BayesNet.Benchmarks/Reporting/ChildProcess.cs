using System.Diagnostics;
using System.Reflection;

namespace BayesNet.Benchmarks.Reporting;

/// <summary>This program once more, in a process of its own.</summary>
internal static class ChildProcess
{
    /// <summary>How the program is started with other arguments, its outputs to be read.</summary>
    public static ProcessStartInfo Of(params IEnumerable<string> arguments)
    {
        string program = Environment.ProcessPath!;
        string[] assembly = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [Assembly.GetExecutingAssembly().Location] : [];
        return new ProcessStartInfo(program, [.. assembly, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
    }
}
