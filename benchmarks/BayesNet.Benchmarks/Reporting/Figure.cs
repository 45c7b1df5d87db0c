using System.Globalization;
using ScottPlot;
using ScottPlot.Plottables;
using ScottPlot.TickGenerators;
using SkiaSharp;

namespace BayesNet.Benchmarks.Reporting;

/// <summary>
/// A grid of plots in one style: white ground, one font, colours that colour-blind readers can tell apart (Okabe and Ito 2008). Logarithmic
/// axes hold log10 of the values.
/// </summary>
internal sealed class Figure
{
    private const int Scale = 2;
    private readonly Panel[] _panels;
    private readonly int _columns, _panelWidth, _panelHeight;

    /// <summary>A figure of panels, row by row; sizes in points of a page, twice that in pixels.</summary>
    public Figure(int columns, int rows = 1, int panelWidth = 420, int panelHeight = 340)
    {
        (_columns, _panelWidth, _panelHeight) = (columns, panelWidth, panelHeight);
        _panels = [.. Enumerable.Range(0, columns * rows).Select(_ => new Panel(Style(new Plot())))];
    }

    public static IReadOnlyList<Color> Colors { get; } =
        [.. new[] { "#D55E00", "#E69F00", "#009E73", "#0072B2", "#CC79A7", "#56B4E9" }.Select(hex => new Color(hex))];

    public static Color Ink { get; } = new("#333333");

    public Plot this[int panel] => _panels[panel].Plot;

    /// <summary>Titles of a panel and its axes, both logarithmic.</summary>
    /// <param name="panel">Which one.</param>
    /// <param name="title">Above it.</param>
    /// <param name="x">Below it; empty for none.</param>
    /// <param name="y">On its left; empty for none.</param>
    /// <param name="ticks">Values to be marked on the horizontal axis; null for powers of ten.</param>
    public void Label(int panel, string title, string x, string y, IReadOnlyList<double>? ticks = null)
    {
        Plot plot = _panels[panel].Plot;
        plot.Title(title, 13);
        if (x.Length > 0)
            plot.XLabel(x, 12);
        if (y.Length > 0)
            plot.YLabel(y, 12);
        _panels[panel].Ticks = ticks;
    }

    /// <summary>Makes a panel's axes linear: they hold the values themselves.</summary>
    public void Linear(int panel) => _panels[panel].IsLinear = true;

    /// <summary>Puts names on a panel's vertical axis, in place of values: the first at 0, the next at 1.</summary>
    public void Categories(int panel, IReadOnlyList<string> names) => _panels[panel].Categories = names;

    /// <summary>A curve through (x, y), which are logarithms where the panel's axes are.</summary>
    public static Scatter Line(
        Plot plot, double[] x, double[] y, Color color, float width = 1.5f, LinePattern? pattern = null, string legend = "", float marker = 0)
    {
        Scatter line = plot.Add.Scatter(x, y, color);
        line.LineWidth = width;
        line.LinePattern = pattern ?? LinePattern.Solid;
        line.MarkerSize = marker;
        line.LegendText = legend;
        return line;
    }

    /// <summary>Writes a PNG.</summary>
    public void Save(string file)
    {
        int width = _panelWidth * Scale, height = _panelHeight * Scale, rows = _panels.Length / _columns;
        using var bitmap = new SKBitmap(width * _columns, height * rows);
        using var canvas = new SKCanvas(bitmap);
        for (int i = 0; i < _panels.Length; i++)
        {
            Plot plot = _panels[i].Plot;
            if (!plot.Axes.Bottom.Range.HasBeenSet)
                plot.Axes.AutoScaleX();
            if (!plot.Axes.Left.Range.HasBeenSet)
                plot.Axes.AutoScaleY();
            AxisLimits limits = plot.Axes.GetLimits();
            if (!_panels[i].IsLinear)
                plot.Axes.Bottom.TickGenerator = Ticks(limits.Left, limits.Right, 7, _panels[i].Ticks);
            if (_panels[i].Categories is { } names)
                plot.Axes.Left.TickGenerator = Names(names);
            else if (!_panels[i].IsLinear)
                plot.Axes.Left.TickGenerator = Ticks(limits.Bottom, limits.Top, 6, null);
            plot.ScaleFactor = Scale;
            using SKBitmap panel = SKBitmap.Decode(plot.GetImageBytes(width, height));
            canvas.DrawBitmap(panel, i % _columns * width, i / _columns * height);
        }

        using SKData png = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        File.WriteAllBytes(file, png.ToArray());
    }

