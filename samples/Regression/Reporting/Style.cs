using ScottPlot;

namespace BayesNet.Samples.Regression.Reporting;

/// <summary>What all figures have in common: size, colours that print and that the colour-blind can tell apart, and bare axes.</summary>
internal static class Style
{
    public const int Width = 1600;
    public const int Height = 1000;

    /// <summary>How much larger than on a screen everything is drawn.</summary>
    public const double Scale = 2;

    public static readonly Color Model = Color.FromHex("#0072B2");
    public static readonly Color Data = Color.FromHex("#333333");
    public static readonly Color Truth = Color.FromHex("#D55E00");

    public static Plot NewPlot(string x, string y)
    {
        var plot = new Plot { ScaleFactor = Scale };
        plot.XLabel(x);
        plot.YLabel(y);
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
    public static void LegendAbove(this Plot plot)
    {
        plot.Legend.Orientation = Orientation.Horizontal;
        plot.ShowLegend(Edge.Top);
    }
}
