using System.CommandLine;
using BayesNet.Benchmarks.Families;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Runtime;

// A report is one class: derive from Report and add it here.
Report[] reports = [new FamiliesReport()];

NativeLibraries.Load();
var output = new Option<DirectoryInfo>("--out") { Description = "The folder that Markdown, JSON and plots are written to; default out/<report>." };
var seed = new Option<ulong>("--seed") { Description = "The seed of all noise.", DefaultValueFactory = _ => 1 };
var quick = new Option<bool>("--quick") { Description = "A tenth of the draws and small sizes, to see that the report works." };
var root = new RootCommand("Reports on what BayesNet's estimators and families cost and what variance they have.");
foreach (Report report in reports)
{
    var command = new Command(report.Name, report.Description) { output, seed, quick };
    command.SetAction(parsed =>
    {
        DirectoryInfo folder = parsed.GetValue(output) ?? new DirectoryInfo(Path.Combine("out", report.Name));
        string file = report.Run(new ReportOptions(folder, parsed.GetValue(seed), parsed.GetValue(quick)));
        Console.WriteLine($"Written: {file}");
    });
    root.Subcommands.Add(command);
}

return root.Parse(args).Invoke();
