using System.Globalization;
using BayesNet.Metrics;
using ScottPlot;
using ScottPlot.Plottables;

namespace BayesNet.Plotting;

/// <summary>Plots of calibration and of selective prediction, each by one call.</summary>
public static class ScorePlots
{
    // The half width of a Gaussian's central 95 % interval in standard deviations.
    private const double Gaussian95 = 1.959964;

    /// <summary>
    /// The observed frequency of each bin as a bar with its 95 % sampling error, above the bin's probabilities, against the diagonal of a calibrated
    /// model; the title has the expected calibration error.
    /// </summary>
    /// <param name="diagram">The bins.</param>
    /// <returns>A plot to add to, save or show; the caller's to dispose.</returns>
    public static Plot ToPlot(this ReliabilityDiagram diagram)
    {
        ArgumentNullException.ThrowIfNull(diagram);
        Plot plot = BayesPlot.NewPlot(
            "predicted probability",
            "observed frequency",
            string.Create(CultureInfo.InvariantCulture, $"expected calibration error {diagram.ExpectedCalibrationError:F3}, {diagram.Count:N0} examples"));
        foreach (ReliabilityBin bin in diagram.Bins)
        {
            // A bin of one probability, as equal mass may give, would have no width.
            double width = Math.Max(bin.Upper - bin.Lower, 0.004), middle = (bin.Lower + bin.Upper) / 2;
            Rectangle bar = plot.Add.Rectangle(middle - width / 2, middle + width / 2, 0, bin.Frequency);
            (bar.FillColor, bar.LineColor, bar.LineWidth) = (BayesPlot.Model.WithAlpha(0.35), BayesPlot.Model, 1);
        }

        double[] confidence = [.. diagram.Bins.Select(bin => bin.Confidence)], frequency = [.. diagram.Bins.Select(bin => bin.Frequency)];
        double[] error = [.. diagram.Bins.Select(bin => SamplingError(bin.Frequency, bin.Count))];
        double[] below = [.. frequency.Zip(error, Math.Min)], above = [.. frequency.Zip(error, (share, half) => Math.Min(1 - share, half))];
        plot.Add.Plottable(new ErrorBar(confidence, frequency, null, null, below, above) { Color = BayesPlot.Data, LineWidth = 1, CapSize = 3 });
        plot.Add.Markers(confidence, frequency, MarkerShape.FilledCircle, 5, BayesPlot.Data).LegendText = "mean probability of the bin, 95 % sampling error";
        plot.Diagonal(0, 1, "calibrated");
        plot.Axes.SetLimits(0, 1, 0, 1);
        plot.LegendAbove();
        return plot;
    }

    /// <summary>
    /// The share of targets below the quantile of each level against that level, with the band that 95 in 100 calibrated models stay within at each
    /// level, given as many examples.
    /// </summary>
    /// <param name="calibration">Levels and shares.</param>
    /// <returns>A plot to add to, save or show; the caller's to dispose.</returns>
    public static Plot ToPlot(this QuantileCalibration calibration)
    {
        ArgumentNullException.ThrowIfNull(calibration);
        Plot plot = BayesPlot.NewPlot(
            "level of the quantile",
            "share of targets below it",
            string.Create(CultureInfo.InvariantCulture, $"mean deviation {calibration.AbsoluteError:F3}, {calibration.Count:N0} examples"));
        double[] levels = [.. Enumerable.Range(0, 101).Select(i => i / 100.0)], half = [.. levels.Select(level => SamplingError(level, calibration.Count))];
        plot.Band(
            levels,
            [.. levels.Zip(half, (level, error) => Math.Max(0, level - error))],
            [.. levels.Zip(half, (level, error) => Math.Min(1, level + error))],
            BayesPlot.Data.WithAlpha(0.12),
            "95 % sampling error");
        plot.Diagonal(0, 1, "calibrated");
        Scatter line = plot.Add.Scatter(calibration.Levels.ToArray(), calibration.Frequencies.ToArray(), BayesPlot.Model);
        (line.LineWidth, line.MarkerSize, line.LegendText) = (2, 6, "targets");
        plot.Axes.SetLimits(0, 1, 0, 1);
        plot.LegendAbove();
        return plot;
    }

    /// <summary>The mean loss of the examples that a predictor keeps, against the share of them, of one or several predictors.</summary>
    /// <param name="curves">Curves with their names; a single one may have the empty name.</param>
    /// <returns>A plot to add to, save or show; the caller's to dispose.</returns>
    /// <exception cref="ArgumentException">There is no curve.</exception>
    public static Plot RiskCoverage(params IReadOnlyList<(string Name, RiskCoverageCurve Curve)> curves)
    {
        ArgumentNullException.ThrowIfNull(curves);
        if (curves.Count == 0)
            throw new ArgumentException("There is no curve to draw; give one at least.", nameof(curves));
        Plot plot = BayesPlot.NewPlot("coverage: share of examples kept, surest first", "risk: their mean loss");
        for (int i = 0; i < curves.Count; i++)
        {
            (string name, RiskCoverageCurve curve) = curves[i];
            Scatter line = plot.Add.ScatterLine(curve.Coverages.ToArray(), curve.Risks.ToArray(), BayesPlot.Palette[i % BayesPlot.Palette.Count]);
            string area = string.Create(CultureInfo.InvariantCulture, $"area {curve.Area:G3}");
            (line.LineWidth, line.LegendText) = (2, name.Length == 0 ? area : $"{name}, {area}");
        }

        plot.Axes.SetLimitsX(0, 1);
        plot.Axes.SetLimitsY(0, 1.05 * Math.Max(curves.Max(entry => entry.Curve.Risks.Max()), 1e-12));
        plot.ShowLegend(Alignment.UpperLeft);
        return plot;
    }

    /// <inheritdoc cref="RiskCoverage"/>
    /// <param name="curve">The curve.</param>
    public static Plot ToPlot(this RiskCoverageCurve curve)
    {
        ArgumentNullException.ThrowIfNull(curve);
        return RiskCoverage(("", curve));
    }

    /// <summary>Saves <see cref="ToPlot(ReliabilityDiagram)"/> as a PNG.</summary>
    /// <param name="diagram">The bins.</param>
    /// <param name="path">The file; replaced where it exists.</param>
    /// <exception cref="ArgumentException"><paramref name="path"/> is empty.</exception>
    public static void SavePlot(this ReliabilityDiagram diagram, string path) => diagram.ToPlot().SaveAndDispose(path);

    /// <summary>Saves <see cref="ToPlot(QuantileCalibration)"/> as a PNG.</summary>
    /// <param name="calibration">Levels and shares.</param>
    /// <param name="path">The file; replaced where it exists.</param>
    /// <exception cref="ArgumentException"><paramref name="path"/> is empty.</exception>
    public static void SavePlot(this QuantileCalibration calibration, string path) => calibration.ToPlot().SaveAndDispose(path);

    /// <summary>Saves <see cref="ToPlot(RiskCoverageCurve)"/> as a PNG.</summary>
    /// <param name="curve">The curve.</param>
    /// <param name="path">The file; replaced where it exists.</param>
    /// <exception cref="ArgumentException"><paramref name="path"/> is empty.</exception>
    public static void SavePlot(this RiskCoverageCurve curve, string path) => curve.ToPlot().SaveAndDispose(path);

    // Of a share of as many examples, by the normal approximation.
    private static double SamplingError(double share, int count) => Gaussian95 * Math.Sqrt(share * (1 - share) / count);
}
