using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Diagnostics;
using BayesNet.Estimators;
using BayesNet.Estimators.Gradients;
using BayesNet.Reparameterization;
using ScottPlot;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Families;

/// <summary>The running variance of pathwise gradients under Student-t noise, f = z^2.</summary>
internal static class HeavyTails
{
    private const double Location = 1, Scale = 1;
    private static readonly double[] Indices = [1, 1.5, 3, 5];
    private static readonly string[] Names = ["location", "scale"];

    private sealed record Row(
        double DegreesOfFreedom, string Gradient, double TailIndex, double ExactVariance, double VarianceMedian, double VarianceLeast, double VarianceLargest,
        TailReport Tail, int IntervalsThatHold, int Seeds);

    public static void Write(ReportDocument document, ReportOptions options)
    {
        int draws = options.Short ? 1 << 17 : 1 << 20, seeds = options.Short ? 3 : 10;
        int[] points = [.. Enumerable.Range(0, 81).Select(i => (int)Math.Round(Math.Pow(10, 1 + i / 80.0 * (Math.Log10(draws) - 1)))).Distinct()];
        double[] x = [.. points.Select(point => Math.Log10(point))];
        var figure = new Figure(Indices.Length, 2, 250, 250);
        var rows = new List<Row>();
        var curves = new Dictionary<string, object> { ["draws"] = points };
        for (int i = 0; i < Indices.Length; i++)
        {
            double nu = Indices[i];
            var finals = new List<double>[] { [], [] };
            var tails = new List<TailReport>[] { [], [] };
            for (int seed = 0; seed < seeds; seed++)
            {
                using var scope = NewDisposeScope();
                Tensor[] samples = Gradients(nu, draws, options.Seed * 1000 + (ulong)(i * seeds + seed));
                for (int row = 0; row < 2; row++)
                {
                    double[] variance = RunningVariance(samples[row], points);
                    curves[string.Create(CultureInfo.InvariantCulture, $"nu {nu:G} {Names[row]} seed {seed}")] = variance.Select(ToFourDigits);
                    finals[row].Add(variance[^1]);
                    tails[row].Add(TailDiagnostics.Estimate(samples[row]));
                    Figure.Line(figure[row * Indices.Length + i], x, [.. variance.Select(Math.Log10)], Figure.Colors[3].WithAlpha(0.5), 0.8f);
                }
            }

            for (int row = 0; row < 2; row++)
            {
                double exact = ExactVariance(nu, row), index = row == 0 ? nu : nu / 2, median = Measure.Median(finals[row]);
                Reference(figure[row * Indices.Length + i], x, exact, median, index);
                string state = double.IsFinite(exact) ? exact.ToString("F1", CultureInfo.InvariantCulture) : "∞";
                figure.Label(
                    row * Indices.Length + i, string.Create(CultureInfo.InvariantCulture, $"{Names[row]}, ν = {nu:G}: variance {state}"),
                    row == 1 ? "draws" : "", i == 0 ? "running variance" : "");
                rows.Add(new Row(
                    nu, Names[row], index, exact, median, finals[row].Min(), finals[row].Max(), tails[row][0],
                    tails[row].Count(tail => tail.Lower <= index && index <= tail.Upper), seeds));
            }
        }

        document.Section("Heavy tails: the variance that does not settle");
        document.Paragraph(string.Create(
            CultureInfo.InvariantCulture,
            $"Student-t with ν degrees of freedom, location {Location}, scale {Scale}, f(z) = z². The pathwise gradient in the location, 2z, has a variance where ν > 2; that in the scale, 2z ε, where ν > 4. {draws:N0} draws, {seeds} seeds."));
        document.Figure(
            "heavy-tails", figure,
            "Running empirical variance of the pathwise gradients in location (above) and scale (below), one thin line a seed. Dashed: the exact variance. Where there is none, the variance rises by jumps for as long as one draws; dotted: the rate n^(2/α - 1) of a sum of squares of tail index α/2. At ν = 5 the scale's variance exists but its fourth moment does not: jumps remain, and the estimate is slow.");
        document.Table("heavy_tails", rows,
            ("ν", row => Number(row.DegreesOfFreedom)),
            ("gradient", row => row.Gradient),
            ("exact variance", row => double.IsFinite(row.ExactVariance) ? row.ExactVariance.ToString("F2", CultureInfo.InvariantCulture) : "infinite"),
            ("measured, median over seeds", row => Number(row.VarianceMedian)),
            ("least to largest", row => $"{Number(row.VarianceLeast)} to {Number(row.VarianceLargest)}"),
            ("exact tail index", row => Number(row.TailIndex)),
            ("estimated, seed 1", row => row.Tail.IsHeavy ? $"{row.Tail.HillIndex:F2} ({row.Tail.Lower:F2} to {row.Tail.Upper:F2})" : $"light, or above {row.Tail.Lower:F1}"),
            ("variance, by the estimate", row => row.Tail.HasFiniteMoment(2) switch { true => "finite", false => "infinite", null => "undecided" }),
            ("intervals that hold the index", row => $"{row.IntervalsThatHold} of {row.Seeds}"));
        document.Paragraph("Intervals of the tail index are of 95 %, by `TailDiagnostics.Estimate`. In its words, on the first seed:");
        document.Paragraph(string.Join('\n', rows.Select(row => string.Create(
            CultureInfo.InvariantCulture, $"- ν = {row.DegreesOfFreedom:G}, {row.Gradient}: {row.Tail}"))));
        document.Data("heavy_tails_curves", curves);
        document.Finding(string.Create(
            CultureInfo.InvariantCulture,
            $"The 95 % intervals of the tail index by TailDiagnostics hold the exact index in {rows.Sum(row => row.IntervalsThatHold)} of {rows.Sum(row => row.Seeds)} runs on pathwise gradients of Student-t noise; where the exact variance is infinite, the empirical one differs between seeds by up to {rows.Where(row => double.IsInfinity(row.ExactVariance)).Max(row => row.VarianceLargest / row.VarianceLeast):0e0} times."));
    }

