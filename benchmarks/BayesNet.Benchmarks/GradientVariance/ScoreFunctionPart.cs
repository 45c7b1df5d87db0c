using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Estimators;
using BayesNet.Estimators.Gradients;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using ScottPlot;
using static TorchSharp.torch;
using Figure = BayesNet.Benchmarks.Reporting.Figure;

namespace BayesNet.Benchmarks.GradientVariance;

/// <summary>Score function against pathwise over dimension and scale: f(z) = |z|^2, z of d independent normals.</summary>
internal sealed class ScoreFunctionPart : VariancePart
{
    private const double Mu = 1;
    private const int Samples = 4, FixedDimension = 10;
    private const double FixedScale = 0.5;
    private const string OverDimension = "over dimension", OverScale = "over scale";

    /// <param name="Name">In rows and legends.</param>
    /// <param name="Create">Makes the estimator for d dimensions and scale s.</param>
    /// <param name="Exact">The variance of one coordinate's gradient in the mean, of <see cref="Samples"/> evaluations.</param>
    /// <param name="Color">Its colour's place in <see cref="Figure.Colors"/>.</param>
    private sealed record Method(string Name, Func<int, double, GradientEstimator> Create, Func<int, double, double> Exact, int Color);

    private static readonly Method[] Methods =
    [
        new("score function", (_, _) => new ScoreFunctionEstimator(), (d, s) => Score(d, s, 0), 0),
        new("score function, constant baseline E f", (d, s) => new ScoreFunctionEstimator(Baseline.Constant(Expectation(d, s))), (d, s) => Score(d, s, Expectation(d, s)), 1),
        new("score function, leave one out", (_, _) => new ScoreFunctionEstimator(Baseline.LeaveOneOut), LeaveOneOut, 2),
        new("pathwise", (_, _) => new PathwiseEstimator(), (_, s) => 4 * s * s / Samples, 3),
    ];

    public override string Name => "score-function";

    public override void Measure(VarianceRows rows, VarianceContext context)
    {
        long repetitions = context.IsShort ? 2_000 : 8_000;
        int[] dimensions = context.IsShort ? [1, 16, 256] : [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
        double[] scales = [.. Enumerable.Range(0, context.IsShort ? 3 : 9).Select(i => Math.Pow(10, -2 + i * (context.IsShort ? 1 : 0.25)))];
        foreach (Method method in Methods)
        {
            rows.Measure(Name, OverDimension, method.Name, () => dimensions.Select(d => Point(rows, method, d, FixedScale, d, repetitions)).ToList());
            rows.Measure(Name, OverScale, method.Name, () => scales.Select(s => Point(rows, method, FixedDimension, s, s, repetitions)).ToList());
        }
    }

    public override void Write(ReportDocument document, VarianceRows rows, VarianceContext context)
    {
        IReadOnlyList<VarianceRow> own = rows.Of(Name);
        document.Section("Score function against pathwise, over dimension and scale");
        if (Missing(document, own, Methods.All(method => rows.Has(Name, OverDimension, method.Name) && rows.Has(Name, OverScale, method.Name))))
            return;
        document.Paragraph(string.Create(
            CultureInfo.InvariantCulture,
            $"f(z) = |z|², z of d independent normals of mean {Mu} and standard deviation s; the variance of the gradient in the first coordinate's mean, of {Samples} evaluations of f for every estimator, {own[0].Draws:N0} repetitions. A constant baseline stands at its best guess, E f, which a running mean (`Baseline.RunningMean`) comes to; leaving one out needs no guess."));
        document.Figure("score-function", Plot(own), string.Create(
            CultureInfo.InvariantCulture,
            $"Left: over the dimension, s = {FixedScale}. Right: over the scale, d = {FixedDimension}. Points: measured, with bars of two standard errors where they exceed the marks; lines: closed form."));
        foreach ((string @case, string setting) in new[] { (OverDimension, "d"), (OverScale, "s") })
        {
            double[] settings = [.. own.Where(row => row.Case == @case).Select(row => row.Setting!.Value).Distinct().Order()];
            document.Table($"score_function_{setting}", settings,
            [
                (setting, value => value.ToString(setting == "d" ? "N0" : "G3", CultureInfo.InvariantCulture)),
                .. Methods.Select(method => ($"{method.Name} (exact)", (Func<double, string>)(value => Cell(Find(own, @case, method.Name, value))))),
            ]);
        }

        document.Paragraph(Summary(own));
        VarianceRow[] dimension = [.. own.Where(row => row.Case == OverDimension)];
        double least = dimension.Min(row => row.Setting!.Value), most = dimension.Max(row => row.Setting!.Value);
        string growth = string.Join("; ", Methods.Select(method => string.Create(
            CultureInfo.InvariantCulture, $"{method.Name} {Number(Find(own, OverDimension, method.Name, most).Value / Find(own, OverDimension, method.Name, least).Value, 3)}-fold")));
        VarianceRow[] scale = [.. own.Where(row => row.Case == OverScale)];
        double small = scale.Min(row => row.Setting!.Value);
        document.Paragraph(string.Create(
            CultureInfo.InvariantCulture,
            $"From d = {least:N0} to {most:N0} the variance grows: {growth}. At s = {small:G2} that of the score function is {Number(Ratio("score function"), 3)} times the pathwise one, with a constant baseline {Number(Ratio(Methods[1].Name), 3)} times, leaving one out {Number(Ratio(Methods[2].Name), 3)} times: a score is ε/s, so that what a baseline leaves of f is divided by s, where the pathwise gradient is multiplied by it."));

        double Ratio(string method) => Find(own, OverScale, method, small).Value / Find(own, OverScale, "pathwise", small).Value;
    }

    private static VarianceRow Find(IReadOnlyList<VarianceRow> rows, string @case, string method, double setting)
        => rows.Single(row => row.Case == @case && row.Estimator == method && row.Setting == setting);

    private static string Cell(VarianceRow row) => $"{WithError(row)} ({Number(row.Exact!.Value)})";

    private static VarianceRow Point(VarianceRows rows, Method method, int d, double s, double setting, long repetitions)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(rows.Settings.Seed);
        var q = new NormalDistribution(full(d, Mu, dtype: ScalarType.Float64), full(d, s, dtype: ScalarType.Float64));
        GradientStatistics statistics = GradientStatistics.Measure(method.Create(d, s), q, z => z.Squared().sum(dim: -1), noise, repetitions, Samples);
        GradientMoments moments = statistics.Parameters[0];
        double value = moments.Variance[0].item<double>(), error = moments.VarianceStandardError[0].item<double>(), exact = method.Exact(d, s);
        return Row(rows, "mean", setting, value, repetitions) with { StandardError = error, Exact = exact, Z = VarianceRow.ZScore(value, error, exact) };
    }

