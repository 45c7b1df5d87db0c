using System.CommandLine;
using BayesNet.Benchmarks.Calibration;
using BayesNet.Benchmarks.Comparison;
using BayesNet.Benchmarks.Families;
using BayesNet.Benchmarks.GradientVariance;
using BayesNet.Benchmarks.Layers;
using BayesNet.Benchmarks.Micro;
using BayesNet.Benchmarks.Ranks;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Benchmarks.Scaling;
using BayesNet.Benchmarks.Sparsity;
using BayesNet.Benchmarks.StepTime;
using BayesNet.Benchmarks.Summary;
using BayesNet.Benchmarks.Uci;
using BayesNet.Runtime;

// A report is one class: derive from Report and add it here.
Report[] reports =
    [new FamiliesReport(), new GradientVarianceReport(), new StepTimeReport(), new ScalingReport(), new UciReport(), new CalibrationReport(), new SparsityReport(), new LayersReport(), new RanksReport()];

NativeLibraries.Load();
var root = new RootCommand("Reports on what BayesNet's estimators and families cost and what variance they have.");
foreach (Report report in reports)
    root.Subcommands.Add(report.Command());
root.Subcommands.Add(AllReports.Command(reports));
root.Subcommands.Add(AllReports.PageCommand(reports));
root.Subcommands.Add(CompareCommand.Command());
root.Subcommands.Add(MicroBenchmarks.Command());
root.Subcommands.Add(PeakMemory.Command());
root.Subcommands.Add(RankWorker.Command());
root.Subcommands.Add(UciWorker.Command());
return root.Parse(args).Invoke();
