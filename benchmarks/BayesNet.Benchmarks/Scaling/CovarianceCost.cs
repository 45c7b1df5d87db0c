using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Runtime;
using ScottPlot;

namespace BayesNet.Benchmarks.Scaling;

/// <summary>Time and memory of mean field, low rank plus diagonal, and full covariance against the number of entries.</summary>
internal static class CovarianceCost
{
    private const int Rank = 10;
    private const long LargestFull = 4096;
    private const string MeanField = "mean field", LowRank = "low rank", Full = "full";

    private static readonly (string Family, Color Color, int Slope)[] Families =
        [(MeanField, Figure.Colors[2], 1), (LowRank, Figure.Colors[3], 1), (Full, Figure.Colors[0], 2)];

    private sealed record Row(
        long Size, string Family, double SampleSeconds, double KlSeconds, double StepSeconds, double ParameterBytes, long? PeakBytes)
    {
        /// <summary>A step with an allocator that keeps freed memory.</summary>
        public double? StepSecondsMemoryKept { get; set; }
    }

    public static void Write(ReportDocument document, ReportOptions options)
    {
        long[] sizes = options.Short ? [256, 512, 1024] : [256, 512, 1024, 2048, 4096, 8192, 16384, 65536, 262144];
        double budget = options.Short ? 0.5 : 4;
        var rows = new List<Row>();
        foreach (long size in sizes)
        {
            (string Family, PosteriorCost Cost)[] costs = [.. Families.Where(family => family.Family != Full || size <= LargestFull).Select(family => (family.Family, Create(family.Family, size, options.Seed)))];
            double[] seconds = Measure.Medians(budget, 60, [.. costs.SelectMany(entry => new Action[] { entry.Cost.Sample, entry.Cost.Divergence, entry.Cost.Step })]);
            for (int i = 0; i < costs.Length; i++)
            {
                (string family, PosteriorCost cost) = costs[i];
                rows.Add(new Row(size, family, seconds[3 * i], seconds[3 * i + 1], seconds[3 * i + 2], cost.ParameterBytes, Measure.PeakGrowth(cost.Step)));
                cost.Dispose();
            }
        }

        foreach (Row row in MemoryAllocation.KeepFreedMemory() ? rows.Where(row => row.Family == Full) : [])
        {
            using PosteriorCost cost = Create(row.Family, row.Size, options.Seed);
            row.StepSecondsMemoryKept = Measure.Medians(budget / 2, 60, cost.Step)[0];
        }

        document.Section("Mean field, low rank plus diagonal, full covariance");
        document.Paragraph(string.Create(
            CultureInfo.InvariantCulture,
            $"One group of d weights, float32, rank {Rank}. Sample: one draw. KL: its value against N(0, 1) and its gradient. Step: a draw, the KL divergence, and backward through both. Medians of runs taken in turns after warming up. Peak: growth of the process's resident memory during a step, the allocator's free memory given back beforehand; below 1 MB it says little. Memory kept: with an allocator that does not return freed blocks to the kernel (MemoryAllocation.KeepFreedMemory); otherwise each large tensor is made of fresh pages. The full covariance stops at d = {LargestFull:N0}."));
        document.Figure("covariance-cost", Plot(rows), "Median times and peak memory growth against the number of entries. Dotted: slopes of 1 (mean field, low rank) and 2 (full), through the last point of each.");
        document.Table("covariance_cost", rows,
            ("d", row => row.Size.ToString("N0", CultureInfo.InvariantCulture)),
            ("family", row => row.Family),
            ("sample, ms", row => Texts.Milliseconds(row.SampleSeconds)),
            ("KL, ms", row => Texts.Milliseconds(row.KlSeconds)),
            ("step, ms", row => Texts.Milliseconds(row.StepSeconds)),
            ("step, memory kept, ms", row => Texts.Milliseconds(row.StepSecondsMemoryKept)),
            ("step over mean field's", row => (row.StepSeconds / Of(MeanField, row.Size).StepSeconds).ToString("F1", CultureInfo.InvariantCulture)),
            ("GPU", _ => "not measured"),
            ("parameters, MB", row => Texts.Megabytes(row.ParameterBytes)),
            ("peak, MB", row => Texts.Megabytes(row.PeakBytes)));

        var slopes = Families.Select(family =>
        {
            Row[] own = [.. rows.Where(row => row.Family == family.Family)], tail = [.. own.TakeLast(3)];
            return new
            {
                family.Family,
                From = tail[0].Size,
                To = tail[^1].Size,
                Time = Slope(tail, row => row.StepSeconds),
                TimeMemoryKept = tail.All(row => row.StepSecondsMemoryKept is not null) ? (double?)Slope(tail, row => row.StepSecondsMemoryKept!.Value) : null,
                Parameters = Slope(own, row => row.ParameterBytes),
                Expected = family.Slope,
            };
        }).ToArray();
        document.Paragraph("Fitted exponents of d, time over the three largest sizes (below, the cost of the calls hides the growth):");
        document.Table("covariance_cost_slopes", slopes,
            ("family", slope => slope.Family),
            ("d", slope => string.Create(CultureInfo.InvariantCulture, $"{slope.From:N0} to {slope.To:N0}")),
            ("time of a step", slope => Exponent(slope.Time)),
            ("with memory kept", slope => Exponent(slope.TimeMemoryKept)),
            ("parameters", slope => Exponent(slope.Parameters)),
            ("expected", slope => Exponent(slope.Expected)));
        Row largest = rows.Last(row => row.Family == Full), cheap = Of(LowRank, largest.Size);
        document.Finding(string.Create(
            CultureInfo.InvariantCulture,
            $"At {largest.Size:N0} weights a step of the full covariance takes {largest.StepSeconds / cheap.StepSeconds:F0} times as long as one of rank {Rank}, and {largest.ParameterBytes / cheap.ParameterBytes:F0} times the parameters; rank {Rank} takes {cheap.StepSeconds / Of(MeanField, largest.Size).StepSeconds:F1} times mean field's."));

        Row Of(string family, long size) => rows.First(row => row.Family == family && row.Size == size);
    }

