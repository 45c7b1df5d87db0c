using BayesNet.Plotting;
using BayesNet.Samples.Regression.Data;
using BayesNet.Samples.Regression.Modelling;
using BayesNet.Samples.Shared;
using ScottPlot;
using ScottPlot.Plottables;

namespace BayesNet.Samples.Regression.Reporting;

/// <summary>
/// For several inputs, two panels on the held-out rows: predicted against observed with 95 % intervals, and the share of targets in the
/// central interval of each level against that level, which lie on the diagonal where the intervals are calibrated.
/// </summary>
internal static class CalibrationFigure
{
    private const int PanelSize = 800;

    public static void Save(string path, FittedModel model, Evaluation evaluation)
    {
        Panels.Save(path, 2, PanelSize, PanelSize, Observed(model.Data.HeldOut, evaluation.Rows), Coverage(model.Data.HeldOut.Rows, ("held-out rows", evaluation)));
    }

    private static Plot Observed(Table heldOut, IReadOnlyList<RowPrediction> predictions)
    {
        Plot plot = BayesPlot.NewPlot($"observed {heldOut.TargetName}", $"predicted {heldOut.TargetName}");
        double[] targets = heldOut.Targets;
        double least = Math.Min(targets.Min(), predictions.Min(p => p.Mean)), most = Math.Max(targets.Max(), predictions.Max(p => p.Mean));
        plot.Diagonal(least, most, "predicted = observed");
        double[] means = [.. predictions.Select(p => p.Mean)];
        double[] below = [.. predictions.Select(p => p.Mean - p.Lower95)], above = [.. predictions.Select(p => p.Upper95 - p.Mean)];
        plot.Add.Plottable(new ErrorBar(targets, means, null, null, below, above) { Color = BayesPlot.Model.WithAlpha(0.35), LineWidth = 1, CapSize = 0 });
        plot.Add.Markers(targets, means, MarkerShape.FilledCircle, 4, BayesPlot.Model).LegendText = "mean and 95 % interval";
        plot.ShowLegend(Alignment.LowerRight);
        return plot;
    }

    /// <summary>The coverage of models on the same held-out rows.</summary>
    public static Plot Coverage(int rows, params IReadOnlyList<(string Name, Evaluation Evaluation)> models)
    {
        Plot plot = BayesPlot.NewPlot("level of the interval", "share of targets in it");
        double[] levels = [.. models[0].Evaluation.Coverage.Select(point => point.Level)];

        // The share of a calibrated model stays within this 95 times in 100, with this number of rows.
        double[] spread = [.. levels.Select(level => 1.96 * Math.Sqrt(level * (1 - level) / rows))];
        plot.Band(
            levels,
            [.. levels.Zip(spread, (level, error) => Math.Max(0, level - error))],
            [.. levels.Zip(spread, (level, error) => Math.Min(1, level + error))],
            BayesPlot.Data.WithAlpha(0.12),
            "sampling error");
        plot.Diagonal(0, 1, "calibrated");
        for (int i = 0; i < models.Count; i++)
        {
            var line = plot.Add.Scatter(levels, [.. models[i].Evaluation.Coverage.Select(point => point.Share)], BayesPlot.Palette[i % BayesPlot.Palette.Count]);
            (line.LineWidth, line.MarkerSize, line.LegendText) = (2, 6, models[i].Name);
        }

        plot.Axes.SetLimits(0, 1, 0, 1);
        plot.ShowLegend(Alignment.LowerRight);
        return plot;
    }
}
