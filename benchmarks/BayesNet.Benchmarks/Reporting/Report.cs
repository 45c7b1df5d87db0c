using System.CommandLine;
using System.CommandLine.Parsing;
using System.Diagnostics;

namespace BayesNet.Benchmarks.Reporting;

/// <summary>What the command line says.</summary>
/// <param name="Output">The folder to write to.</param>
/// <param name="Seed">The seed of all noise.</param>
/// <param name="Short">Whether to measure less, to see that the report works.</param>
/// <param name="CommandLine">The rest, for a report's own options.</param>
internal sealed record ReportOptions(DirectoryInfo Output, ulong Seed, bool Short, ParseResult CommandLine);

/// <summary>A command that measures something and writes Markdown, JSON and plots.</summary>
internal abstract class Report
{
    private static readonly Option<DirectoryInfo> Output = new("--out") { Description = "The folder that Markdown, JSON and plots are written to; default out/<report>." };
    private static readonly Option<ulong> Seed = new("--seed") { Description = "The seed of all noise.", DefaultValueFactory = _ => 1 };
    private static readonly Option<bool> Short = new("--short") { Description = "Fewer draws or rounds and small sizes, to see that the report works." };

    /// <summary>The command, and the name of the files.</summary>
    public abstract string Name { get; }

    /// <summary>The heading.</summary>
    public abstract string Title { get; }

    /// <summary>One line for the command's help.</summary>
    public abstract string Description { get; }

    /// <summary>Options beside those that every report has; those that change what is measured.</summary>
    protected virtual IReadOnlyList<Option> Options => [];

    /// <summary>The command that runs the report.</summary>
    public Command Command()
    {
        var command = new Command(Name, Description) { Output, Seed, Short };
        foreach (Option option in Options)
            command.Options.Add(option);
        command.SetAction(parsed =>
        {
            DirectoryInfo folder = parsed.GetValue(Output) ?? new DirectoryInfo(Path.Combine("out", Name));
            string file = Run(new ReportOptions(folder, parsed.GetValue(Seed), parsed.GetValue(Short), parsed));
            Console.WriteLine($"Written: {file}");
        });
        return command;
    }

    /// <summary>The command line that measures the same again, without the folder it writes to.</summary>
    public string CommandLine(ReportOptions options)
    {
        IEnumerable<string> given = new Option[] { Seed, Short }.Concat(Options)
            .Select(options.CommandLine.GetResult)
            .OfType<OptionResult>()
            .Where(result => !result.Implicit || result.Option == Seed)
            .Select(result => string.Join(' ', [result.Option.Name, .. result.Implicit ? [$"{options.Seed}"] : result.Tokens.Select(token => token.Value)]));
        return string.Join(' ', ["dotnet run -c Release --project benchmarks/BayesNet.Benchmarks --", Name, .. given]);
    }

    /// <summary>The body of the report.</summary>
    protected abstract void Write(ReportDocument document, ReportOptions options);

    /// <summary>Measures and writes; returns the Markdown file.</summary>
    private string Run(ReportOptions options)
    {
        options.Output.Create();
        TorchSharp.torch.manual_seed((long)options.Seed);
        var environment = ReportEnvironment.Current(this, options);
        var document = new ReportDocument(options.Output, Name);
        var clock = Stopwatch.StartNew();
        Write(document, options);
        return document.Save(Title, environment with { LoadAtEnd = ReportEnvironment.Load(), Minutes = clock.Elapsed.TotalMinutes });
    }
}
