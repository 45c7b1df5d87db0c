using BayesNet.Plotting;
using BayesNet.Samples.Regression.Data;
using BayesNet.Samples.Regression.Modelling;
using ScottPlot;

namespace BayesNet.Samples.Regression.Reporting;

/// <summary>For one input: the data, the predictive mean, and the 95 % bands of the mean and of the target, over and beyond the inputs.</summary>
internal static class CurveFigure
{
    private const int Points = 400;
    private const int PixelsAcross = 1600;
    private const int PixelsDown = 1000;

    // The figure shows this share of the inputs' range on either side of it.
    private const double Margin = 0.2;

    // The half width of a Gaussian's central 95 % interval in standard deviations.
    private const double Gaussian95 = 1.959964;

    /// <summary>Draws the figure.</summary>
    /// <param name="path">The PNG file.</param>
    /// <param name="model">Trained on one input.</param>
    /// <param name="truth">The mean of the target where it is known, else null.</param>
    public static void Save(string path, FittedModel model, Func<double, double>? truth)
    {
        using Plot plot = Of(model, truth);
        plot.LegendAbove();
        plot.SavePng(path, PixelsAcross, PixelsDown);
    }

    /// <summary>The figure without its legend.</summary>
    /// <param name="model">Trained on one input.</param>
    /// <param name="truth">The mean of the target where it is known, else null.</param>
    /// <param name="title">Above; empty for none.</param>
    public static Plot Of(FittedModel model, Func<double, double>? truth, string title = "")
    {
        (Table training, Table heldOut) = (model.Data.Training, model.Data.HeldOut);
        double[] inputs = [.. training.Inputs.Concat(heldOut.Inputs).Select(row => row[0])];
        double margin = Margin * (inputs.Max() - inputs.Min());
        double[] xs = [.. Enumerable.Range(0, Points).Select(i => inputs.Min() - margin + i * (inputs.Max() - inputs.Min() + 2 * margin) / (Points - 1))];
        RowPrediction[] predictions = RowPrediction.Of(model, [.. xs.Select(x => new[] { x })]);

        Plot plot = BayesPlot.NewPlot(training.InputNames[0], training.TargetName, title);
        Band([.. predictions.Select(p => p.Lower95)], [.. predictions.Select(p => p.Upper95)], 0.2, "95 % of targets (total)");
        Band(
            [.. predictions.Select(p => p.Mean - Gaussian95 * p.Epistemic)], [.. predictions.Select(p => p.Mean + Gaussian95 * p.Epistemic)], 0.4,
            "95 % of functions (epistemic)");
        if (truth is not null)
        {
            var line = plot.Add.ScatterLine(xs, [.. xs.Select(truth)], BayesPlot.Reference);
            (line.LineWidth, line.LinePattern, line.LegendText) = (1.5f, LinePattern.DenselyDashed, "true function");
        }

        var mean = plot.Add.ScatterLine(xs, [.. predictions.Select(p => p.Mean)], BayesPlot.Model);
        (mean.LineWidth, mean.LegendText) = (2, "predictive mean");
        Scatter(training, MarkerShape.FilledCircle, "training data");
        Scatter(heldOut, MarkerShape.OpenCircle, "held-out data");

        plot.Axes.SetLimitsX(xs[0], xs[^1]);
        return plot;

        void Band(double[] lower, double[] upper, double opacity, string name)
            => plot.Band(xs, lower, upper, BayesPlot.Model.WithAlpha(opacity), name);

        void Scatter(Table table, MarkerShape shape, string name)
        {
            var points = plot.Add.Markers([.. table.Inputs.Select(row => row[0])], table.Targets, shape, 4, BayesPlot.Data);
            points.LegendText = name;
        }
    }
}
