using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Estimators;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using ScottPlot;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Families;

/// <summary>Time and memory of a low-rank-plus-diagonal Gaussian against a full one.</summary>
internal static class CovarianceCost
{
    private const long Rank = 10;
    private const long LargestFull = 4096;
    private const double Megabyte = 1 << 20;

    private sealed record Row(
        long Size, double LowRankSeconds, double? FullSeconds, double LowRankParameterBytes, double? FullParameterBytes, long? LowRankPeakBytes, long? FullPeakBytes)
    {
        /// <summary>With an allocator that keeps freed memory.</summary>
        public double? FullSecondsMemoryKept { get; set; }
    }

    public static void Write(ReportDocument document, ReportOptions options)
    {
        long[] sizes = options.Short ? [256, 512, 1024, 2048] : [256, 512, 1024, 2048, 4096, 8192, 16384, 65536, 262144];
        double budget = options.Short ? 1 : 6;
        var rows = new List<Row>();
        using var noise = new NoiseSource(options.Seed);
        foreach (long d in sizes)
        {
            using var scope = NewDisposeScope();
            Tensor[] low = [Leaf(zeros(d)), Leaf(ones(d)), Leaf(randn(d, Rank) * 0.1)];
            Action lowStep = () => Step(() => new LowRankGaussianDistribution(low[0], low[1].exp(), low[2]), low, noise);
            Tensor[]? full = d <= LargestFull ? Full(d) : null;
            Action? fullStep = full is null ? null : () => FullStep(full, noise);
            double[] seconds = Measure.Medians(budget, 60, fullStep is null ? [lowStep] : [lowStep, fullStep]);
            rows.Add(new Row(
                d, seconds[0], fullStep is null ? null : seconds[1], Bytes(low), full is null ? null : Bytes(full),
                Measure.PeakGrowth(lowStep), fullStep is null ? null : Measure.PeakGrowth(fullStep)));
        }

        Row[] fullRows = [.. rows.Where(row => row.FullSeconds is not null)];
        bool kept = MemoryAllocation.KeepFreedMemory();
        foreach (Row row in kept ? fullRows : [])
        {
            using var scope = NewDisposeScope();
            Tensor[] full = Full(row.Size);
            row.FullSecondsMemoryKept = Measure.Medians(budget / 2, 60, () => FullStep(full, noise))[0];
        }

        Row[] lowTail = [.. rows.TakeLast(3)], fullTail = [.. fullRows.TakeLast(3)];
        double lowSlope = Slope(lowTail, row => row.LowRankSeconds), fullSlope = Slope(fullTail, row => row.FullSeconds!.Value);
        double? keptSlope = kept ? Slope(fullTail, row => row.FullSecondsMemoryKept!.Value) : null;
        double lowMemory = Slope(rows, row => row.LowRankParameterBytes), fullMemory = Slope(fullRows, row => row.FullParameterBytes!.Value);

        document.Section("Low rank plus diagonal against full covariance");
        document.Paragraph(string.Create(
            CultureInfo.InvariantCulture,
            $"One step: the distribution built and its parameters checked, one draw, its log density, backward to all parameters; float32, one event of d entries, rank {Rank}. Medians of runs taken in turns after warming up. Parameters: bytes of the tensors. Peak: growth of the process's resident memory during a step, allocator's free memory given back beforehand; below 1 MB it says little. Memory kept: the full covariance once more with an allocator that does not return freed blocks to the kernel (mallopt); otherwise each large tensor is made of fresh pages, and page faults take most of the time. The full covariance stops at d = {LargestFull:N0}."));
        document.Figure("covariance-cost", Plot(rows), "Median time of a step and peak memory growth against the number of entries. Dotted: slopes of 1 and 2, through the last point of each family.");
        document.Table("covariance_cost", rows,
            ("d", row => row.Size.ToString("N0", CultureInfo.InvariantCulture)),
            ("low rank, ms", row => Milliseconds(row.LowRankSeconds)),
            ("full, ms", row => Milliseconds(row.FullSeconds)),
            ("full, memory kept, ms", row => Milliseconds(row.FullSecondsMemoryKept)),
            ("full / low rank", row => row.FullSeconds is { } full ? (full / row.LowRankSeconds).ToString("F1", CultureInfo.InvariantCulture) : "-"),
            ("GPU", _ => "not measured"),
            ("low rank, parameters MB", row => Megabytes(row.LowRankParameterBytes)),
            ("full, parameters MB", row => Megabytes(row.FullParameterBytes)),
            ("low rank, peak MB", row => Megabytes(row.LowRankPeakBytes)),
            ("full, peak MB", row => Megabytes(row.FullPeakBytes)));
        document.Paragraph(string.Create(
            CultureInfo.InvariantCulture,
            $"Fitted exponents. Time: low rank d^{lowSlope:F2} over d = {lowTail[0].Size:N0} to {lowTail[^1].Size:N0} (below, the cost of the calls hides the growth); full d^{fullSlope:F2} over d = {fullTail[0].Size:N0} to {fullTail[^1].Size:N0}, with memory kept {(keptSlope is { } slope ? $"d^{slope:F2}" : "not measured")}. Parameters: d^{lowMemory:F2} and d^{fullMemory:F2}, over all d. Expected: O(dr) and O(d²)."));
        document.Data("covariance_cost_slopes", new { LowRankTime = lowSlope, FullTime = fullSlope, FullTimeMemoryKept = keptSlope, LowRankParameters = lowMemory, FullParameters = fullMemory });
    }

