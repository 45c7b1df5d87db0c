using System.CommandLine;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Exporters;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

namespace BayesNet.Benchmarks.Micro;

/// <summary>The pieces of a step, by BenchmarkDotNet, in this process, where libtorch is loaded.</summary>
internal static class MicroBenchmarks
{
    public static Command Command()
    {
        var filter = new Option<string[]>("--filter")
        {
            Description = "Which benchmarks, by patterns such as *Noise*.",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => ["*"],
        };
        var output = new Option<DirectoryInfo>("--out") { Description = "The folder of BenchmarkDotNet's files; default out/micro." };
        var command = new Command("micro", "Benchmarks of the pieces: layers under each estimator, noise, KL divergence, optimizers, prediction.") { filter, output };
        command.SetAction(parsed =>
        {
            string folder = parsed.GetValue(output)?.FullName ?? Path.GetFullPath(Path.Combine("out", "micro"));
            Job job = Job.ShortRun.WithToolchain(new InProcessEmitToolchain(TimeSpan.FromMinutes(10), logOutput: true)).WithWarmupCount(5).WithIterationCount(9);
            IConfig config = ManualConfig.CreateEmpty()
                .AddJob(job)
                .AddLogger(ConsoleLogger.Default)
                .AddColumnProvider(DefaultColumnProviders.Instance)
                .AddColumn(StatisticColumn.Median)
                .AddDiagnoser(MemoryDiagnoser.Default)
                .AddExporter(MarkdownExporter.GitHub)
                .WithArtifactsPath(folder);
            BenchmarkSwitcher.FromAssembly(typeof(MicroBenchmarks).Assembly).Run(["--filter", .. parsed.GetValue(filter)!], config);
        });
        return command;
    }
}