    private static Plot Style(Plot plot)
    {
        plot.FigureBackground.Color = ScottPlot.Colors.White;
        plot.DataBackground.Color = ScottPlot.Colors.White;
        plot.Grid.MajorLineColor = Ink.WithAlpha(0.12);
        plot.Axes.Right.FrameLineStyle.Width = 0;
        plot.Axes.Right.TickGenerator = new EmptyTickGenerator();
        plot.Axes.Right.MinimumSize = 18;
        plot.Axes.Top.FrameLineStyle.Width = 0;
        foreach (IAxis axis in new IAxis[] { plot.Axes.Left, plot.Axes.Bottom })
        {
            axis.Label.Bold = false;
            axis.TickLabelStyle.FontSize = 11;
        }

        plot.Axes.Title.Label.Bold = false;
        plot.Font.Set(Fonts.GetTypeface("DejaVu Sans", FontWeight.Normal, FontSlant.Upright, FontSpacing.Normal) is null ? Fonts.Default : "DejaVu Sans");
        plot.Axes.Color(Ink);
        plot.Legend.FontSize = 11;
        plot.Legend.OutlineWidth = 0;
        plot.Legend.ShadowColor = ScottPlot.Colors.Transparent;
        plot.Legend.BackgroundColor = ScottPlot.Colors.White.WithAlpha(0.8);
        return plot;
    }

    private static NumericManual Ticks(double from, double to, int most, IReadOnlyList<double>? values)
    {
        var ticks = new NumericManual();
        if (values is not null)
        {
            foreach (double value in values)
                ticks.AddMajor(Math.Log10(value), value.ToString("N0", CultureInfo.InvariantCulture));
            return ticks;
        }

        int first = (int)Math.Ceiling(from), last = (int)Math.Floor(to), step = Math.Max(1, (last - first + most) / most);
        for (int decade = first - 1; decade <= last; decade++)
        {
            bool labelled = decade % step == 0;
            if (labelled && decade >= first)
                ticks.AddMajor(decade, PowerOfTen(decade));
            else if (decade >= first)
                ticks.AddMinor(decade);
            for (int digit = 2; step == 1 && digit < 10; digit++)
            {
                double position = decade + Math.Log10(digit);
                if (to - from < 1.5 && digit is (2 or 5) && position >= from && position <= to)
                    ticks.AddMajor(position, (digit * Math.Pow(10, decade)).ToString("G3", CultureInfo.InvariantCulture));
                else
                    ticks.AddMinor(position);
            }
        }

        return ticks;
    }

    private static NumericManual Names(IReadOnlyList<string> names)
    {
        var ticks = new NumericManual();
        for (int i = 0; i < names.Count; i++)
            ticks.AddMajor(i, names[i]);
        return ticks;
    }

    private static string PowerOfTen(int exponent)
        => exponent is >= -2 and <= 2
            ? Math.Pow(10, exponent).ToString("G", CultureInfo.InvariantCulture)
            : "10" + string.Concat(exponent.ToString(CultureInfo.InvariantCulture).Select(c => c == '-' ? '⁻' : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c - '0']));

    private sealed class Panel(Plot plot)
    {
        public Plot Plot { get; } = plot;

        public bool IsLinear { get; set; }

        public IReadOnlyList<double>? Ticks { get; set; }

        public IReadOnlyList<string>? Categories { get; set; }
    }
}