    private static void Step(Func<ReparameterizedDistribution> distribution, Tensor[] leaves, NoiseSource noise)
    {
        using var scope = NewDisposeScope();
        foreach (Tensor leaf in leaves)
            leaf.grad = null;
        ReparameterizedDistribution q = distribution();
        q.LogDensity(q.Sample(noise)).backward();
    }

    private static Tensor[] Full(long d) => [Leaf(zeros(d)), Leaf(randn(d, d) * (0.1 / Math.Sqrt(d)))];

    private static void FullStep(Tensor[] full, NoiseSource noise) => Step(() => new CholeskyGaussianDistribution(full[0], full[1]), full, noise);

    private static double Slope(IReadOnlyList<Row> rows, Func<Row, double> value)
        => Measure.LogSlope([.. rows.Select(row => (double)row.Size)], [.. rows.Select(value)]);

    private static Tensor Leaf(Tensor value) => value.detach().clone().requires_grad_(true);

    private static double Bytes(Tensor[] tensors) => tensors.Sum(tensor => tensor.numel() * tensor.element_size());

    private static Figure Plot(List<Row> rows)
    {
        var figure = new Figure(2);
        double[] sizes = [.. rows.Select(row => (double)row.Size).Where(size => rows.Count < 6 || Math.Log2(size) % 2 == 0)];
        figure.Label(0, "Time of a step", "d", "milliseconds", sizes);
        figure.Label(1, "Peak memory growth in a step", "d", "megabytes", sizes);
        Curve(0, row => 1000 * row.LowRankSeconds, Figure.Colors[3], "low rank, r = 10", 1);
        Curve(0, row => 1000 * row.FullSeconds, Figure.Colors[0], "full", 2);
        Curve(0, row => 1000 * row.FullSecondsMemoryKept, Figure.Colors[1], "full, memory kept", null);
        Curve(1, row => row.LowRankPeakBytes / Megabyte, Figure.Colors[3], "low rank, r = 10", 1);
        Curve(1, row => row.FullPeakBytes / Megabyte, Figure.Colors[0], "full", 2);
        figure[0].ShowLegend(Alignment.UpperRight);
        figure[1].ShowLegend(Alignment.LowerRight);
        return figure;

        void Curve(int panel, Func<Row, double?> value, Color color, string legend, int? slope)
        {
            (double X, double Y)[] points =
                [.. rows.Where(row => value(row) is >= 0.01).Select(row => (Math.Log10(row.Size), Math.Log10(value(row)!.Value)))];
            if (points.Length == 0)
                return;
            if (slope is { } exponent)
            {
                (double x, double y) = points[^1];
                double start = Math.Log10(rows[0].Size);
                Figure.Line(figure[panel], [start, x], [y - exponent * (x - start), y], color, 1, LinePattern.Dotted);
            }

            Figure.Line(figure[panel], [.. points.Select(point => point.X)], [.. points.Select(point => point.Y)], color, 1.5f, legend: legend, marker: 6);
        }
    }

    private static string Milliseconds(double? seconds) => seconds is { } value ? (1000 * value).ToString("G3", CultureInfo.InvariantCulture) : "-";

    private static string Megabytes(double? bytes) => bytes is { } value ? (value / Megabyte).ToString("F2", CultureInfo.InvariantCulture) : "-";
}
