using System.Globalization;
using BayesNet.Prediction;
using ScottPlot;
using ScottPlot.Plottables;
using static TorchSharp.torch;

namespace BayesNet.Plotting;

/// <summary>Fan charts: the predictive median with central intervals of several levels along one axis, time or an input.</summary>
public static class FanChart
{
    private static readonly double[] DefaultLevels = [0.5, 0.8, 0.95];

    /// <summary>Draws the fan of a predictive whose rows belong to ascending positions.</summary>
    /// <param name="predictive">Of as many rows as there are positions, with its samples.</param>
    /// <param name="x">Where the rows lie; drawn in ascending order.</param>
    /// <param name="observed">Points to be drawn over it; null for none.</param>
    /// <param name="levels">Levels of the central intervals, each strictly between 0 and 1; null for 50, 80 and 95 %.</param>
    /// <param name="output">Which output, where the model has several.</param>
    /// <param name="xLabel">The label below.</param>
    /// <param name="yLabel">The label on the left.</param>
    /// <returns>A plot to add to, save or show; the caller's to dispose.</returns>
    /// <exception cref="ArgumentException">The numbers of rows and positions differ, or the predictive is not of (batch, outputs).</exception>
    /// <exception cref="ArgumentOutOfRangeException">A level is not strictly between 0 and 1, or there is no such output.</exception>
    /// <exception cref="InvalidOperationException">The samples were not kept.</exception>
    public static Plot ToFanChart(
        this Predictive predictive,
        IReadOnlyList<double> x,
        IReadOnlyList<(double X, double Y)>? observed = null,
        IReadOnlyList<double>? levels = null,
        int output = 0,
        string xLabel = "x",
        string yLabel = "y")
    {
        ArgumentNullException.ThrowIfNull(predictive);
        ArgumentNullException.ThrowIfNull(x);
        if (predictive.Mean.dim() != 2 || predictive.Mean.size(0) != x.Count)
        {
            throw new ArgumentException(
                $"The predictive's mean has shape [{string.Join(", ", predictive.Mean.shape)}] and there are {x.Count} positions; it must be (positions, outputs).",
                nameof(predictive));
        }

        ArgumentOutOfRangeException.ThrowIfNegative(output);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(output, predictive.Mean.size(1));
        int[] order = [.. Enumerable.Range(0, x.Count).OrderBy(row => x[row])];
        double[] positions = [.. order.Select(row => x[row])];
        Plot plot = BayesPlot.NewPlot(xLabel, yLabel);

        // The widest first, so that the others lie on it.
        double[] widest = [.. (levels ?? DefaultLevels).OrderDescending()];
        for (int i = 0; i < widest.Length; i++)
        {
            (Tensor lower, Tensor upper) = predictive.Interval(widest[i]);
            using (lower)
            using (upper)
            {
                plot.Band(
                    positions, Column(lower), Column(upper), BayesPlot.Model.WithAlpha(0.18 + 0.12 * i), string.Create(CultureInfo.InvariantCulture, $"{100 * widest[i]:0.##} %"));
            }
        }

        using Tensor middle = predictive.Quantile(0.5);
        Scatter median = plot.Add.ScatterLine(positions, Column(middle), BayesPlot.Model);
        (median.LineWidth, median.LegendText) = (2, "median");
        if (observed is { Count: > 0 })
        {
            double[] xs = [.. observed.Select(point => point.X)], ys = [.. observed.Select(point => point.Y)];
            plot.Add.Markers(xs, ys, MarkerShape.FilledCircle, 4, BayesPlot.Data).LegendText = "observed";
        }

        if (positions.Length > 1)
            plot.Axes.SetLimitsX(positions[0], positions[^1]);
        plot.LegendAbove();
        return plot;

        double[] Column(Tensor values)
        {
            using var scope = NewDisposeScope();
            double[] column = values.select(1, output).to(ScalarType.Float64).cpu().contiguous().data<double>().ToArray();
            return [.. order.Select(row => column[row])];
        }
    }

    /// <summary>Saves <see cref="ToFanChart"/> as a PNG.</summary>
    /// <param name="predictive">Of as many rows as there are positions, with its samples.</param>
    /// <param name="path">The file; replaced where it exists.</param>
    /// <param name="x">Where the rows lie.</param>
    /// <param name="observed">Points to be drawn over it; null for none.</param>
    /// <exception cref="ArgumentException"><paramref name="path"/> is empty, or as for <see cref="ToFanChart"/>.</exception>
    public static void SaveFanChart(this Predictive predictive, string path, IReadOnlyList<double> x, IReadOnlyList<(double X, double Y)>? observed = null)
        => predictive.ToFanChart(x, observed).SaveAndDispose(path);
}
