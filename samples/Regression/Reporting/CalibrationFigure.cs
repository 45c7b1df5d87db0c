using BayesNet.Plotting;
using BayesNet.Samples.Regression.Data;
using BayesNet.Samples.Regression.Modelling;
using ScottPlot;
using ScottPlot.Plottables;
using SkiaSharp;

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
        // A multiplot of ScottPlot's would scale the place of the second panel with its lines and letters, and lose it.
        using SKSurface surface = SKSurface.Create(new SKImageInfo(2 * PanelSize, PanelSize));
        surface.Canvas.Clear(SKColors.White);
        Draw(Observed(model.Data.HeldOut, evaluation.Rows), 0);
        Draw(Coverage(evaluation, model.Data.HeldOut.Rows), PanelSize);
        using SKImage image = surface.Snapshot();
        using SKData png = image.Encode(SKEncodedImageFormat.Png, quality: 100);
        using FileStream file = File.Create(path);
        png.SaveTo(file);

        void Draw(Plot plot, int left)
        {
            using (plot)
            using (SKBitmap panel = SKBitmap.Decode(plot.GetImageBytes(PanelSize, PanelSize)))
                surface.Canvas.DrawBitmap(panel, left, 0);
        }
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

    private static Plot Coverage(Evaluation evaluation, int rows)
    {
        Plot plot = BayesPlot.NewPlot("level of the interval", "share of targets in it");
        double[] levels = [.. evaluation.Coverage.Select(point => point.Level)];

        // The share of a calibrated model stays within this 95 times in 100, with this number of rows.
        double[] spread = [.. levels.Select(level => 1.96 * Math.Sqrt(level * (1 - level) / rows))];
        plot.Band(
            levels,
            [.. levels.Zip(spread, (level, error) => Math.Max(0, level - error))],
            [.. levels.Zip(spread, (level, error) => Math.Min(1, level + error))],
            BayesPlot.Data.WithAlpha(0.12),
            "sampling error");
        plot.Diagonal(0, 1, "calibrated");
        var line = plot.Add.Scatter(levels, [.. evaluation.Coverage.Select(point => point.Share)], BayesPlot.Model);
        (line.LineWidth, line.MarkerSize, line.LegendText) = (2, 6, "held-out rows");
        plot.Axes.SetLimits(0, 1, 0, 1);
        plot.ShowLegend(Alignment.LowerRight);
        return plot;
    }
}
