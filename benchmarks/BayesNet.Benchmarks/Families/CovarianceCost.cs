using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Estimators;
using BayesNet.Reparameterization;
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
        long Size, double LowRankSeconds, double? FullSeconds, double LowRankParameterBytes, double? FullParameterBytes, long? LowRankPeakBytes, long? FullPeakBytes);

    public static void Write(ReportDocument document, ReportOptions options)
    {
        long[] sizes = options.Quick ? [256, 512, 1024, 2048] : [256, 512, 1024, 2048, 4096, 8192, 16384];
        var rows = new List<Row>();
        using var noise = new NoiseSource(options.Seed);
        foreach (long d in sizes)
        {
            using var scope = NewDisposeScope();
            Tensor[] low = [Leaf(zeros(d)), Leaf(ones(d)), Leaf(randn(d, Rank) * 0.1)];
            Tensor[]? full = d <= LargestFull ? [Leaf(zeros(d)), Leaf(randn(d, d) * (0.1 / Math.Sqrt(d)))] : null;
            Action lowStep = () => Step(() => new LowRankGaussianDistribution(low[0], low[1].exp(), low[2]), low, noise);
            Action? fullStep = full is null ? null : () => Step(() => new CholeskyGaussianDistribution(full[0], full[1]), full, noise);
            double[] seconds = Measure.Medians(options.Quick ? 1 : 8, 60, fullStep is null ? [lowStep] : [lowStep, fullStep]);
            rows.Add(new Row(
                d, seconds[0], fullStep is null ? null : seconds[1], Bytes(low), full is null ? null : Bytes(full),
                Measure.PeakGrowth(lowStep), fullStep is null ? null : Measure.PeakGrowth(fullStep)));
        }

        Row[] lowTail = [.. rows.TakeLast(3)], fullTail = [.. rows.Where(row => row.FullSeconds is not null).TakeLast(3)];
        double lowSlope = Measure.LogSlope([.. lowTail.Select(row => (double)row.Size)], [.. lowTail.Select(row => row.LowRankSeconds)]);
        double fullSlope = Measure.LogSlope([.. fullTail.Select(row => (double)row.Size)], [.. fullTail.Select(row => row.FullSeconds!.Value)]);
        double lowMemory = Measure.LogSlope([.. rows.Select(row => (double)row.Size)], [.. rows.Select(row => row.LowRankParameterBytes)]);
        Row[] fullRows = [.. rows.Where(row => row.FullParameterBytes is not null)];
        double fullMemory = Measure.LogSlope([.. fullRows.Select(row => (double)row.Size)], [.. fullRows.Select(row => row.FullParameterBytes!.Value)]);

        document.Section("Low rank plus diagonal against full covariance");
        document.Paragraph(string.Create(
            CultureInfo.InvariantCulture,
            $"One step: the distribution built and its parameters checked, one draw, its log density, backward to all parameters; float32, one event of d entries, rank {Rank}. Medians of runs taken in turns after warming up. Parameters: bytes of the tensors. Peak: growth of the process's resident memory during a step, allocator's free memory given back beforehand; below 1 MB it says nothing. The full covariance stops at d = {LargestFull:N0}."));
        document.Figure("covariance-cost", Plot(rows), "Median time of a step and peak memory growth against the number of entries. Dotted: slopes of 1 and 2, through the last point of each family.");
        document.Table("covariance_cost", rows,
            ("d", row => row.Size.ToString("N0", CultureInfo.InvariantCulture)),
            ("low rank, ms", row => Milliseconds(row.LowRankSeconds)),
            ("full, ms", row => Milliseconds(row.FullSeconds)),
            ("full / low rank", row => row.FullSeconds is { } full ? (full / row.LowRankSeconds).ToString("F1", CultureInfo.InvariantCulture) : "-"),
            ("GPU", _ => "not measured"),
            ("low rank, parameters MB", row => Megabytes(row.LowRankParameterBytes)),
            ("full, parameters MB", row => Megabytes(row.FullParameterBytes)),
            ("low rank, peak MB", row => Megabytes(row.LowRankPeakBytes)),
            ("full, peak MB", row => Megabytes(row.FullPeakBytes)));
        document.Paragraph(string.Create(
            CultureInfo.InvariantCulture,
            $"Fitted exponents. Time: low rank d^{lowSlope:F2} over d = {lowTail[0].Size:N0} to {lowTail[^1].Size:N0} (below, the cost of the calls hides the growth), full d^{fullSlope:F2} over d = {fullTail[0].Size:N0} to {fullTail[^1].Size:N0}. Parameters: d^{lowMemory:F2} and d^{fullMemory:F2}, over all d. Expected: O(dr) and O(d²); an exponent of time can exceed them where the working set leaves a cache."));
        document.Data("covariance_cost_slopes", new { LowRankTime = lowSlope, FullTime = fullSlope, LowRankParameters = lowMemory, FullParameters = fullMemory });
    }

    private static void Step(Func<ReparameterizedDistribution> distribution, Tensor[] leaves, NoiseSource noise)
    {
        using var scope = NewDisposeScope();
        foreach (Tensor leaf in leaves)
            leaf.grad = null;
        ReparameterizedDistribution q = distribution();
        q.LogDensity(q.Sample(noise)).backward();
    }

    private static Tensor Leaf(Tensor value) => value.detach().clone().requires_grad_(true);

    private static double Bytes(Tensor[] tensors) => tensors.Sum(tensor => tensor.numel() * tensor.element_size());

    private static Figure Plot(List<Row> rows)
    {
        var figure = new Figure(2);
        double[] sizes = [.. rows.Select(row => (double)row.Size)];
        figure.Label(0, "Time of a step", "d", "milliseconds", sizes);
        figure.Label(1, "Peak memory growth in a step", "d", "megabytes", sizes);
        Curve(0, row => 1000 * row.LowRankSeconds, Figure.Colors[3], "low rank plus diagonal, r = 10", 1);
        Curve(0, row => 1000 * row.FullSeconds, Figure.Colors[0], "full (Cholesky)", 2);
        Curve(1, row => row.LowRankPeakBytes / Megabyte, Figure.Colors[3], "low rank plus diagonal, r = 10", 1);
        Curve(1, row => row.FullPeakBytes / Megabyte, Figure.Colors[0], "full (Cholesky)", 2);
        foreach (Plot plot in new[] { figure[0], figure[1] })
            plot.ShowLegend(Alignment.UpperLeft);
        return figure;

        void Curve(int panel, Func<Row, double?> value, Color color, string legend, int slope)
        {
            (double X, double Y)[] points =
                [.. rows.Where(row => value(row) is >= 0.01).Select(row => (Math.Log10(row.Size), Math.Log10(value(row)!.Value)))];
            if (points.Length == 0)
                return;
            (double x, double y) = points[^1];
            double start = Math.Log10(rows[0].Size);
            Figure.Line(figure[panel], [start, x], [y - slope * (x - start), y], color, 1, LinePattern.Dotted);
            Figure.Line(figure[panel], [.. points.Select(point => point.X)], [.. points.Select(point => point.Y)], color, 1.5f, legend: legend, marker: 6);
        }
    }

    private static string Milliseconds(double? seconds) => seconds is { } value ? (1000 * value).ToString("G3", CultureInfo.InvariantCulture) : "-";

    private static string Megabytes(double? bytes) => bytes is { } value ? (value / Megabyte).ToString("F2", CultureInfo.InvariantCulture) : "-";
}
