using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Calibration;

/// <summary>
/// Letters drawn by the program in the manner of handwritten digits: strokes of a pen on 28 x 28 pixels, each with its own slant, size, place and
/// thickness. Letters that a digit can pass for (B, I, O, S, Z and the like) are left out.
/// </summary>
internal static class LetterGlyphs
{
    private const int Size = 28;

    // Strokes as corners in a unit square, y downwards.
    private static readonly (double X, double Y)[][][] Letters =
    [
        [[(0, 1), (0.5, 0), (1, 1)], [(0.2, 0.6), (0.8, 0.6)]], // A
        [[(1, 0), (0, 0), (0, 1), (1, 1)], [(0, 0.5), (0.8, 0.5)]], // E
        [[(1, 0), (0, 0), (0, 1)], [(0, 0.5), (0.8, 0.5)]], // F
        [[(0, 0), (0, 1)], [(1, 0), (1, 1)], [(0, 0.5), (1, 0.5)]], // H
        [[(0, 0), (0, 1)], [(1, 0), (0, 0.5), (1, 1)]], // K
        [[(0, 1), (0, 0), (0.5, 0.6), (1, 0), (1, 1)]], // M
        [[(0, 1), (0, 0), (1, 1), (1, 0)]], // N
        [[(0, 1), (0, 0), (0.9, 0.1), (1, 0.3), (0.9, 0.5), (0, 0.55)], [(0.4, 0.55), (1, 1)]], // R
        [[(0, 0), (1, 0)], [(0.5, 0), (0.5, 1)]], // T
        [[(0, 0), (0.25, 1), (0.5, 0.4), (0.75, 1), (1, 0)]], // W
        [[(0, 0), (1, 1)], [(1, 0), (0, 1)]], // X
        [[(0, 0), (0.5, 0.5), (1, 0)], [(0.5, 0.5), (0.5, 1)]], // Y
    ];

    /// <summary>(count, 1, 28, 28), float32 in [0, 1].</summary>
    public static Tensor Draw(int count, ulong seed)
    {
        var random = new Random(unchecked((int)seed));
        var pixels = new float[count * Size * Size];
        for (int image = 0; image < count; image++)
            DrawOne(Letters[random.Next(Letters.Length)], random, pixels.AsSpan(image * Size * Size, Size * Size));
        return tensor(pixels).reshape(count, 1, Size, Size);
    }

    private static void DrawOne((double X, double Y)[][] letter, Random random, Span<float> pixels)
    {
        double Between(double low, double high) => low + (high - low) * random.NextDouble();

        // As the digits are: 20 pixels high, centred, slanted a little.
        double height = Between(16, 20), width = Between(11, 18), slant = Between(-0.1, 0.35), thickness = Between(0.9, 1.7);
        double left = (Size - width) / 2 + Between(-1, 1), top = (Size - height) / 2 + Between(-1, 1);
        (double X, double Y)[][] strokes =
            [.. letter.Select(stroke => stroke.Select(p => (left + width * p.X + slant * height * (0.5 - p.Y), top + height * p.Y)).ToArray())];
        for (int y = 0; y < Size; y++)
        {
            for (int x = 0; x < Size; x++)
            {
                double distance = strokes.Min(stroke => Enumerable.Range(1, stroke.Length - 1).Min(i => Distance(x, y, stroke[i - 1], stroke[i])));
                pixels[y * Size + x] = (float)Math.Clamp(thickness + 0.5 - distance, 0, 1);
            }
        }
    }

    private static double Distance(double x, double y, (double X, double Y) a, (double X, double Y) b)
    {
        double dx = b.X - a.X, dy = b.Y - a.Y;
        double along = Math.Clamp(((x - a.X) * dx + (y - a.Y) * dy) / (dx * dx + dy * dy), 0, 1);
        return double.Hypot(x - a.X - along * dx, y - a.Y - along * dy);
    }
}
