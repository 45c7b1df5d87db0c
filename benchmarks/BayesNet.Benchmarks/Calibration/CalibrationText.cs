using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Plotting;
using ScottPlot;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Calibration;

/// <summary>The tables and plots of the <c>calibration</c> report.</summary>
internal static class CalibrationText
{
    public static void Write(ReportDocument document, IReadOnlyList<CalibrationRow> rows, int training, int epochs, Tensor test, Tensor[] outside)
    {
        document.Paragraph(
            $"LeNet-5 (ReLU, max pooling) on the 10,000 MNIST test images, of which the first 8,000 rows are the training part, as the 60,000 training images are not "
            + $"used: {training:N0} rows to train on, rows 7,200 to 7,999 to fit temperatures, rows 8,000 to 9,999 to test. Adam at 1e-3, batches of 128, {epochs} epochs (VI and MC "
            + $"dropout {2 * epochs}, Langevin dynamics {4 * epochs}), prior standard deviation 0.2 of every weight; {rows.Max(row => row.Samples)} posterior samples where a method has "
            + "so many. Images outside: the test digits turned by 90 degrees, pixels of uniform noise, and letters drawn by the program (A E F H K M N R T W X Y). "
            + "AUROC: the probability that such an image, or a misclassified digit, has the greater predictive entropy than a digit of the test part, or one that is classified right. "
            + $"The rows were measured at commit {string.Join(", ", rows.Select(row => row.Identity.Commit).Distinct())}.");
        CalibrationRow best = rows.MinBy(row => row.NegativeLogLikelihood)!, single = rows.FirstOrDefault(row => row.Samples == 1) ?? best;
        document.Finding(
            $"Best log likelihood: {best.Method}, {Number(best.NegativeLogLikelihood, "F4")} nats an image lost against {Number(single.NegativeLogLikelihood, "F4")} of {single.Method}; "
            + $"least calibration error: {rows.MinBy(row => row.CalibrationError)!.Method} ({Percent(rows.Min(row => row.CalibrationError))} %).");
        document.Finding(
            $"Letters are told from digits best by {rows.MaxBy(row => row.AurocLetters)!.Method} (AUROC {Number(rows.Max(row => row.AurocLetters), "F3")}), turned digits by "
            + $"{rows.MaxBy(row => row.AurocRotated)!.Method} ({Number(rows.Max(row => row.AurocRotated), "F3")}), noise by {rows.MaxBy(row => row.AurocNoise)!.Method} "
            + $"({Number(rows.Max(row => row.AurocNoise), "F3")}).");
        document.Section("On test digits");
        document.Table(
            "rows",
            rows,
            ("method", row => row.Method),
            ("samples", row => Number(row.Samples, "N0")),
            ("accuracy, %", row => Percent(row.Accuracy)),
            ("NLL", row => Number(row.NegativeLogLikelihood, "F4")),
            ("ECE, %", row => Percent(row.CalibrationError)),
            ("Brier", row => Number(row.BrierScore, "F4")),
            ("AUROC errors", row => Number(row.AurocErrors, "F3")),
            ("risk-coverage area, %", row => Number(100 * row.RiskCoverageArea, "F3")),
            ("fit, s", row => Number(row.FitSeconds, "F0")),
            ("predict, s", row => Number(row.PredictSeconds, "F1")));
        double accuracy = rows.Max(row => row.Accuracy);
        document.Paragraph(
            $"With {test.size(0):N0} test images the best accuracy has a standard error of {Percent(Math.Sqrt(accuracy * (1 - accuracy) / test.size(0)))} points, from the images alone. Published for LeNet-5 trained on 60,000 images "
            + "(google/uncertainty-baselines; NLL, accuracy, ECE): deterministic .037, 99.1 %; VI .048, 98.5 %, 1.0 %; ensemble of ten .016, 99.4 %, 0.5 %. These had more than eight "
            + "times the training images and the official test part, so the figures here are not to be held against them one by one.");
        document.Section("After temperature scaling");
        document.Table(
            null,
            rows,
            ("method", row => row.Method),
            ("temperature", row => Number(row.Temperature, "F3")),
            ("NLL", row => Number(row.NegativeLogLikelihoodAfter, "F4")),
            ("ECE, %", row => Percent(row.CalibrationErrorAfter)));
        document.Section("Images that are no upright digits");
        document.Table(
            null,
            rows,
            ("method", row => row.Method),
            ("turned", row => Auroc(row.AurocRotated, row, 0)),
            ("noise", row => Auroc(row.AurocNoise, row, 1)),
            ("letters", row => Auroc(row.AurocLetters, row, 2)));
        document.Paragraph("AUROC by predictive entropy, and in brackets by mutual information, the epistemic part, where a method has one.");
        document.Figure("calibration-images", Images(test, outside), "Digits of the test part, the same turned, noise, drawn letters.");
        document.Figure("calibration-curves", Curves(rows), "Left: accuracy against confidence in 15 bins of equal mass, on logarithmic scales of what is missing to 1. Right: share of errors among the images kept, surest first.");
    }

