using System.CommandLine;
using BayesNet.Benchmarks.Reporting;

namespace BayesNet.Benchmarks.GradientVariance;

/// <summary>The variance of every estimator's gradient: against closed forms, against a published table, over the batch size, and for its cost.</summary>
internal sealed class GradientVarianceReport : Report
{
    private static readonly VariancePart[] All = [new ExactPart(), new FamiliesPart(), new DropoutPart(), new BatchSizePart(), new ScoreFunctionPart(), new EfficiencyPart(), new TimesPart()];

    private static readonly Option<DirectoryInfo> DataFolder = new(DataOption) { Description = "The folder of data sets, with mnist10k in it; default: the environment variable BAYESNET_DATA." };
    private static readonly Option<string> Parts = new("--parts") { Description = $"What to measure, joined by commas: of {string.Join(", ", All.Select(part => part.Name))}. Default: all." };

    public GradientVarianceReport()
        => Parts.Validators.Add(result =>
        {
            string[] unknown = [.. Asked(result.GetValueOrDefault<string>()).Except(All.Select(part => part.Name))];
            if (unknown.Length > 0)
                result.AddError($"'{unknown[0]}' is none of {string.Join(", ", All.Select(part => part.Name))}.");
        });

    public override string Name => "gradient-variance";

    public override string Title => "The variance of gradient estimators";

    public override string Description => "Variance of every estimator's gradient: against closed forms, the table of Kingma et al. 2015, the batch size, and time.";

    protected override IReadOnlyList<Option> Options => [DataFolder, Parts];

    protected override void Write(ReportDocument document, ReportOptions options)
    {
        var settings = new VarianceSettings { Seed = options.Seed, Short = options.Short, Commit = ReportEnvironment.CurrentCommit() };
        var context = new VarianceContext(options.Output, OptionValues.DataFolder(options.CommandLine.GetValue(DataFolder)), options.Short, document.Resumes);
        var rows = new VarianceRows(document, settings, context.Resume);
        string[] asked = Asked(options.CommandLine.GetValue(Parts));
        int threads = TorchSharp.torch.get_num_threads();
        foreach (VariancePart part in All.Where(part => asked.Length == 0 || asked.Contains(part.Name)))
        {
            TorchSharp.torch.set_num_threads(part.Threads(context));
            part.Measure(rows, context);
            TorchSharp.torch.set_num_threads(threads);
        }

        if (rows.All.Any(row => row.Settings.Commit != settings.Commit))
        {
            IEnumerable<string> runs = rows.All.GroupBy(row => row.Settings.Commit).Select(run => $"{string.Join(", ", run.Select(row => row.Part).Distinct())} at commit {run.Key}");
            document.Paragraph($"Measured in several runs, which `--resume` joined: {string.Join("; ", runs)}.");
        }

        foreach (VariancePart part in All)
            part.Write(document, rows, context);
    }

    private static string[] Asked(string? list) => OptionValues.List(list) ?? [];
}