    private static double Expectation(int d, double s) => d * (Mu * Mu + s * s);

    private static double VarianceOfF(int d, double s) => d * (4 * Mu * Mu * s * s + 2 * Math.Pow(s, 4));

    /// <summary>E[(f - c)^2 eps^2]: f = z^2 + R with R the other coordinates' sum.</summary>
    private static double SecondMoment(int d, double s, double c)
    {
        double mu2 = Mu * Mu, s2 = s * s, mean = Expectation(d - 1, s) - c, variance = VarianceOfF(d - 1, s);
        double fourth = mu2 * mu2 + 18 * mu2 * s2 + 15 * s2 * s2; // E[z^4 eps^2]
        return fourth + 2 * (mu2 + 3 * s2) * mean + variance + mean * mean;
    }

    private static double Score(int d, double s, double baseline) => (SecondMoment(d, s, baseline) / (s * s) - 4 * Mu * Mu) / Samples;

    /// <summary>
    /// Leaving one out, the estimate is the sample covariance of f and of the score (Kool, van Hoof and Welling 2019), whose variance is
    /// mu22 / S - (S - 2) mu11^2 / (S (S - 1)) + mu20 mu02 / (S (S - 1)).
    /// </summary>
    private static double LeaveOneOut(int d, double s)
    {
        const double n = Samples;
        double mu22 = SecondMoment(d, s, Expectation(d, s)) / (s * s), mu11 = 2 * Mu, mu20 = VarianceOfF(d, s), mu02 = 1 / (s * s);
        return mu22 / n - (n - 2) * mu11 * mu11 / (n * (n - 1)) + mu20 * mu02 / (n * (n - 1));
    }

    private static Figure Plot(IReadOnlyList<VarianceRow> own)
    {
        var figure = new Figure(2);
        double[] dimensions = [.. own.Where(row => row.Case == OverDimension).Select(row => row.Setting!.Value).Distinct().Order()];
        figure.Label(0, string.Create(CultureInfo.InvariantCulture, $"Over the dimension, s = {FixedScale}"), "d", "variance of the gradient", dimensions.Length > 6 ? [1, 4, 16, 64, 256, 1024] : dimensions);
        figure.Label(1, string.Create(CultureInfo.InvariantCulture, $"Over the scale, d = {FixedDimension}"), "s", "");
        for (int panel = 0; panel < 2; panel++)
        {
            string @case = panel == 0 ? OverDimension : OverScale;
            foreach (Method method in Methods)
            {
                VarianceRow[] points = [.. own.Where(row => row.Case == @case && row.Estimator == method.Name).OrderBy(row => row.Setting)];
                (double from, double to) = (Math.Log10(points[0].Setting!.Value), Math.Log10(points[^1].Setting!.Value));
                double[] grid = [.. Enumerable.Range(0, 61).Select(i => from + (to - from) * i / 60)];
                Curves.Points(figure[panel], points, Figure.Colors[method.Color], panel == 0 ? method.Name : "");
                if (panel == 1)
                    Curves.Exact(figure[panel], grid, s => method.Exact(FixedDimension, s), Figure.Colors[method.Color]);
                else
                    Curves.Exact(figure[panel], [.. points.Select(row => Math.Log10(row.Setting!.Value))], d => method.Exact((int)Math.Round(d), FixedScale), Figure.Colors[method.Color]);
            }
        }

        Curves.Room(figure[0], 0, 1.6 + own.Where(row => row.Case == OverDimension).Max(row => Math.Log10(row.Value)));
        figure[0].ShowLegend(Alignment.UpperLeft);
        return figure;
    }
}
