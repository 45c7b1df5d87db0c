using BayesNet.Plotting;
using ScottPlot;
using SkiaSharp;
using static TorchSharp.torch;

namespace BayesNet.Samples.Shared;

/// <summary>Several plots in one picture, and images as plots.</summary>
internal static class Panels
{
    /// <summary>Writes plots row by row into a PNG file, and disposes them.</summary>
    public static void Save(string path, int columns, params IReadOnlyList<Plot> plots) => Save(path, columns, 1100, 850, plots);

    /// <summary>Writes plots of a size row by row into a PNG file, and disposes them.</summary>
    /// <remarks>A multiplot of ScottPlot's would scale the place of a panel with its lines and letters, and lose it.</remarks>
    public static void Save(string path, int columns, int width, int height, params IReadOnlyList<Plot> plots)
    {
        int rows = (plots.Count + columns - 1) / columns;
        using var bitmap = new SKBitmap(columns * width, rows * height);
        using var canvas = new SKCanvas(bitmap);
        canvas.Clear(SKColors.White);
        for (int i = 0; i < plots.Count; i++)
        {
            using Plot plot = plots[i];
            using SKBitmap panel = SKBitmap.Decode(plot.GetImageBytes(width, height));
            canvas.DrawBitmap(panel, i % columns * width, i / columns * height);
        }

        using SKData png = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        System.IO.File.WriteAllBytes(path, png.ToArray());
    }

    /// <summary>Grey images side by side, row by row.</summary>
    /// <param name="images">(rows x columns, height, width) in [0, 1].</param>
    /// <param name="columns">How many images stand in a row.</param>
    /// <param name="title">Above them.</param>
    public static Plot Images(Tensor images, int columns, string title)
    {
        using var scope = NewDisposeScope();
        (long count, int height, int width) = (images.size(0), (int)images.size(1), (int)images.size(2));
        int rows = (int)(count + columns - 1) / columns;
        float[] values = images.to(ScalarType.Float32).contiguous().data<float>().ToArray();
        var pixels = new double[rows * (height + 1) - 1, columns * (width + 1) - 1];
        for (int image = 0; image < count; image++)
        {
            for (int pixel = 0; pixel < height * width; pixel++)
                pixels[image / columns * (height + 1) + pixel / width, image % columns * (width + 1) + pixel % width] = values[image * height * width + pixel];
        }

        Plot plot = BayesPlot.NewPlot("", "", title);
        plot.Add.Heatmap(pixels).Colormap = new ScottPlot.Colormaps.GrayscaleReversed();
        plot.Axes.Margins(0, 0);
        plot.Axes.SquareUnits();
        plot.HideAxesAndGrid();
        plot.Axes.Title.IsVisible = true;
        return plot;
    }

    /// <summary>A line with its points.</summary>
    public static void Line(this Plot plot, IEnumerable<double> x, IEnumerable<double> y, Color color, string legend, float marker = 0, LinePattern? pattern = null)
    {
        var line = plot.Add.Scatter(x.ToArray(), y.ToArray(), color);
        (line.LineWidth, line.MarkerSize, line.LegendText, line.LinePattern) = (2, marker, legend, pattern ?? LinePattern.Solid);
    }
}
