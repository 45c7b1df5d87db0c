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
        Description = $"Networks, joined by commas: any of {string.Join(", ", StepTimeShape.All)}, or sizes of dense layers joined by hyphens. Default: all, or none beside --scaling; short: 8-50-1.",
    };

    private static readonly Option<bool> Scaling = new("--scaling")
    {
        Description = "Measure how a step's time grows with batch, width and depth, in float64, and weights per example at the network of Kingma et al. 2015.",
    };

    private static readonly Option<long> Batch = new("--batch") { Description = "Rows of a minibatch of --shapes. Default: the shape's own." };
    private static readonly Option<string> Threads = new("--threads") { Description = "Numbers of libtorch's threads, joined by commas. Default: 1 and all cores; short: all cores." };
    private static readonly Option<string> Estimators = new("--estimators")
    {
        Description = $"Rows beside the deterministic ones for --shapes, joined by commas: of {string.Join(", ", Names.Estimators.Skip(1))}. Default: all but the last textbook one.",
    };

    private static readonly Option<string> WithOptimizers = new("--optimizers") { Description = $"Optimizers for --shapes, joined by commas: of {string.Join(", ", Names.Optimizers)}. Default: all." };
    private static readonly Option<string> OnDevice = new("--device") { Description = "cpu or cuda.", DefaultValueFactory = _ => "cpu" };
    private static readonly Option<string> Dtype = new("--dtype") { Description = "float32 or float64.", DefaultValueFactory = _ => "float32" };
    private static readonly Option<bool> KeepMemory = new("--keep-memory") { Description = "Call MemoryAllocation.KeepFreedMemory() first, in all processes." };

    public StepTimeReport()
    {
        Shapes.Validators.Add(result => OptionValues.Check(result, () => Parse(result.GetValueOrDefault<string>(), StepTimeShape.Parse)));
        Threads.Validators.Add(result => OptionValues.Check(result, () => Parse(result.GetValueOrDefault<string>(), ThreadCount)));
        Estimators.Validators.Add(result => OptionValues.Check(result, () => Parse(result.GetValueOrDefault<string>(), name => NameIn([.. Names.Estimators.Skip(1)], name))));
        WithOptimizers.Validators.Add(result => OptionValues.Check(result, () => Parse(result.GetValueOrDefault<string>(), name => NameIn(Names.Optimizers, name))));
        Batch.Validators.Add(result => OptionValues.Check(result, () => _ = result.GetValueOrDefault<long>() > 0 ? 0 : throw new FormatException("A minibatch has at least one row.")));
        OnDevice.AcceptOnlyFromAmong("cpu", "cuda");
        OnDevice.Validators.Add(result => OptionValues.Check(result, () => CheckDevice(result.GetValueOrDefault<string>())));
        Dtype.AcceptOnlyFromAmong("float32", "float64");
    }

    public override string Name => "step-time";

    public override string Title => "The time of a training step";

    public override string Description => "Time and memory of a training step under each estimator and optimizer, against a deterministic network and bare matrix products.";

    protected override IReadOnlyList<Option> Options => [Shapes, Scaling, Batch, Threads, Estimators, WithOptimizers, OnDevice, Dtype, KeepMemory];

    public override IReadOnlyList<string> ArgumentsInAll(bool full) => ["--scaling", "--shapes", full ? string.Join(',', StepTimeShape.All) : "8-50-1"];

    protected override void Write(ReportDocument document, ReportOptions options)
    {
        int before = get_num_threads();
        bool keepMemory = options.CommandLine.GetValue(KeepMemory) && MemoryAllocation.KeepFreedMemory();
        List<StepTimePoint> points = Points(options, keepMemory);
        var rows = new List<StepTimeRow>(document.SavedRows<StepTimeRow>().Where(row => document.Keeps(row.Settings.Identity)));
        var gaps = new List<StepTimeGap>();
        foreach (StepTimePoint point in points)
        {
            StepTimeRow[] known = [.. rows.Where(row => row.IsOf(point))];
            Console.Error.WriteLine($"{point}{(known.Length > 0 ? ": kept" : "")}");
            document.Attempt(point.ToString(), () =>
            {
                var measurement = new StepTimeMeasurement(point);
                if (known.Length > 0)
                {
                    gaps.AddRange(measurement.Gaps(known));
                    return;
                }

                (IReadOnlyList<StepTimeRow> measured, IReadOnlyList<StepTimeGap> missing) = measurement.Run();
                rows.AddRange(measured);
                gaps.AddRange(missing);
                document.SaveRows(rows);
            });
        }

        bool pieces = points.Exists(point => point.Place.DeviceName == "cpu" && point.Shape.Name == Pieces.Network) && !options.Short;
        if (rows.Count > 0)
        {
            document.SaveRows(rows);
            StepTimeText.Write(document, rows, gaps);
            if (pieces)
                document.Part("pieces", () => StepTimeText.Write(document, Pieces.Measured(options.Seed)), ofAnyCommand: true);
        }

        set_num_threads(before);
    }

    private static List<StepTimePoint> Points(ReportOptions options, bool keepMemory)
    {
        ParseResult line = options.CommandLine;
        bool scaling = line.GetValue(Scaling);
        string[] all = options.Short ? ["8-50-1"] : [.. StepTimeShape.All];
        StepTimeShape[] shapes = Parse(line.GetValue(Shapes), StepTimeShape.Parse) ?? (scaling ? [] : [.. all.Select(StepTimeShape.Parse)]);
        if (line.GetResult(Batch) is { Implicit: false })
            shapes = [.. shapes.Select(shape => shape with { Batch = line.GetValue(Batch) })];
        int[] threads = Parse(line.GetValue(Threads), ThreadCount) ?? (options.Short ? [Environment.ProcessorCount] : [.. new[] { 1, Environment.ProcessorCount }.Distinct()]);
        var place = new Place(line.GetValue(OnDevice) == "cuda" ? CUDA : CPU, line.GetValue(Dtype) == "float64" ? ScalarType.Float64 : ScalarType.Float32);
        var settings = new StepTimeSettings
        {
            Commit = ReportEnvironment.CurrentCommit(),
            Cpu = ReportEnvironment.CpuModel(),
            Seed = options.Seed,
            Short = options.Short,
            Estimators = string.Join(',', Parse(line.GetValue(Estimators), name => name) ?? [.. Names.Standard]),
            Optimizers = string.Join(',', Parse(line.GetValue(WithOptimizers), name => name) ?? [.. Names.Optimizers]),
            KeepMemory = keepMemory,
        };
        var points = new List<StepTimePoint>();
        foreach (StepTimeShape shape in shapes)
            points.AddRange(threads.Select(count => new StepTimePoint(shape, place, count, settings)));
        if (scaling)
            points.AddRange(StepTimeScaling.Points(threads, place, settings).Where(point => !points.Contains(point)));
        return points;
    }

    private static void CheckDevice(string? device)
    {
        if (device == "cuda" && !cuda.is_available())
        {
            throw new FormatException(
                "This libtorch has no CUDA device. Leave --device out; or build with -p:LibTorch=cuda-linux (cuda-windows); or build with -p:LibTorch=none and let "
                + $"the environment variable {NativeLibraries.LibTorchVariable} name the folder of a libtorch 2.10 for CUDA, on a machine with an NVIDIA GPU and its driver.");
        }
    }

    private static int ThreadCount(string text)
        => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value > 0
            ? value
            : throw new FormatException($"'{text}' is no number of threads.");

    private static string NameIn(IReadOnlyList<string> names, string text)
        => names.Contains(text) ? text : throw new FormatException($"'{text}' is none of {string.Join(", ", names)}.");

    private static T[]? Parse<T>(string? list, Func<string, T> parse)
        => OptionValues.List(list) is { } items ? [.. items.Select(parse)] : null;
}
