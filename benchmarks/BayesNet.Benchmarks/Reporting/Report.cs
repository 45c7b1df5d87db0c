using System.CommandLine;
using System.CommandLine.Parsing;

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
    /// <summary>How a report's command begins.</summary>
    public const string Program = "dotnet run -c Release --project benchmarks/BayesNet.Benchmarks --";

    /// <summary>The name of the option for a folder with data sets, in the reports that need them; <c>all --data</c> hands it on.</summary>
    public const string DataOption = "--data";

    private static readonly Option<DirectoryInfo> Output = new("--out") { Description = "The folder that Markdown, JSON and plots are written to; default out/<report>." };
    private static readonly Option<ulong> Seed = new("--seed") { Description = "The seed of all noise.", DefaultValueFactory = _ => 1 };
    private static readonly Option<bool> Short = new("--short") { Description = "Fewer draws or rounds and small sizes, to see that the report works." };
    private static readonly Option<bool> Resume = new("--resume")
    {
        Description = "Keep what the output folder has of the same command, commit and processor, whole or half-way, and measure the rest.",
    };

    private static readonly Option<bool> AnyCommit = new("--any-commit") { Description = "With --resume: keep what other commits measured too; the report says which." };

    /// <summary>The command, and the name of the files.</summary>
    public abstract string Name { get; }

    /// <summary>The heading.</summary>
    public abstract string Title { get; }

    /// <summary>One line for the command's help.</summary>
    public abstract string Description { get; }

    /// <summary>Whether it has an option for a folder with data sets; and whether it can't do without.</summary>
    public (bool Takes, bool Needs) Data => (Options.Any(option => option.Name == DataOption), NeedsData);

    /// <summary>Options beside those that every report has; those that change what is measured.</summary>
    protected virtual IReadOnlyList<Option> Options => [];

    /// <summary>Whether there is nothing to report without data sets.</summary>
    protected virtual bool NeedsData => false;

    /// <summary>Further arguments when it runs among <c>all</c> reports, in full or in short.</summary>
    public virtual IReadOnlyList<string> ArgumentsInAll(bool full) => [];

    /// <summary>The command that runs the report; its exit status is 1 where a part of the report failed.</summary>
    public Command Command()
    {
        var command = new Command(Name, Description) { Output, Seed, Short, Resume, AnyCommit };
        foreach (Option option in Options)
            command.Options.Add(option);
        command.SetAction(parsed =>
        {
            DirectoryInfo folder = parsed.GetValue(Output) ?? new DirectoryInfo(Path.Combine("out", Name));
            Resumption resumption = parsed.GetValue(Resume) ? parsed.GetValue(AnyCommit) ? Resumption.AnyCommit : Resumption.SameCommit : Resumption.None;
            return Run(new ReportOptions(folder, parsed.GetValue(Seed), parsed.GetValue(Short), parsed), resumption);
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
            .Select(result => string.Join(' ', [result.Option.Name, .. Arguments(result)]));
        return string.Join(' ', [Program, Name, .. given]);

        // A folder's place is the machine's own affair, and no part of what was measured.
        IEnumerable<string> Arguments(OptionResult result) => result switch
        {
            { Implicit: true } => [$"{options.Seed}"],
            { Option.Name: DataOption } => ["DIR"],
            _ => result.Tokens.Select(token => token.Value),
        };
    }

    /// <summary>
    /// What a process does that works for the report of another, and its exit status; null, unless a report has it otherwise, for the process that writes.
    /// </summary>
    protected virtual int? Assist(ReportOptions options) => null;

    /// <summary>The body of the report.</summary>
    protected abstract void Write(ReportDocument document, ReportOptions options);

    /// <summary>Measures and writes; returns the exit status.</summary>
    private int Run(ReportOptions options, Resumption resumption)
    {
        if (Assist(options) is { } status)
            return status;
        options.Output.Create();
        TorchSharp.torch.manual_seed((long)options.Seed);
        var document = new ReportDocument(options.Output, Name, Title, ReportEnvironment.Current(this, options), resumption);
        document.Attempt(Title, () => Write(document, options));
        Console.WriteLine($"Written: {document.Finish()}");
        return document.Failures.Count == 0 ? 0 : 1;
    }
}
