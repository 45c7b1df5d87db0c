using System.Reflection;
using System.Runtime.InteropServices;

namespace BayesNet.Layers.Tests.Persistence;

/// <summary>The program that tests run as another process.</summary>
internal static class TrainProbe
{
    /// <summary>Where it is.</summary>
    internal static string Path { get; } = System.IO.Path.GetFullPath(
        typeof(TrainProbe).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(attribute => attribute.Key == "TrainProbe").Value!, AppContext.BaseDirectory);

    /// <summary>What runs it.</summary>
    internal static string Host { get; } = System.IO.Path.GetFullPath(
        System.IO.Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet"));
}
