using System.CommandLine.Parsing;

namespace BayesNet.Benchmarks.Reporting;

/// <summary>What reports read from the command line in one way.</summary>
internal static class OptionValues
{
    /// <summary>The folder of data sets: the one given, else the one that the environment variable names; null where neither is.</summary>
    public static string? DataFolder(DirectoryInfo? given)
        => given?.FullName ?? (Environment.GetEnvironmentVariable("BAYESNET_DATA") is { Length: > 0 } named ? named : null);

    /// <summary>The items of a list joined by commas; null where there is no list.</summary>
    public static string[]? List(string? text) => text?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Makes a <see cref="FormatException"/> of reading an option the command line's error.</summary>
    public static void Check(OptionResult result, Action parse)
    {
        try
        {
            parse();
        }
        catch (FormatException error)
        {
            result.AddError(error.Message);
        }
    }
}
