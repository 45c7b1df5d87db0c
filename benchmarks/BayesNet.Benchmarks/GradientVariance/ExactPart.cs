using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Estimators;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.GradientVariance;

/// <summary>Every estimator of a layer under squared loss against its closed form.</summary>
internal sealed class ExactPart : VariancePart
{
    private const int Channels = 256;
    private const string FixedCase = "fixed";

    private static readonly double[,] FixedInputs = { { 1, 2 }, { -1, 0.5 } };
    private static readonly double[] FixedTargets = [0, 1], FixedMeans = [0.3, -0.2], FixedScales = [0.5, 0.25];

    public override string Name => "exact";

    public override void Measure(VarianceRows rows, VarianceContext context)
    {
        int passes = context.IsShort ? 200 : 1000;
        using var scope = NewDisposeScope();
        foreach ((string name, SquaredLossProblem problem) in Problems())
        {
            foreach (Contender contender in Contender.All)
                rows.Measure(Name, name, contender.Name, () => Compare(rows, problem, contender, passes));
        }
    }

    public override void Write(ReportDocument document, VarianceRows rows, VarianceContext context)
    {
        IReadOnlyList<VarianceRow> own = rows.Of(Name);
        document.Section("Layers against their closed forms");
        if (Missing(document, own))
            return;
        document.Paragraph(string.Create(
            CultureInfo.InvariantCulture,
            $"Squared loss, L = (1/M) Σ ½(y - t)², a fixed minibatch of M examples, w = μ + σ ε. fixed: the two weights and two examples of a hand-checked case; linear: 3 weights, 4 examples; convolution: kernel 3 over 2 channels, 3 examples of length 6. Gradients in every μ and σ, float64; {own.Max(row => row.Draws):N0} draws of each but for antithetic pairs, which are the mean of the gradients under ε and -ε and count as one draw. Means are held against their closed forms too. z: the difference in standard errors."));
        VarianceRow[] variances = [.. own.Where(row => row.Quantity == "variance")];
        document.Table("exact_fixed", Estimators(variances, FixedCase),
        [
            ("fixed case, estimator", estimator => estimator),
            .. variances.Where(row => row.Case == FixedCase).Select(row => row.Gradient).Distinct().Select(gradient => ($"variance in {gradient} (exact)", (Func<string, string>)(estimator =>
            {
                VarianceRow row = variances.Single(row => row.Case == FixedCase && row.Estimator == estimator && row.Gradient == gradient);
                return $"{WithError(row)} ({Number(row.Exact!.Value)})";
            }))),
        ]);
        document.Table("exact_all", [.. variances.Select(row => (row.Case, row.Estimator)).Distinct()],
            ("layer", entry => entry.Case),
            ("estimator", entry => entry.Estimator),
            ("variance, sum over μ", entry => Sum(entry, "μ", row => row.Value)),
            ("exact", entry => Sum(entry, "μ", row => row.Exact!.Value)),
            ("variance, sum over σ", entry => Sum(entry, "σ", row => row.Value)),
            ("exact", entry => Sum(entry, "σ", row => row.Exact!.Value)),
            ("largest z of the variances", entry => Largest(entry, "variance")),
            ("of the means", entry => Largest(entry, "mean")));
        document.Paragraph(Summary(own));
        document.Paragraph("Where z is \"-\" nothing is random: the gradient is its mean to rounding. The mean only rows have the mean's gradient in μ and none in σ: that is no estimator of a gradient in σ at all. One antithetic pair has no variance in μ under squared loss, whatever the estimator, and keeps in σ what is even in the noise. In the convolution, local reparameterization draws the noise of positions apart, and so has another variance in μ than weights per example and flipout; its law of a layer's outputs is another (docs/posteriors.md).");

        string Sum((string Case, string Estimator) entry, string parameter, Func<VarianceRow, double> value)
            => Number(variances.Where(row => (row.Case, row.Estimator) == entry && row.Gradient.StartsWith(parameter, StringComparison.Ordinal)).Sum(value));

        string Largest((string Case, string Estimator) entry, string quantity)
        {
            double[] z = [.. own.Where(row => row.Quantity == quantity && (row.Case, row.Estimator) == entry).Select(row => row.Z).OfType<double>()];
            return z.Length == 0 ? "-" : Signed(z.MaxBy(Math.Abs));
        }
    }

    private static string[] Estimators(IReadOnlyList<VarianceRow> rows, string @case)
        => [.. rows.Where(row => row.Case == @case).Select(row => row.Estimator).Distinct()];

    private static IEnumerable<(string, SquaredLossProblem)> Problems()
    {
        yield return (FixedCase, SquaredLossProblem.Linear(
            tensor(FixedInputs), tensor(FixedTargets), tensor(FixedMeans), tensor(FixedScales), Channels));
        using var noise = new NoiseSource(1);
        yield return ("linear", SquaredLossProblem.Linear(Normal(4, 3), Normal(4), Normal(3), Scales(3), Channels));
        yield return ("convolution", SquaredLossProblem.Convolution(Normal(3, 2, 6), Normal(3, 4), Normal(6), Scales(6), 3, Channels));

        Tensor Normal(params long[] shape) => noise.Normal(shape, ScalarType.Float64, CPU);
        Tensor Scales(long size) => Normal(size).Times(0.4).exp();
    }

    private static IEnumerable<VarianceRow> Compare(VarianceRows rows, SquaredLossProblem problem, Contender contender, int passes)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(rows.Settings.Seed);
        var (mu, sigma) = problem.Draw(contender, passes, noise);
        (Tensor muVariance, Tensor sigmaVariance) = problem.Variances(contender);
        (Tensor muMean, Tensor sigmaMean) = problem.Means();
        if (contender == Contender.MeanOnly)
            sigmaMean = zeros_like(sigmaMean);
        foreach ((string parameter, (Tensor Mean, Tensor Square) drawn, Tensor mean, Tensor variance) in new[] { ("μ", mu, muMean, muVariance), ("σ", sigma, sigmaMean, sigmaVariance) })
        {
            for (long i = 0; i < mean.numel(); i++)
            {
                string gradient = string.Create(CultureInfo.InvariantCulture, $"{parameter}{i + 1}");
                yield return Compared(drawn.Square.select(1, i), variance[i], gradient, "variance");
                yield return Compared(drawn.Mean.select(1, i), mean[i], gradient, "mean");
            }
        }

        VarianceRow Compared(Tensor perPass, Tensor exact, string gradient, string quantity)
        {
            double value = perPass.mean().item<double>(), error = perPass.std().item<double>() / Math.Sqrt(passes), expected = exact.item<double>();
            return Row(rows, gradient, null, value, (long)passes * Channels) with
            {
                Quantity = quantity,
                StandardError = error,
                Exact = expected,
                Z = VarianceRow.ZScore(value, error, expected),
            };
        }
    }
}
