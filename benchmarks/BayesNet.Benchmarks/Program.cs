using System.CommandLine;
using BayesNet.Benchmarks.Families;
using BayesNet.Benchmarks.GradientVariance;
using BayesNet.Benchmarks.Micro;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Benchmarks.StepTime;
using BayesNet.Runtime;

// A report is one class: derive from Report and add it here.
Report[] reports = [new FamiliesReport(), new GradientVarianceReport(), new StepTimeReport()];

NativeLibraries.Load();
var root = new RootCommand("Reports on what BayesNet's estimators and families cost and what variance they have.");
foreach (Report report in reports)
    root.Subcommands.Add(report.Command());
root.Subcommands.Add(MicroBenchmarks.Command());
root.Subcommands.Add(PeakMemory.Command());
return root.Parse(args).Invoke();
