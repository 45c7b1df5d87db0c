using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Estimators;
using BayesNet.Estimators.Gradients;
using BayesNet.Reparameterization;
using ScottPlot;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Families;

/// <summary>The variance of an antithetic pair against plain draws, f = z^3 under a normal, over s/mu.</summary>
internal static class AntitheticPairs
{
    private const double Mean = 1;

    private sealed record Row(
        double Ratio, string Gradient, double EqualDraws, double EqualDrawsError, double EqualDrawsExact, double EqualCost, double EqualCostError, double EqualCostExact);

    public static void Write(ReportDocument document, ReportOptions options)
    {
        int repetitions = options.Short ? 20_000 : 400_000;
        double[] ratios = [.. Enumerable.Range(0, 13).Select(i => Math.Pow(10, -1 + i / 6.0))];
        var rows = new List<Row>();
        using var noise = new NoiseSource(options.Seed);
        foreach (double ratio in ratios)
        {
            using var scope = NewDisposeScope();
            var q = new NormalDistribution(tensor(Mean, dtype: ScalarType.Float64), tensor(ratio * Mean, dtype: ScalarType.Float64));
            GradientStatistics pair = Run(new PathwiseEstimator(antithetic: true), 2), one = Run(new PathwiseEstimator(), 1), two = Run(new PathwiseEstimator(), 2);
            for (int parameter = 0; parameter < 2; parameter++)
            {
                (double draws, double drawsError) = Quotient(pair.Parameters[parameter], one.Parameters[parameter]);
                (double cost, double costError) = Quotient(pair.Parameters[parameter], two.Parameters[parameter]);
                double exact = Exact(ratio * ratio, parameter);
                rows.Add(new Row(ratio, parameter == 0 ? "location" : "scale", draws, drawsError, exact, cost, costError, 2 * exact));
            }

            GradientStatistics Run(PathwiseEstimator estimator, int samples) => GradientStatistics.Measure(estimator, q, z => z.pow(3), noise, repetitions, samples);
        }

        document.Section("Antithetic pairs: where they gain and where they lose");
        document.Paragraph(string.Create(
            CultureInfo.InvariantCulture,
            $"f(z) = z³, z = μ + s ε normal; the variance of one antithetic pair's gradient over that of plain draws. Against one plain draw the pair uses the same noise and twice the evaluations of f (equal draws); against the mean of two it costs the same (equal cost). In closed form the location's quotients are s²/(2μ² + s²) and twice that, so that at equal cost the pair loses once s > √2 μ; the scale's are 8μ²s²/(μ⁴ + 14μ²s² + 15s⁴) and twice that, which stays below 1. {repetitions:N0} repetitions a point."));
        document.Figure(
            "antithetic-pairs", Plot(rows),
            "Variance of an antithetic pair over that of plain draws; below 1 the pair gains. Points: measured, with bars of two standard errors where they exceed the marks; lines: closed form. Shaded: s > √2 μ, where the pair loses in the location at equal cost.");
        document.Table("antithetic_pairs", rows,
            ("s/μ", row => row.Ratio.ToString("F3", CultureInfo.InvariantCulture)),
            ("gradient", row => row.Gradient),
            ("equal draws, measured", row => Cell(row.EqualDraws, row.EqualDrawsError)),
            ("exact", row => row.EqualDrawsExact.ToString("F4", CultureInfo.InvariantCulture)),
            ("equal cost, measured", row => Cell(row.EqualCost, row.EqualCostError)),
            ("exact", row => row.EqualCostExact.ToString("F4", CultureInfo.InvariantCulture)),
            ("at equal cost", row => row.EqualCostExact < 1 ? "gains" : "loses"));
        double worst = rows.Max(row => Math.Max(
            Math.Abs(row.EqualDraws - row.EqualDrawsExact) / row.EqualDrawsError, Math.Abs(row.EqualCost - row.EqualCostExact) / row.EqualCostError));
        document.Paragraph(string.Create(
            CultureInfo.InvariantCulture, $"The largest of the {2 * rows.Count} differences from the closed form is {worst:F1} standard errors. Numbers after ± are standard errors."));
        Row low = rows.First(row => row.Gradient == "location"), high = rows.Last(row => row.Gradient == "location");
        document.Finding(string.Create(
            CultureInfo.InvariantCulture,
            $"Antithetic pairs under f(z) = z³ at equal cost: {low.EqualCost:F3} of the variance of plain draws at s/μ = {low.Ratio:G3}, {high.EqualCost:F2} at {high.Ratio:G3}; they gain in the location below s = √2 μ and lose above."));
    }