    private static PosteriorCost Create(string family, long size, ulong seed) => new(
        family switch
        {
            MeanField => PosteriorCost.MeanField(size),
            LowRank => PosteriorCost.LowRank(size, Rank),
            _ => PosteriorCost.Full(size),
        },
        seed);

    private static double Slope(IReadOnlyList<Row> rows, Func<Row, double> value)
        => Measure.LogSlope([.. rows.Select(row => (double)row.Size)], [.. rows.Select(value)]);

    private static string Exponent(double? value) => value is { } exponent ? exponent.ToString("F2", CultureInfo.InvariantCulture) : "-";

    private static Figure Plot(List<Row> rows)
    {
        var figure = new Figure(2, 2);
        double[] sizes = [.. rows.Select(row => (double)row.Size).Distinct().Where(size => rows.Count < 12 || Math.Log2(size) % 2 == 0)];
        (string Title, string Unit, Func<Row, double?> Value)[] panels =
        [
            ("One draw", "milliseconds", row => 1000 * row.SampleSeconds),
            ("KL divergence and its gradient", "milliseconds", row => 1000 * row.KlSeconds),
            ("A step", "milliseconds", row => 1000 * row.StepSeconds),
            ("Peak memory growth in a step", "megabytes", row => row.PeakBytes / Texts.Megabyte),
        ];
        for (int i = 0; i < panels.Length; i++)
        {
            figure.Label(i, panels[i].Title, i > 1 ? "d" : "", panels[i].Unit, sizes);
            foreach ((string family, Color color, int slope) in Families)
                Curve(i, family, color, slope, panels[i].Value);
        }

        Curve(2, Full, Figure.Colors[1], null, row => 1000 * row.StepSecondsMemoryKept, "full, memory kept");
        figure[2].ShowLegend(Alignment.LowerRight);
        return figure;

        void Curve(int panel, string family, Color color, int? slope, Func<Row, double?> value, string? legend = null)
        {
            (double X, double Y)[] points =
                [.. rows.Where(row => row.Family == family && value(row) is >= 0.01).Select(row => (Math.Log10(row.Size), Math.Log10(value(row)!.Value)))];
            if (points.Length == 0)
                return;
            if (slope is { } exponent)
            {
                (double x, double y) = points[^1];
                double start = points[0].X;
                Figure.Line(figure[panel], [start, x], [y - exponent * (x - start), y], color, 1, LinePattern.Dotted);
            }

            Figure.Line(figure[panel], [.. points.Select(point => point.X)], [.. points.Select(point => point.Y)], color, legend: panel != 2 ? "" : legend ?? (family == LowRank ? $"low rank, r = {Rank}" : family), marker: 6);
        }
    }
}
