using BayesNet.Plotting;
using BayesNet.Samples.Regression.Modelling;
using BayesNet.Samples.Shared;
using ScottPlot;

namespace BayesNet.Samples.Regression.Reporting;

/// <summary>Models side by side: of one input each one's curve, on the same axes; of several, the coverage of each and their log likelihoods.</summary>
internal sealed class ComparisonFigure(Func<double, double>? truth)
{
    private const int PanelWidth = 800, PanelHeight = 600;
    private readonly List<Plot> _curves = [];
    private readonly List<(string Name, Evaluation Evaluation)> _models = [];
    private int _heldOut;

    /// <summary>Adds a model, of which nothing is kept.</summary>
    public void Add(string name, FittedModel model, Evaluation evaluation)
    {
        _heldOut = model.Data.HeldOut.Rows;
        _models.Add((name, evaluation));
        if (model.Data.Training.Columns == 1)
        {
            Plot curve = CurveFigure.Of(model, truth, name);
            curve.HideLegend();
            _curves.Add(curve);
        }
    }

    /// <summary>Draws the figure.</summary>
    public void Save(string path)
    {
        if (_curves.Count > 0)
        {
            // One scale for all, or a wide band would look like a narrow one.
            AxisLimits[] limits = [.. _curves.Select(curve =>
            {
                curve.Axes.AutoScaleY();
                return curve.Axes.GetLimits();
            })];
            _curves.ForEach(curve => curve.Axes.SetLimitsY(limits.Min(limit => limit.Bottom), limits.Max(limit => limit.Top)));
            Panels.Save(path, 2, PanelWidth, PanelHeight, [.. _curves, Legend(_curves[0])]);
            return;
        }

        // The names stand in the other panel, in the same colours; a legend would hide half of the lines.
        Plot coverage = CalibrationFigure.Coverage(_heldOut, _models);
        coverage.HideLegend();
        Panels.Save(path, 2, PanelWidth, PanelWidth, coverage, LogLikelihoods());
    }

    /// <summary>A panel with what a curve's colours mean, which is the same in all.</summary>
    private static Plot Legend(Plot curve)
    {
        Plot plot = BayesPlot.NewPlot("", "");
        plot.HideAxesAndGrid();
        plot.ShowLegend(curve.Legend.GetItems(), Alignment.MiddleCenter);
        return plot;
    }

    private Plot LogLikelihoods()
    {
        Plot plot = BayesPlot.NewPlot("log likelihood, nats a row", "");
        double[] rows = [.. _models.Select((_, i) => (double)(_models.Count - 1 - i))];
        for (int i = 0; i < _models.Count; i++)
            plot.Add.Marker(_models[i].Evaluation.LogLikelihood, rows[i], MarkerShape.FilledCircle, 10, BayesPlot.Palette[i % BayesPlot.Palette.Count]);
        plot.Axes.Left.SetTicks(rows, [.. _models.Select(model => model.Name)]);
        plot.Axes.Margins(0.15, 0.15);
        return plot;
    }
}
