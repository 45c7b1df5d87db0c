using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Estimators;
using BayesNet.Estimators.Gradients;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.GradientVariance;

/// <summary>Pathwise and score function gradients in location and scale of families on the line, against their exact variances.</summary>
internal sealed class FamiliesPart : VariancePart
{
    private const double Mu = 1, S = 0.5;
    private static readonly string[] Parameters = ["location", "scale"];

    /// <param name="Name">The family.</param>
    /// <param name="Create">The distribution with location <see cref="Mu"/> and scale <see cref="S"/>.</param>
    /// <param name="Density">p(eps).</param>
    /// <param name="Score">-d ln p(eps) / d eps.</param>
    private sealed record Family(string Name, Func<Tensor, Tensor, ReparameterizedDistribution> Create, Func<double, double> Density, Func<double, double> Score);

    private static readonly Family[] Families =
    [
        new("normal", (mu, s) => new NormalDistribution(mu, s), e => Math.Exp(-e * e / 2) / Math.Sqrt(2 * Math.PI), e => e),
        new("Laplace", (mu, s) => new LaplaceDistribution(mu, s), e => Math.Exp(-Math.Abs(e)) / 2, e => Math.Sign(e)),
        new("logistic", (mu, s) => new LogisticDistribution(mu, s), e => 0.25 / Math.Pow(Math.Cosh(e / 2), 2), e => Math.Tanh(e / 2)),
    ];

    public override string Name => "families";

    public override void Measure(VarianceRows rows, VarianceContext context)
    {
        long repetitions = context.IsShort ? 20_000 : 1_000_000;
        foreach (Family family in Families)
        {
            for (int power = 1; power <= 3; power++)
            {
                int k = power;
                foreach (GradientEstimator estimator in new GradientEstimator[] { new PathwiseEstimator(), new PathwiseEstimator(antithetic: true), new ScoreFunctionEstimator() })
                    rows.Measure(Name, $"{family.Name}, z^{k}", EstimatorName(estimator), () => Compare(rows, family, k, estimator, repetitions));
            }
        }
    }

    public override void Write(ReportDocument document, VarianceRows rows, VarianceContext context)
    {
        IReadOnlyList<VarianceRow> own = rows.Of(Name);
        document.Section("Families: pathwise against score function");
        if (Missing(document, own))
            return;
        document.Paragraph(string.Create(
            CultureInfo.InvariantCulture,
            $"z = μ + s ε, μ = {Mu}, s = {S}, f(z) = z, z², z³; the variance of one draw's gradient (of one pair's, where antithetic) in μ and s, float64, {own.Max(row => row.Draws):N0} repetitions. Exact: integrals over the density of ε, by quadrature; for the normal they are closed forms, 18s²(2μ² + s²) for the pathwise gradient of z³ in μ, say. The score function is without a baseline."));
        document.Table("families", [.. own.Where(row => row.Gradient == Parameters[0])],
            ("family, f", row => row.Case),
            ("estimator", row => row.Estimator),
            ("location, measured", row => WithError(row)),
            ("exact", row => Number(row.Exact!.Value)),
            ("z", row => ZCell(row)),
            ("scale, measured", row => WithError(Twin(row))),
            ("exact", row => Number(Twin(row).Exact!.Value)),
            ("z", row => ZCell(Twin(row))));
        document.Paragraph(Summary(own));
        double[] ratios = [.. own.Where(row => row.Estimator == "score function").Select(row => row.Value / own.Single(other =>
            other.Case == row.Case && other.Gradient == row.Gradient && other.Estimator == "pathwise").Value).Where(double.IsFinite)];
        document.Paragraph(string.Create(
            CultureInfo.InvariantCulture,
            $"The score function's variance is {Number(ratios.Min(), 2)} to {Number(ratios.Max(), 2)} times the pathwise one, the location of f = z aside, where the pathwise gradient is 1 without noise."));

        VarianceRow Twin(VarianceRow row) => own.Single(other => other.Case == row.Case && other.Estimator == row.Estimator && other.Gradient == Parameters[1]);
    }

    private static string EstimatorName(GradientEstimator estimator)
        => estimator is ScoreFunctionEstimator ? "score function" : estimator.IsAntithetic ? "pathwise, antithetic pair" : "pathwise";

    private static IEnumerable<VarianceRow> Compare(VarianceRows rows, Family family, int power, GradientEstimator estimator, long repetitions)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(rows.Settings.Seed);
        ReparameterizedDistribution q = family.Create(tensor(Mu, dtype: ScalarType.Float64), tensor(S, dtype: ScalarType.Float64));
        GradientStatistics statistics = GradientStatistics.Measure(estimator, q, z => Power(z, power), noise, repetitions, estimator.MinimumSamples);
        for (int parameter = 0; parameter < 2; parameter++)
        {
            GradientMoments moments = statistics.Parameters[parameter];
            double value = moments.Variance.item<double>(), error = moments.VarianceStandardError.item<double>();
            double exact = Exact(family, estimator, power, parameter);
            yield return Row(rows, Parameters[parameter], null, value, repetitions) with
            {
                StandardError = error,
                Exact = exact,
                Z = VarianceRow.ZScore(value, error, exact),
            };
        }
    }

    private static Tensor Power(Tensor z, int power) => power switch { 1 => z.alias(), 2 => z.Squared(), _ => z.Squared().mul(z) };

    private static double Exact(Family family, GradientEstimator estimator, int power, int parameter)
    {
        Func<double, double> one = estimator is ScoreFunctionEstimator
            ? e => Math.Pow(Mu + S * e, power) * (parameter == 0 ? family.Score(e) : family.Score(e) * e - 1) / S
            : e => power * Math.Pow(Mu + S * e, power - 1) * (parameter == 0 ? 1 : e);
        return Variance(family.Density, estimator.IsAntithetic ? e => (one(e) + one(-e)) / 2 : one);
    }

    // The trapezoidal rule: its error is of the rounding's order for smooth densities, and of 1e-7 for the Laplace density's corner, which is a node.
    private static double Variance(Func<double, double> density, Func<double, double> function)
    {
        const int half = 100_000;
        const double width = 80;
        double mass = 0, mean = 0, square = 0;
        for (int i = -half; i <= half; i++)
        {
            double e = width * i / half, p = density(e), value = function(e);
            mass += p;
            mean += p * value;
            square += p * value * value;
        }

        mean /= mass;
        return Math.Max(0, square / mass - mean * mean);
    }
}
