using System.Globalization;
using ScottPlot;

namespace BayesNet.Samples.Gallery.Drawing;

/// <summary>Ticks of an axis that holds logarithms to base ten.</summary>
internal static class PowersOfTen
{
    /// <summary>Labels the horizontal axis with the numbers themselves.</summary>
    public static void On(Plot plot)
    {
        plot.Axes.AutoScaleX();
        AxisLimits limits = plot.Axes.GetLimits();
        var ticks = new ScottPlot.TickGenerators.NumericManual();
        for (int exponent = (int)Math.Ceiling(limits.Left); exponent <= limits.Right; exponent += limits.HorizontalSpan > 6 ? 2 : 1)
            ticks.AddMajor(exponent, exponent is >= -2 and <= 3 ? Math.Pow(10, exponent).ToString("0.##", CultureInfo.InvariantCulture) : $"1e{exponent}");
        plot.Axes.Bottom.TickGenerator = ticks;
    }
}
