using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using ScottPlot;

namespace BayesNet.Benchmarks.Scaling;

/// <summary>Time and memory of low rank plus diagonal against the rank.</summary>
internal static class RankCost
{
    private sealed record Row(int Rank, double SampleSeconds, double KlSeconds, double StepSeconds, double ParameterBytes, long? PeakBytes);

    public static void Write(ReportDocument document, ReportOptions options)
    {
        long size = options.Short ? 4096 : 16384;
        int[] ranks = options.Short ? [1, 4, 16, 64] : [1, 2, 4, 8, 16, 32, 64, 128, 256];
        double budget = options.Short ? 0.5 : 3;
        using var meanField = new PosteriorCost(PosteriorCost.MeanField(size), options.Seed);
        double[] reference = Measure.Medians(budget, 200, meanField.Sample, meanField.Divergence, meanField.Step);
        var rows = new List<Row>();
        foreach (int rank in ranks)
        {
            using var cost = new PosteriorCost(PosteriorCost.LowRank(size, rank), options.Seed);
            double[] seconds = Measure.Medians(budget, 200, cost.Sample, cost.Divergence, cost.Step);
            rows.Add(new Row(rank, seconds[0], seconds[1], seconds[2], cost.ParameterBytes, Measure.PeakGrowth(cost.Step)));
        }

        document.Section("Rank against time");
        document.Paragraph(string.Create(
            CultureInfo.InvariantCulture,
            $"Low rank plus diagonal over one group of d = {size:N0} weights, measured as above; a draw costs O(d r), the KL divergence O(d r² + r³) by way of the r x r capacitance matrix. Mean field takes {Texts.Milliseconds(reference[0])} ms a draw, {Texts.Milliseconds(reference[1])} for the KL divergence and {Texts.Milliseconds(reference[2])} a step."));
        document.Figure("rank-cost", Plot(rows, reference), string.Create(CultureInfo.InvariantCulture, $"Median times against the rank, d = {size:N0}. Dashed: mean field. Dotted: slope of 1 through the last point of a step."));
        document.Table("rank_cost", rows,
            ("rank", row => row.Rank.ToString(CultureInfo.InvariantCulture)),
            ("sample, ms", row => Texts.Milliseconds(row.SampleSeconds)),
            ("KL, ms", row => Texts.Milliseconds(row.KlSeconds)),
            ("step, ms", row => Texts.Milliseconds(row.StepSeconds)),
            ("step over mean field's", row => (row.StepSeconds / reference[2]).ToString("F1", CultureInfo.InvariantCulture)),
            ("GPU", _ => "not measured"),
            ("parameters, MB", row => Texts.Megabytes(row.ParameterBytes)),
            ("peak, MB", row => Texts.Megabytes(row.PeakBytes)));
        Row[] tail = [.. rows.TakeLast(3)];
        double slope = Measure.LogSlope([.. tail.Select(row => (double)row.Rank)], [.. tail.Select(row => row.StepSeconds)]);
        document.Paragraph(string.Create(CultureInfo.InvariantCulture, $"Time of a step over ranks {tail[0].Rank} to {tail[^1].Rank}: r^{slope:F2}."));
        document.Data("rank_cost_slope", new { Step = slope });
        document.Finding(string.Create(
            CultureInfo.InvariantCulture,
            $"At {size:N0} weights a step costs {rows[0].StepSeconds / reference[2]:F1} times mean field's at rank 1 and {rows[^1].StepSeconds / reference[2]:F0} times at rank {rows[^1].Rank}; it grows as r^{slope:F2} there."));
    }

    private static Figure Plot(List<Row> rows, double[] reference)
    {
        var figure = new Figure(1, 1, 520, 360);
        double[] ranks = [.. rows.Select(row => (double)row.Rank)], x = [.. ranks.Select(Math.Log10)];
        figure.Label(0, "Time against rank", "rank", "milliseconds", ranks);
        (string Name, Color Color, Func<Row, double> Value)[] curves =
        [
            ("step", Figure.Colors[0], row => row.StepSeconds), ("KL and its gradient", Figure.Colors[3], row => row.KlSeconds), ("draw", Figure.Colors[2], row => row.SampleSeconds),
        ];
        double[] floors = [reference[2], reference[1], reference[0]];
        for (int i = 0; i < curves.Length; i++)
        {
            (string name, Color color, Func<Row, double> value) = curves[i];
            double[] y = [.. rows.Select(row => Math.Log10(1000 * value(row)))];
            double floor = Math.Log10(1000 * floors[i]);
            Figure.Line(figure[0], x, y, color, legend: name, marker: 6);
            Figure.Line(figure[0], [x[0], x[^1]], [floor, floor], color, 1, LinePattern.Dashed);
            if (i == 0)
                Figure.Line(figure[0], [x[0], x[^1]], [y[^1] - (x[^1] - x[0]), y[^1]], color, 1, LinePattern.Dotted);
        }

        figure[0].ShowLegend(Alignment.UpperLeft);
        return figure;
    }
}
