using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.StepTime;

/// <summary>
/// The memory of one contestant, in a process of its own: by how much its resident memory grows, at its peak, while network, optimizer and data
/// are made and ten steps run. The process has run a small network of the same kind before, so that code and buffers of libtorch are not counted.
/// </summary>
internal static class PeakMemory
{
    private const string Name = "step-time-memory";
    private const int Steps = 10;
    private const long FewRows = 2;
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(10);

    /// <summary>The hidden command of the child process.</summary>
    public static Command Command()
    {
        var shape = new Argument<string>("shape");
        var batch = new Argument<long>("batch");
        var estimator = new Argument<string>("estimator");
        var optimizer = new Argument<string>("optimizer");
        var threads = new Argument<int>("threads");
        var dtype = new Argument<ScalarType>("dtype");
        var keep = new Argument<bool>("keep");
        var command = new Command(Name) { shape, batch, estimator, optimizer, threads, dtype, keep };
        command.Hidden = true;
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(keep))
                MemoryAllocation.KeepFreedMemory();
            set_num_threads(parsed.GetValue(threads));
            var place = new Place(CPU, parsed.GetValue(dtype));
            StepTimeShape measured = StepTimeShape.Parse(parsed.GetValue(shape)!) with { Batch = parsed.GetValue(batch) };
            StepTimeShape small = measured.InputSize.Length == 1 ? StepTimeShape.Parse("8-50-1") : measured with { Batch = FewRows };
            Run(small);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Measure.PeakGrowth(() => Run(measured))} {Measure.ProcessPeak()}"));

            void Run(StepTimeShape run)
            {
                using Contestant contestant = Contestant.Create(run, place, parsed.GetValue(estimator)!, parsed.GetValue(optimizer)!).Contestant!;
                for (int i = 0; i < Steps; i++)
                    contestant.Run();
            }
        });
        return command;
    }

    /// <summary>Bytes of a contestant and of its whole process at their peak; null where the system does not say.</summary>
    /// <exception cref="InvalidOperationException">The child process failed.</exception>
    public static (long Growth, long Process)? Of(StepTimeShape shape, Place place, string estimator, string optimizer, int threads, bool keep)
    {
        ProcessStartInfo start = ChildProcess.Of(
            Name, shape.Name, shape.Batch.ToString(CultureInfo.InvariantCulture), estimator, optimizer, threads.ToString(CultureInfo.InvariantCulture), place.Dtype.ToString(), keep ? "true" : "false");
        start.RedirectStandardError = false;
        using Process child = Process.Start(start)!;
        Task<string> output = child.StandardOutput.ReadToEndAsync();
        if (!child.WaitForExit(Limit))
        {
            child.Kill();
            throw new InvalidOperationException($"The memory of {estimator} at {shape.Name} was not measured within {Limit.TotalMinutes} minutes.");
        }

        if (child.ExitCode != 0)
            throw new InvalidOperationException($"The process that measures the memory of {estimator} at {shape.Name} ended with exit status {child.ExitCode}.");
        return output.Result.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) is [string growth, string process]
            ? (long.Parse(growth, CultureInfo.InvariantCulture), long.Parse(process, CultureInfo.InvariantCulture))
            : null;
    }
}
