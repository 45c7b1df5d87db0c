using System.Globalization;
using ScottPlot;
using ScottPlot.TickGenerators;

namespace BayesNet.Benchmarks.Reporting;

/// <summary>A row of plots in one style: white ground, one font, colours that colour-blind readers can tell apart (Okabe and Ito).</summary>
internal sealed class Figure
{
    private const float Scale = 2;
    private readonly List<Plot> _panels = [];
    private readonly int _width, _height;

    /// <summary>A figure of the given panels; sizes in points of a page, twice that in pixels.</summary>
    public Figure(int panels, int panelWidth = 420, int height = 340)
    {
        (_width, _height) = (panels * panelWidth, height);
        for (int i = 0; i < panels; i++)
            _panels.Add(Style(new Plot()));
    }

    public static IReadOnlyList<Color> Colors { get; } =
        [.. new[] { "#D55E00", "#E69F00", "#009E73", "#0072B2", "#CC79A7", "#56B4E9" }.Select(hex => new Color(hex))];

    public static Color Ink { get; } = new("#333333");

    public Plot this[int panel] => _panels[panel];

    /// <summary>Titles of a panel and its axes; either axis may hold log10 of the values.</summary>
    public void Label(int panel, string title, string x, string y, bool logX = true, bool logY = true)
    {
        Plot plot = _panels[panel];
        plot.Title(title, 13);
        plot.XLabel(x, 12);
        plot.YLabel(y, 12);
        if (logX)
            plot.Axes.Bottom.TickGenerator = LogTicks();
        if (logY)
            plot.Axes.Left.TickGenerator = LogTicks();
    }

    /// <summary>A curve through (x, y), which are what the axes hold: logarithms on a logarithmic axis.</summary>
    public static ScottPlot.Plottables.Scatter Line(
        Plot plot, double[] x, double[] y, Color color, float width = 1.5f, LinePattern? pattern = null, string legend = "", float marker = 0)
    {
        ScottPlot.Plottables.Scatter line = plot.Add.Scatter(x, y, color);
        line.LineWidth = width;
        line.LinePattern = pattern ?? LinePattern.Solid;
        line.MarkerSize = marker;
        line.LegendText = legend;
        return line;
    }

    public void Save(string file)
    {
        var all = new Multiplot();
        all.RemovePlot(all.GetPlot(0));
        foreach (Plot plot in _panels)
            all.AddPlot(plot);
        all.Layout = new ScottPlot.MultiplotLayouts.Grid(rows: 1, columns: _panels.Count);
        all.SavePng(file, (int)(_width * Scale), (int)(_height * Scale));
    }

    private static Plot Style(Plot plot)
    {
        plot.ScaleFactor = Scale;
        plot.FigureBackground.Color = ScottPlot.Colors.White;
        plot.DataBackground.Color = ScottPlot.Colors.White;
        plot.Grid.MajorLineColor = Ink.WithAlpha(0.12);
        plot.Axes.Right.IsVisible = false;
        plot.Axes.Top.FrameLineStyle.Width = 0;
        foreach (IAxis axis in new IAxis[] { plot.Axes.Left, plot.Axes.Bottom })
        {
            axis.Label.Bold = false;
            axis.TickLabelStyle.FontSize = 11;
        }

        plot.Axes.Title.Label.Bold = false;
        plot.Font.Set("DejaVu Sans");
        plot.Axes.Color(Ink);
        plot.Legend.FontSize = 11;
        plot.Legend.OutlineWidth = 0;
        plot.Legend.ShadowColor = ScottPlot.Colors.Transparent;
        plot.Legend.BackgroundColor = ScottPlot.Colors.White.WithAlpha(0.8);
        return plot;
    }

    private static NumericAutomatic LogTicks() => new()
    {
        IntegerTicksOnly = true,
        MinimumTickSpacing = 30,
        MinorTickGenerator = new LogMinorTickGenerator(),
        LabelFormatter = value => value is >= -1 and <= 2
            ? Math.Pow(10, value).ToString("G3", CultureInfo.InvariantCulture)
            : "10" + string.Concat(value.ToString("F0", CultureInfo.InvariantCulture).Select(c => c == '-' ? '⁻' : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c - '0'])),
    };
}
