using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using BayesNet.Benchmarks.Reporting;

namespace BayesNet.Benchmarks.Summary;

/// <summary>How the run of one report went.</summary>
/// <param name="Report">Its name, and its folder's.</param>
/// <param name="State">ok, failed or skipped.</param>
/// <param name="Commit">The commit it ran at.</param>
/// <param name="Command">Its command line.</param>
/// <param name="Minutes">How long it took.</param>
/// <param name="Error">What it said at its end where it failed, or why it was skipped.</param>
internal sealed record ReportRun(string Report, string State, string Commit, string Command, double Minutes, string? Error)
{
    public const string Ok = "ok", Failed = "failed", Skipped = "skipped";
}

/// <summary>
/// Every report, in short or in full, each in a process of its own and a folder of its own; then a page with all of them. One that fails, in
/// whatever way, keeps what it has, and the others go on.
/// </summary>
internal static class AllReports
{
    private const string StateFile = "all.json", LogFile = "log.txt";

    // In short; in full a report takes the time it takes.
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(8);

    public static Command Command(IReadOnlyList<Report> reports)
    {
        var data = new Option<DirectoryInfo>("--data") { Description = "The folder with data sets, for the reports that need them, which are skipped without it. Default: BAYESNET_DATA." };
        var full = new Option<bool>("--full") { Description = "Every report in full, which takes hours; else in short, under ten minutes on two idle cores." };
        var output = new Option<DirectoryInfo>("--out") { Description = "The folder; default out/all." };
        var seed = new Option<ulong>("--seed") { Description = "The seed of all noise.", DefaultValueFactory = _ => 1 };
        var resume = new Option<bool>("--resume") { Description = "Keep the reports in the folder that ended well at this commit, and run the rest, each from where it stopped." };
        var command = new Command("all", "Every report, and a page with all of them: index.html.") { data, full, output, seed, resume };
        command.SetAction(parsed =>
        {
            DirectoryInfo root = parsed.GetValue(output) ?? new DirectoryInfo(Path.Combine("out", "all"));
            root.Create();
            bool isFull = parsed.GetValue(full);
            DirectoryInfo? dataFolder = OptionValues.DataFolder(parsed.GetValue(data)) is { } named ? new DirectoryInfo(named) : null;
            string again = string.Create(
                CultureInfo.InvariantCulture, $"{Report.Program} all --seed {parsed.GetValue(seed)}{(isFull ? " --full" : "")}{(dataFolder is null ? "" : " --data DIR")}");
            var environment = ReportEnvironment.Current(again, parsed.GetValue(seed), !isFull);
            List<ReportRun> earlier = parsed.GetValue(resume) ? Read(root) : [];
            var runs = new List<ReportRun>();
            foreach (Report report in reports)
            {
                string[] arguments = Arguments(report, dataFolder, parsed.GetValue(seed), isFull);
                string line = string.Join(' ', [Report.Program, .. arguments.Select((argument, i) => i > 0 && arguments[i - 1] == Report.DataOption ? "DIR" : argument)]);
                ReportRun? kept = earlier.FirstOrDefault(run => run.Report == report.Name && run.State == ReportRun.Ok && run.Commit == environment.Commit && run.Command == line);
                Console.WriteLine($"{report.Name}{(kept is null ? "" : ": kept")}");
                runs.Add(kept ?? (report.Data.Needs && dataFolder is null
                    ? new ReportRun(report.Name, ReportRun.Skipped, environment.Commit, line, 0, "it needs data sets: --data DIR")
                    : Run(report, arguments, line, root, environment.Commit, isFull ? null : Limit)));
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{report.Name}: {runs[^1].State}, {runs[^1].Minutes:F1} minutes{(runs[^1].Error is { } error ? $": {error}" : "")}"));

                // Reports that an earlier run had beyond this one stay on the record until they run again.
                ReportRun[] known = [.. runs, .. earlier.Where(run => !runs.Exists(own => own.Report == run.Report))];
                ReportFiles.Replace(Path.Combine(root.FullName, StateFile), new { Environment = environment.At(DateTime.UtcNow), Reports = known }, ReportFiles.Results);
                SummaryPage.Write(root, reports.Select(one => one.Name), environment.At(DateTime.UtcNow), known);
            }

            Console.WriteLine($"Written: {Path.Combine(root.FullName, SummaryPage.FileName)}");
            return runs.Exists(run => run.State == ReportRun.Failed) ? 1 : 0;
        });
        return command;
    }

    /// <summary>The command that makes the page of reports that are there.</summary>
    public static Command PageCommand(IReadOnlyList<Report> reports)
    {
        var folder = new Argument<DirectoryInfo>("folder") { Description = "A folder with a sub-folder for each report, such as docs/reports." };
        var command = new Command("page", "One page of the reports in a folder, index.html in it.") { folder };
        command.SetAction(parsed => Console.WriteLine($"Written: {SummaryPage.Write(parsed.GetValue(folder)!, reports.Select(report => report.Name), null, [])}"));
        return command;
    }

    private static string[] Arguments(Report report, DirectoryInfo? data, ulong seed, bool full) =>
    [
        report.Name, "--seed", seed.ToString(CultureInfo.InvariantCulture),
        .. full ? Array.Empty<string>() : ["--short"],
        .. report.ArgumentsInAll(full),
        .. data is not null && report.Data.Takes ? [Report.DataOption, data.FullName] : Array.Empty<string>(),
    ];

    private static ReportRun Run(Report report, string[] arguments, string line, DirectoryInfo root, string commit, TimeSpan? limit)
    {
        DirectoryInfo folder = root.CreateSubdirectory(report.Name);
        var clock = Stopwatch.StartNew();
        using Process child = Process.Start(ChildProcess.Of([.. arguments, "--resume", "--out", folder.FullName]))!;
        using var log = TextWriter.Synchronized(File.CreateText(Path.Combine(folder.FullName, LogFile)));
        var last = new Queue<string>();
        DataReceivedEventHandler keep = (_, line) =>
        {
            if (line.Data is null)
                return;
            log.WriteLine(line.Data);
            lock (last)
            {
                last.Enqueue(line.Data);
                if (last.Count > 5)
                    last.Dequeue();
            }
        };
        child.OutputDataReceived += keep;
        child.ErrorDataReceived += keep;
        child.BeginOutputReadLine();
        child.BeginErrorReadLine();
        bool ended = child.WaitForExit(limit ?? Timeout.InfiniteTimeSpan);
        if (!ended)
            child.Kill(entireProcessTree: true);
        child.WaitForExit();
        string? error = ended
            ? child.ExitCode == 0 ? null : string.Create(CultureInfo.InvariantCulture, $"exit status {child.ExitCode}; its last words: {string.Join(" / ", last)}")
            : string.Create(CultureInfo.InvariantCulture, $"it was ended after {limit!.Value.TotalMinutes} minutes");
        return new ReportRun(report.Name, error is null ? ReportRun.Ok : ReportRun.Failed, commit, line, clock.Elapsed.TotalMinutes, error);
    }

    private static List<ReportRun> Read(DirectoryInfo root)
    {
        string file = Path.Combine(root.FullName, StateFile);
        if (!File.Exists(file))
            return [];
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(file));
        return json.RootElement.GetProperty("reports").Deserialize<List<ReportRun>>(ReportFiles.Results)!;
    }
}