    private static Figure Plot(List<Row> rows)
    {
        var figure = new Figure(2);
        double edge = Math.Log10(Math.Sqrt(2));
        for (int panel = 0; panel < 2; panel++)
        {
            string gradient = panel == 0 ? "location" : "scale";
            Plot plot = figure[panel];
            figure.Label(panel, $"Gradient in the {gradient}", "s / μ", panel == 0 ? "variance of a pair / of plain draws" : "");
            if (panel == 0)
            {
                ScottPlot.Plottables.HorizontalSpan span = plot.Add.HorizontalSpan(edge, 1.05);
                span.FillStyle.Color = Figure.Colors[0].WithAlpha(0.1);
                span.LineStyle.Width = 0;
            }

            double[] x = [.. Enumerable.Range(0, 101).Select(i => -1 + i / 50.0)];
            double[] exact = [.. x.Select(log => Exact(Math.Pow(10, 2 * log), panel))];
            Figure.Line(plot, [-1.05, 1.05], [0, 0], Figure.Ink, 1, LinePattern.Dashed);
            Figure.Line(plot, x, [.. exact.Select(Math.Log10)], Figure.Colors[3]);
            Figure.Line(plot, x, [.. exact.Select(value => Math.Log10(2 * value))], Figure.Colors[0]);
            Row[] measured = [.. rows.Where(row => row.Gradient == gradient)];
            Points(plot, measured, row => (row.EqualDraws, row.EqualDrawsError), Figure.Colors[3], "equal draws");
            Points(plot, measured, row => (row.EqualCost, row.EqualCostError), Figure.Colors[0], "equal cost");
            plot.Axes.SetLimitsX(-1.05, 1.05);
            plot.ShowLegend(panel == 0 ? Alignment.LowerRight : Alignment.LowerCenter);
        }

        return figure;
    }

    private static void Points(Plot plot, Row[] rows, Func<Row, (double Value, double Error)> of, Color color, string legend)
    {
        double[] x = [.. rows.Select(row => Math.Log10(row.Ratio))], y = [.. rows.Select(row => Math.Log10(of(row).Value))];
        double[] bars = [.. rows.Select(row => 2 * of(row).Error / of(row).Value / Math.Log(10))];
        ScottPlot.Plottables.ErrorBar errors = plot.Add.ErrorBar(x, y, bars);
        errors.Color = color;
        Figure.Line(plot, x, y, color, 0, legend: legend, marker: 6);
    }

    // Quotients of variances at equal draws, by u = s^2 / mu^2.
    private static double Exact(double u, int parameter) => parameter == 0 ? u / (2 + u) : 8 * u / (1 + 14 * u + 15 * u * u);

    private static (double Value, double Error) Quotient(GradientMoments over, GradientMoments under)
    {
        double a = over.Variance.item<double>(), b = under.Variance.item<double>();
        double relative = Math.Sqrt(Math.Pow(over.VarianceStandardError.item<double>() / a, 2) + Math.Pow(under.VarianceStandardError.item<double>() / b, 2));
        return (a / b, a / b * relative);
    }

    private static string Cell(double value, double error) => string.Create(CultureInfo.InvariantCulture, $"{value:F4} ± {error:F4}");
}
