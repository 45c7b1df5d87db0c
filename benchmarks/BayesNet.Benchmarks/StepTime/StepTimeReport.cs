using System.CommandLine;
using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.StepTime;

/// <summary>What a training step costs under each estimator and optimizer, against a deterministic network and against its matrix products.</summary>
internal sealed class StepTimeReport : Report
{
    private static readonly Option<string> Shapes = new("--shapes")
    {
        Description = $"Networks, joined by commas: any of {string.Join(", ", StepTimeShape.All)}, or sizes of dense layers joined by hyphens. Default: all; short: 8-50-1.",
    };

    private static readonly Option<string> Threads = new("--threads") { Description = "Numbers of libtorch's threads, joined by commas. Default: 1 and all cores; short: all cores." };
    private static readonly Option<string> Estimators = new("--estimators")
    {
        Description = $"Rows beside the deterministic ones, joined by commas: of {string.Join(", ", Names.Estimators.Skip(1))}. Default: all.",
    };

    private static readonly Option<string> OnDevice = new("--device") { Description = "cpu or cuda.", DefaultValueFactory = _ => "cpu" };
    private static readonly Option<string> Dtype = new("--dtype") { Description = "float32 or float64.", DefaultValueFactory = _ => "float32" };
    private static readonly Option<bool> KeepMemory = new("--keep-memory") { Description = "Call MemoryAllocation.KeepFreedMemory() first, in all processes." };
    private static readonly Option<bool> Resume = new("--resume") { Description = "Keep what step-time.json in the output folder has of the same commit, machine and settings, and measure the rest." };

    public StepTimeReport()
    {
        Shapes.Validators.Add(result => Check(result, () => Parse(result.GetValueOrDefault<string>(), StepTimeShape.Parse)));
        Threads.Validators.Add(result => Check(result, () => Parse(result.GetValueOrDefault<string>(), ThreadCount)));
        Estimators.Validators.Add(result => Check(result, () => Parse(result.GetValueOrDefault<string>(), EstimatorName)));
        OnDevice.AcceptOnlyFromAmong("cpu", "cuda");
        Dtype.AcceptOnlyFromAmong("float32", "float64");
    }

    public override string Name => "step-time";

    public override string Title => "The time of a training step";

    public override string Description => "Time and memory of a training step under each estimator and optimizer, against a deterministic network and bare matrix products.";

    protected override IReadOnlyList<Option> Options => [Shapes, Threads, Estimators, OnDevice, Dtype, KeepMemory, Resume];

    protected override void Write(ReportDocument document, ReportOptions options)
    {
        ParseResult line = options.CommandLine;
        int before = get_num_threads();
        StepTimeShape[] shapes = Parse(line.GetValue(Shapes), StepTimeShape.Parse) ?? [.. (options.Short ? ["8-50-1"] : StepTimeShape.All).Select(StepTimeShape.Parse)];
        int[] threads = Parse(line.GetValue(Threads), ThreadCount) ?? (options.Short ? [Environment.ProcessorCount] : [.. new[] { 1, Environment.ProcessorCount }.Distinct()]);
        var place = new Place(line.GetValue(OnDevice) == "cuda" ? CUDA : CPU, line.GetValue(Dtype) == "float64" ? ScalarType.Float64 : ScalarType.Float32);
        if (place.DeviceName == "cuda" && !cuda.is_available())
            throw new InvalidOperationException("This libtorch has no CUDA device; leave --device out, or build with a CUDA libtorch (-p:LibTorch=cuda-linux).");
        var settings = new StepTimeSettings
        {
            Commit = ReportEnvironment.CurrentCommit(),
            Cpu = ReportEnvironment.CpuModel(),
            Seed = options.Seed,
            Short = options.Short,
            Estimators = string.Join(',', Parse(line.GetValue(Estimators), EstimatorName) ?? [.. Names.Estimators.Skip(1)]),
            KeepMemory = line.GetValue(KeepMemory) && MemoryAllocation.KeepFreedMemory(),
        };
        List<StepTimeRow> rows = line.GetValue(Resume)
            ? [.. document.SavedRows<StepTimeRow>().Where(row => row.Settings == settings && row.Device == place.DeviceName && row.Dtype == place.DtypeName)]
            : [];
        var gaps = new List<StepTimeGap>();
        foreach (StepTimeShape shape in shapes)
        {
            foreach (int count in threads)
            {
                StepTimeMeasurement measurement = new(shape, place, count, settings);
                bool known = rows.Any(row => row.IsAt(shape.Name, count));
                Console.Error.WriteLine($"{shape.Name}, {count} thread{(count == 1 ? "" : "s")}{(known ? ": kept" : "")}");
                if (known)
                {
                    gaps.AddRange(measurement.Gaps());
                    continue;
                }

                (IReadOnlyList<StepTimeRow> measured, IReadOnlyList<StepTimeGap> missing) = measurement.Run();
                rows.AddRange(measured);
                gaps.AddRange(missing);
                document.SaveRows(rows);
            }
        }

        Pieces? pieces = options.Short || place.DeviceName != "cpu" ? null : Pieces.Measured(options.Seed);
        set_num_threads(before);
        document.SaveRows(rows);
        StepTimeText.Write(document, rows, gaps, settings, pieces);
    }

    private static int ThreadCount(string text)
        => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value > 0
            ? value
            : throw new FormatException($"'{text}' is no number of threads.");

    private static string EstimatorName(string text)
        => Names.Estimators.Skip(1).Contains(text) ? text : throw new FormatException($"'{text}' is none of {string.Join(", ", Names.Estimators.Skip(1))}.");

    private static T[]? Parse<T>(string? list, Func<string, T> parse)
        => list is null ? null : [.. list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(parse)];

    private static void Check(System.CommandLine.Parsing.OptionResult result, Action parse)
    {
        try
        {
            parse();
        }
        catch (FormatException error)
        {
            result.AddError(error.Message);
        }
    }
}
