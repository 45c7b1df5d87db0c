using System.Diagnostics;

namespace BayesNet.Benchmarks.Reporting;

/// <summary>What the command line says.</summary>
/// <param name="Output">The folder to write to.</param>
/// <param name="Seed">The seed of all noise.</param>
/// <param name="Quick">Whether to measure less, to see that the report works.</param>
internal sealed record ReportOptions(DirectoryInfo Output, ulong Seed, bool Quick);

/// <summary>A command that measures something and writes Markdown, JSON and plots.</summary>
internal abstract class Report
{
    /// <summary>The command, and the name of the files.</summary>
    public abstract string Name { get; }

    /// <summary>The heading.</summary>
    public abstract string Title { get; }

    /// <summary>One line for the command's help.</summary>
    public abstract string Description { get; }

    /// <summary>Measures and writes; returns the Markdown file.</summary>
    public string Run(ReportOptions options)
    {
        options.Output.Create();
        TorchSharp.torch.manual_seed((long)options.Seed);
        var environment = ReportEnvironment.Current(this, options);
        var document = new ReportDocument(options.Output, Name);
        var clock = Stopwatch.StartNew();
        Write(document, options);
        return document.Save(Title, environment with { LoadAtEnd = ReportEnvironment.Load(), Minutes = clock.Elapsed.TotalMinutes });
    }

    /// <summary>The body of the report.</summary>
    protected abstract void Write(ReportDocument document, ReportOptions options);
}
