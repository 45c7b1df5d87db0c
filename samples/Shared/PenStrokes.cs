using static TorchSharp.torch;

namespace BayesNet.Samples.Shared;

/// <summary>
/// Digits and letters drawn by the program in the manner of handwriting: strokes of a pen on 28 x 28 pixels, each with its own slant, size, place and
/// thickness. Letters that a digit can pass for (B, I, O, S, Z and the like) are left out.
/// </summary>
internal static class PenStrokes
{
    private const int Size = 28;

    // Strokes as corners in a unit square, y downwards.
    private static readonly (double X, double Y)[][][] DigitShapes =
    [
        [[(0.5, 0), (0.1, 0.2), (0, 0.5), (0.1, 0.8), (0.5, 1), (0.9, 0.8), (1, 0.5), (0.9, 0.2), (0.5, 0)]], // 0
        [[(0.3, 0.2), (0.55, 0), (0.55, 1)]], // 1
        [[(0, 0.2), (0.3, 0), (0.8, 0.05), (1, 0.3), (0.7, 0.6), (0, 1), (1, 1)]], // 2
        [[(0, 0.1), (0.5, 0), (0.95, 0.2), (0.5, 0.48), (1, 0.75), (0.5, 1), (0, 0.9)]], // 3
        [[(0.7, 1), (0.7, 0), (0, 0.65), (1, 0.65)]], // 4
        [[(0.95, 0), (0.1, 0), (0.05, 0.45), (0.6, 0.4), (1, 0.7), (0.6, 1), (0, 0.92)]], // 5
        [[(0.85, 0), (0.3, 0.25), (0, 0.7), (0.4, 1), (0.95, 0.8), (0.7, 0.5), (0.1, 0.65)]], // 6
        [[(0, 0), (1, 0), (0.35, 1)]], // 7
        [[(0.5, 0.47), (0.1, 0.25), (0.5, 0), (0.9, 0.25), (0.5, 0.47), (0, 0.75), (0.5, 1), (1, 0.75), (0.5, 0.47)]], // 8
        [[(0.95, 0.3), (0.5, 0.5), (0.05, 0.3), (0.4, 0), (0.95, 0.1), (0.95, 0.35), (0.6, 1)]], // 9
    ];

    private static readonly (double X, double Y)[][][] LetterShapes =
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

    /// <summary>Digits whose strokes' corners are displaced, so that some are hard to tell apart.</summary>
    /// <param name="count">How many.</param>
    /// <param name="seed">Seeds all that is drawn.</param>
    /// <param name="wobble">The standard deviation of a corner's displacement, in heights of the digit.</param>
    /// <returns>Images (count, 1, 28, 28), float32 in [0, 1], and labels (count), int64.</returns>
    public static (Tensor Images, Tensor Labels) Digits(int count, ulong seed, double wobble = 0.1)
    {
        var random = new Random(unchecked((int)seed));
        long[] labels = [.. Enumerable.Range(0, count).Select(_ => random.NextInt64(10))];
        return (Draw(count, random, image => DigitShapes[labels[image]], wobble), tensor(labels));
    }

    /// <summary>Letters: (count, 1, 28, 28), float32 in [0, 1].</summary>
    public static Tensor Letters(int count, ulong seed)
    {
        var random = new Random(unchecked((int)seed));
        return Draw(count, random, _ => LetterShapes[random.Next(LetterShapes.Length)], wobble: 0);
    }

    private static Tensor Draw(int count, Random random, Func<int, (double X, double Y)[][]> shape, double wobble)
    {
        var pixels = new float[count * Size * Size];
        for (int image = 0; image < count; image++)
            DrawOne(shape(image), random, wobble, pixels.AsSpan(image * Size * Size, Size * Size));
        return tensor(pixels).reshape(count, 1, Size, Size);
    }

    private static void DrawOne((double X, double Y)[][] shape, Random random, double wobble, Span<float> pixels)
    {
        double Between(double low, double high) => low + (high - low) * random.NextDouble();

        // As MNIST's digits are: 20 pixels high, centred, slanted a little.
        double height = Between(16, 20), width = Between(11, 18), slant = Between(-0.1, 0.35), thickness = Between(0.9, 1.7);
        double left = (Size - width) / 2 + Between(-1, 1), top = (Size - height) / 2 + Between(-1, 1);
        (double X, double Y)[][] strokes =
            [.. shape.Select(stroke => stroke.Select(corner => Place(Moved(corner.X), Moved(corner.Y))).ToArray())];
        for (int y = 0; y < Size; y++)
        {
            for (int x = 0; x < Size; x++)
            {
                double distance = strokes.Min(stroke => Enumerable.Range(1, stroke.Length - 1).Min(i => Distance(x, y, stroke[i - 1], stroke[i])));
                pixels[y * Size + x] = (float)Math.Clamp(thickness + 0.5 - distance, 0, 1);
            }
        }

        double Moved(double corner) => wobble > 0 ? corner + Between(-wobble, wobble) : corner;

        (double X, double Y) Place(double x, double y) => (left + width * x + slant * height * (0.5 - y), top + height * y);
    }

    private static double Distance(double x, double y, (double X, double Y) a, (double X, double Y) b)
    {
        double dx = b.X - a.X, dy = b.Y - a.Y, squared = dx * dx + dy * dy;
        double along = squared > 0 ? Math.Clamp(((x - a.X) * dx + (y - a.Y) * dy) / squared, 0, 1) : 0;
        return double.Hypot(x - a.X - along * dx, y - a.Y - along * dy);
    }
}
