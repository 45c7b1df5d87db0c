using ScottPlot;
using Figure = BayesNet.Benchmarks.Reporting.Figure;

namespace BayesNet.Benchmarks.GradientVariance;

/// <summary>Points with bars and lines of closed forms, on logarithmic axes.</summary>
internal static class Curves
{
    /// <summary>The measured values over their settings, with bars of two standard errors.</summary>
    public static void Points(Plot plot, IReadOnlyList<VarianceRow> rows, Color color, string legend)
    {
        VarianceRow[] shown = [.. rows.Where(row => row.Value > 0)];
        double[] x = [.. shown.Select(row => Math.Log10(row.Setting!.Value))], y = [.. shown.Select(row => Math.Log10(row.Value))];
        ScottPlot.Plottables.ErrorBar bars = plot.Add.ErrorBar(x, y, [.. shown.Select(row => 2 * row.StandardError!.Value / row.Value / Math.Log(10))]);
        bars.Color = color;
        Figure.Line(plot, x, y, color, 0, legend: legend, marker: 6);
    }

    /// <summary>A closed form over log10 of its argument.</summary>
    public static void Exact(Plot plot, double[] x, Func<double, double> value, Color color)
        => Figure.Line(plot, x, [.. x.Select(log => Math.Log10(value(Math.Pow(10, log))))], color);

    /// <summary>Makes a plot reach to a point, so that a legend stands clear of what is drawn.</summary>
    public static void Room(Plot plot, double x, double y) => Figure.Line(plot, [x], [y], ScottPlot.Colors.Transparent, 0, marker: 1);
}
