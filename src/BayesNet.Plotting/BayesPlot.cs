using ScottPlot;

namespace BayesNet.Plotting;

/// <summary>What all of BayesNet's plots have in common: colours that print and that the colour-blind can tell apart (Okabe and Ito 2008), and bare axes.</summary>
public static class BayesPlot
{
    /// <summary>Pixels across of a plot that is saved without a size.</summary>
    public const int Width = 1200;

    /// <summary>Pixels down of a plot that is saved without a size.</summary>
    public const int Height = 1000;

    // How much larger than on a screen everything is drawn.
    private const double Scale = 2;

    /// <summary>What the model says.</summary>
    public static Color Model { get; } = Color.FromHex("#0072B2");

    /// <summary>What was observed.</summary>
    public static Color Data { get; } = Color.FromHex("#333333");

    /// <summary>What both are held against.</summary>
    public static Color Reference { get; } = Color.FromHex("#D55E00");

    /// <summary>Colours for several methods in one plot, in order.</summary>
    public static IReadOnlyList<Color> Palette { get; } =
        [Model, Reference, .. new[] { "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#333333" }.Select(hex => Color.FromHex(hex))];

    /// <summary>An empty plot, white, without a grid, with lines on the left and below alone.</summary>
    /// <param name="x">The label below.</param>
    /// <param name="y">The label on the left.</param>
    /// <param name="title">Above; empty for none.</param>
    public static Plot NewPlot(string x, string y, string title = "")
    {
        var plot = new Plot { ScaleFactor = Scale };
        plot.XLabel(x);
        plot.YLabel(y);
        if (title.Length > 0)
            plot.Title(title, 14);
        plot.Axes.Title.Label.Bold = false;
        plot.Axes.Bottom.Label.Bold = false;
        plot.Axes.Left.Label.Bold = false;
        plot.HideGrid();
        plot.Axes.Right.FrameLineStyle.IsVisible = false;
        plot.Axes.Top.FrameLineStyle.IsVisible = false;
        plot.Legend.ShadowColor = Colors.Transparent;
        plot.Legend.OutlineColor = Colors.Transparent;
        return plot;
    }

    /// <summary>Puts the legend above the axes, where it hides nothing.</summary>
    /// <param name="plot">The plot.</param>
    public static void LegendAbove(this Plot plot)
    {
        ArgumentNullException.ThrowIfNull(plot);
        plot.Legend.Orientation = Orientation.Horizontal;
        plot.ShowLegend(Edge.Top);
    }

    /// <summary>A dashed line from (from, from) to (to, to), in the colour of <see cref="Reference"/>.</summary>
    /// <param name="plot">The plot.</param>
    /// <param name="from">Where it begins.</param>
    /// <param name="to">Where it ends.</param>
    /// <param name="legend">What the legend calls it.</param>
    public static void Diagonal(this Plot plot, double from, double to, string legend)
    {
        ArgumentNullException.ThrowIfNull(plot);
        var line = plot.Add.Line(from, from, to, to);
        (line.LineColor, line.LineWidth, line.LinePattern, line.LegendText) = (Reference, 1.5f, LinePattern.DenselyDashed, legend);
    }

    /// <summary>A filled band without an outline.</summary>
    /// <param name="plot">The plot.</param>
    /// <param name="x">In ascending order.</param>
    /// <param name="lower">Its lower edge at each x.</param>
    /// <param name="upper">Its upper edge at each x.</param>
    /// <param name="color">Its colour, opacity included.</param>
    /// <param name="legend">What the legend calls it; empty for none.</param>
    public static void Band(this Plot plot, double[] x, double[] lower, double[] upper, Color color, string legend = "")
    {
        ArgumentNullException.ThrowIfNull(plot);
        var band = plot.Add.FillY(x, lower, upper);
        (band.FillColor, band.LineWidth, band.LegendText) = (color, 0, legend);
    }

    /// <summary>Writes a PNG of the default size, and disposes the plot.</summary>
    internal static void SaveAndDispose(this Plot plot, string path)
    {
        using (plot)
        {
            ArgumentException.ThrowIfNullOrEmpty(path);
            plot.SavePng(path, Width, Height);
        }
    }
}