    private static Tensor[] Gradients(double nu, int draws, ulong seed)
    {
        using var noise = new NoiseSource(seed);
        Tensor location = full(draws, Location, dtype: ScalarType.Float64).requires_grad_(true);
        Tensor scale = full(draws, Scale, dtype: ScalarType.Float64).requires_grad_(true);
        var q = new StudentTDistribution(location, scale, nu);
        new PathwiseEstimator().Estimate(q, z => z.square(), noise).backward();
        return [location.grad!, scale.grad!];
    }

    /// <summary>The exact variance, or where there is none the rate at which the empirical one grows, through its median at the end.</summary>
    private static void Reference(Plot plot, double[] x, double exact, double median, double index)
    {
        double end = Math.Log10(double.IsFinite(exact) ? exact : median), slope = double.IsFinite(exact) ? 0 : 2 / index - 1;
        LinePattern pattern = double.IsFinite(exact) ? LinePattern.Dashed : LinePattern.Dotted;
        Figure.Line(plot, [x[0], x[^1]], [end - slope * (x[^1] - x[0]), end], Figure.Ink, 1.2f, pattern);
    }

    private static double ToFourDigits(double value) => double.Parse(value.ToString("G4", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);

    private static double[] RunningVariance(Tensor values, int[] points)
    {
        using var scope = NewDisposeScope();
        Tensor at = tensor(points.Select(point => point - 1L).ToArray());
        Tensor count = tensor(points.Select(point => (double)point).ToArray());

        // Shifted by a robust centre: the gradient's mean may not exist.
        Tensor centred = values - values.median();
        Tensor mean = centred.cumsum(0).index_select(0, at) / count;
        Tensor square = centred.square().cumsum(0).index_select(0, at) / count;
        return ((square - mean.square()) * count / (count - 1)).data<double>().ToArray();
    }

    private static double ExactVariance(double nu, int panel)
    {
        if (nu <= (panel == 0 ? 2 : 4))
            return double.PositiveInfinity;
        double second = nu / (nu - 2);
        if (panel == 0)
            return 4 * Scale * Scale * second;
        double fourth = 3 * nu * nu / ((nu - 2) * (nu - 4));
        return 4 * (Location * Location * second + Scale * Scale * (fourth - second * second));
    }

    private static string Number(double value) => value.ToString(value < 1000 ? "G3" : "0.0e0", CultureInfo.InvariantCulture);
}