    private static Figure Curves(IReadOnlyList<CalibrationRow> rows)
    {
        var figure = new Figure(2, 1, 460, 400);
        figure.Label(0, "Reliability", "1 - confidence", "1 - accuracy");
        figure.Linear(1);
        figure.Label(1, "Risk and coverage", "coverage, %", "errors among them, %");
        const double Least = 2e-4;
        Figure.Line(figure[0], [Math.Log10(Least), 0], [Math.Log10(Least), 0], Figure.Ink, 1, LinePattern.Dashed);
        for (int i = 0; i < rows.Count; i++)
        {
            Color color = BayesPlot.Palette[i % BayesPlot.Palette.Count];
            LinePattern pattern = i < BayesPlot.Palette.Count ? LinePattern.Solid : LinePattern.Dashed;

            // A bin without an error has no logarithm; it stands at the lower edge.
            Figure.Line(
                figure[0],
                [.. rows[i].Confidences.Select(confidence => Math.Log10(Math.Max(1 - confidence, Least)))],
                [.. rows[i].Accuracies.Select(accuracy => Math.Log10(Math.Max(1 - accuracy, Least)))],
                color,
                pattern: pattern,
                marker: 4);
            Figure.Line(figure[1], [.. Enumerable.Range(1, 100).Select(percent => (double)percent)], [.. rows[i].Risks.Select(risk => 100 * risk)], color, pattern: pattern, legend: rows[i].Method);
        }

        figure[1].ShowLegend(Alignment.UpperLeft);
        return figure;
    }

    private static Figure Images(Tensor test, Tensor[] outside)
    {
        const int Columns = 12;
        var figure = new Figure(1, 1, 640, 230);
        Plot plot = figure[0];
        using var scope = NewDisposeScope();
        Tensor grid = cat([.. outside.Prepend(test).Select(images => cat([.. images.narrow(0, 0, Columns).unbind(0).Select(image => image[0])], 1))], 0);
        var values = new double[grid.size(0), grid.size(1)];
        float[] pixels = grid.contiguous().data<float>().ToArray();
        for (int i = 0; i < pixels.Length; i++)
            values[i / grid.size(1), i % grid.size(1)] = pixels[i];
        plot.Add.Heatmap(values).Colormap = new ScottPlot.Colormaps.GrayscaleReversed();
        plot.HideGrid();
        plot.Layout.Frameless();
        figure.Linear(0);
        return figure;
    }

    private static string Auroc(double byEntropy, CalibrationRow row, int place)
        => Number(byEntropy, "F3") + (row.AurocByInformation.Length > place ? $" ({Number(row.AurocByInformation[place], "F3")})" : "");

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);

    private static string Percent(double share) => Number(100 * share, "F2");
}
