using BayesNet.Estimators;
using BayesNet.Estimators.Gradients;
using BayesNet.Reparameterization;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Estimators.Gradients;

/// <summary>
/// One dimension, z = mu + s * eps, f = z^k: the exact means and variances of every estimator's gradients in mu and s.
/// </summary>
public sealed class NormalTableTests
{
    private const long Repetitions = 400000;

    public static IEnumerable<TheoryDataRow<int, double, double>> Cases()
        => from power in new[] { 1, 2, 3 }
           from setting in new[] { (Mu: 1.0, S: 0.5), (Mu: -0.7, S: 1.3) }
           select new TheoryDataRow<int, double, double>(power, setting.Mu, setting.S);

    [Theory]
    [MemberData(nameof(Cases))]
    public void PathwiseHasItsExactMoments(int power, double mu, double s)
    {
        double s2 = s * s, mu2 = mu * mu;
        (double location, double scale) = power switch
        {
            1 => (0, 1),
            2 => (4 * s2, 4 * (mu2 + 2 * s2)),
            _ => (18 * s2 * (2 * mu2 + s2), 9 * (mu2 * mu2 + 14 * mu2 * s2 + 15 * s2 * s2)),
        };
        Check(new PathwiseEstimator(), power, mu, s, 1, location, scale);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void ScoreFunctionHasItsExactMoments(int power, double mu, double s)
    {
        double s2 = s * s, s4 = s2 * s2, mu2 = mu * mu, mu4 = mu2 * mu2;
        (double location, double scale) = power switch
        {
            1 => (mu2 / s2 + 2, 2 * mu2 / s2 + 10),
            2 => (mu4 / s2 + 14 * mu2 + 15 * s2, 2 * mu4 / s2 + 60 * mu2 + 74 * s2),
            _ => (mu4 * mu2 / s2 + 36 * mu4 + 207 * mu2 * s2 + 96 * s4, 2 * mu4 * mu2 / s2 + 150 * mu4 + 1134 * mu2 * s2 + 750 * s4),
        };
        Check(new ScoreFunctionEstimator(), power, mu, s, 1, location, scale);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void AConstantBaselineHasItsExactMoments(int power, double mu, double s)
    {
        double constant = Mean(power, mu, s);
        (double location, double scale) = ScoreVariances(power, mu, s, constant);
        Check(new ScoreFunctionEstimator(Baseline.Constant(constant)), power, mu, s, 1, location, scale);
    }

    /// <summary>With two draws, the estimate is 1/2 (f - f') (score - score').</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void LeaveOneOutHasItsExactMoments(int power, double mu, double s)
    {
        (_, double location) = GaussianExpectation.Of((e, g) => ((mu + s * e).pow(power) - (mu + s * g).pow(power)) * (e - g) / (2 * s));
        (_, double scale) = GaussianExpectation.Of((e, g) => ((mu + s * e).pow(power) - (mu + s * g).pow(power)) * (e.square() - g.square()) / (2 * s));
        Check(new ScoreFunctionEstimator(Baseline.LeaveOneOut), power, mu, s, 2, location, scale);
    }

    /// <summary>The running mean is the recurrence that it says, and what it leaves is the variance at its value.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void ARunningMeanHasTheMomentsOfItsValue(int power, double mu, double s)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(71);
        var estimator = new ScoreFunctionEstimator(Baseline.RunningMean(0.8));
        double? value = null;
        for (int i = 0; i < 30; i++)
        {
            estimator.Estimate(Normal(mu, s), z =>
            {
                Tensor result = z.pow(power);
                double mean = result.mean().item<double>();
                value = value is { } before ? 0.8 * before + 0.2 * mean : mean;
                return result;
            }, noise, 100);
        }

        (double location, double scale) = ScoreVariances(power, mu, s, value!.Value);
        Check(estimator, power, mu, s, 1, location, scale);
    }

    /// <summary>The mean of a pair's gradients: (1, 0) for z, (2 mu, 2 s e^2) for z^2, (3 mu^2 + 3 s^2 e^2, 6 mu s e^2) for z^3.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void AntitheticPairsHaveTheirExactMoments(int power, double mu, double s)
    {
        (double location, double scale) = power switch
        {
            1 => (0, 0),
            2 => (0, 8 * s * s),
            _ => (18 * Math.Pow(s, 4), 72 * mu * mu * s * s),
        };
        Check(new PathwiseEstimator(antithetic: true), power, mu, s, 2, location, scale);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void AntitheticScoreFunctionHasItsExactMoments(int power, double mu, double s)
    {
        (_, double location) = GaussianExpectation.Of(e => ((mu + s * e).pow(power) - (mu - s * e).pow(power)) * e / (2 * s));
        (_, double scale) = GaussianExpectation.Of(e => ((mu + s * e).pow(power) + (mu - s * e).pow(power)) * (e.square() - 1) / (2 * s));
        Check(new ScoreFunctionEstimator(antithetic: true), power, mu, s, 2, location, scale);

        // Two pairs, each the other's baseline.
        Func<Tensor, Tensor> sum = e => (mu + s * e).pow(power) + (mu - s * e).pow(power);
        (_, double locationLeft) = GaussianExpectation.Of((e, g) =>
            (((mu + s * e).pow(power) - (mu - s * e).pow(power)) * e + ((mu + s * g).pow(power) - (mu - s * g).pow(power)) * g) / (4 * s));
        (_, double scaleLeft) = GaussianExpectation.Of((e, g) => (sum(e) - sum(g)) * (e.square() - g.square()) / (4 * s));
        Check(new ScoreFunctionEstimator(Baseline.LeaveOneOut, antithetic: true), power, mu, s, 4, locationLeft, scaleLeft);
    }

    /// <summary>
    /// f = z^3, gradient in mu: a pair against one plain draw has s^2 / (2 mu^2 + s^2) of its variance, against the mean of two, the
    /// comparison at equal cost, twice that: pairs lose where s^2 > 2 mu^2.
    /// </summary>
    [Theory]
    [InlineData(1.0, 0.5, true)]
    [InlineData(0.5, 0.6, true)]
    [InlineData(0.5, 1.3, false)]
    [InlineData(0.0, 1.0, false)]
    public void AntitheticPairsWinAndLoseWhereTheyShould(double mu, double s, bool win)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(72);
        double factor = s * s / (2 * mu * mu + s * s);
        Assert.Equal(win, s * s < 2 * mu * mu);
        GradientMoments pair = Measure(new PathwiseEstimator(antithetic: true), 2);
        AssertRatio(pair, Measure(new PathwiseEstimator(), 1), factor);
        double equalCost = AssertRatio(pair, Measure(new PathwiseEstimator(), 2), 2 * factor);
        Assert.Equal(win, equalCost < 1);

        GradientMoments Measure(GradientEstimator estimator, int samples)
            => GradientStatistics.Measure(estimator, Normal(mu, s), z => z.pow(3), noise, Repetitions, samples).Parameters[0];

        // The relative errors of numerator and denominator add in squares.
        static double AssertRatio(GradientMoments above, GradientMoments below, double exact)
        {
            double ratio = (above.Variance / below.Variance).item<double>();
            double relative = ((above.VarianceStandardError / above.Variance).square() + (below.VarianceStandardError / below.Variance).square()).sqrt().item<double>();
            Assert.InRange(ratio, exact - SampleMoments.StandardErrors * relative * exact, exact + SampleMoments.StandardErrors * relative * exact);
            return ratio;
        }
    }

    [Fact]
    public void TheKnownNumbersAreTheFormulas()
    {
        const double mu = 1, s = 0.5;
        Assert.Equal(10.125, 18 * s * s * (2 * mu * mu + s * s));
        Assert.Equal(48.9375, 9 * (1 + 14 * s * s + 15 * Math.Pow(s, 4)));
        (double location, double scale) = ScoreVariances(3, mu, s, 0);
        Assert.Equal(97.75, location, 1e-8);
        Assert.Equal(488.375, scale, 1e-8);
    }

    private static NormalDistribution Normal(double mu, double s) => new(tensor(mu, dtype: ScalarType.Float64), tensor(s, dtype: ScalarType.Float64));

    private static double Mean(int power, double mu, double s) => GaussianExpectation.Of(e => (mu + s * e).pow(power)).Mean;

    private static (double Location, double Scale) ScoreVariances(int power, double mu, double s, double baseline)
        => (GaussianExpectation.Of(e => ((mu + s * e).pow(power) - baseline) * e / s).Variance,
            GaussianExpectation.Of(e => ((mu + s * e).pow(power) - baseline) * (e.square() - 1) / s).Variance);

    private static void Check(GradientEstimator estimator, int power, double mu, double s, int samples, double locationVariance, double scaleVariance)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(73);
        GradientStatistics statistics = GradientStatistics.Measure(estimator, Normal(mu, s), z => z.pow(power), noise, Repetitions, samples);
        Assert.Equal(Repetitions, statistics.Repetitions);
        Assert.Equal(samples, statistics.EvaluationsPerRepetition);
        Assert.Equal(["location", "scale"], statistics.Parameters.Select(parameter => parameter.Name));
        (double location, double scale) = power switch
        {
            1 => (1, 0),
            2 => (2 * mu, 2 * s),
            _ => (3 * mu * mu + 3 * s * s, 6 * mu * s),
        };
        AssertWithin(location, statistics.Parameters[0].Mean, statistics.Parameters[0].StandardError);
        AssertWithin(scale, statistics.Parameters[1].Mean, statistics.Parameters[1].StandardError);
        AssertWithin(locationVariance, statistics.Parameters[0].Variance, statistics.Parameters[0].VarianceStandardError);
        AssertWithin(scaleVariance, statistics.Parameters[1].Variance, statistics.Parameters[1].VarianceStandardError);
    }

    private static void AssertWithin(double exact, Tensor measured, Tensor standardError)
    {
        double tolerance = SampleMoments.StandardErrors * standardError.item<double>() + 1e-9 * Math.Max(1, Math.Abs(exact));
        Assert.InRange(measured.item<double>(), exact - tolerance, exact + tolerance);
    }
}
