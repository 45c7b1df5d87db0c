using BayesNet.Metrics;
using BayesNet.Prediction;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Metrics;

public sealed class ConformalTests
{
    private const int Splits = 2000;

    [Theory]
    [InlineData(19, 0.95, 19)]
    [InlineData(18, 0.95, 19)]
    [InlineData(20, 0.95, 20)]
    [InlineData(99, 0.9, 90)]
    [InlineData(9, 0.7, 7)]
    [InlineData(999, 0.999, 999)]
    [InlineData(1, 0.01, 1)]
    public void TheRankIsThatOfThePaper(int count, double level, int expected) => Assert.Equal(expected, ConformalScores.Rank(count, level));

    [Fact]
    public void NormalisedIntervalsAreThoseByHand()
    {
        using var scope = NewDisposeScope();
        Tensor mean = zeros(4, ScalarType.Float64), sd = tensor(new[] { 1.0, 2, 1, 0.5 }), target = tensor(new[] { 0.5, -3, 1, 1 });

        // Scores 0.5, 1.5, 1, 2; the 4th of 4 at 0.8, the 3rd at 0.6.
        ConformalIntervals conformal = ConformalIntervals.Normalised(mean, sd, target, 0.6);
        Assert.Equal([1.5], conformal.Quantiles);
        Assert.Equal((0.6, 4L, false), (conformal.Level, conformal.Count, conformal.IsInfinite));
        Assert.Equal([2.0], ConformalIntervals.Normalised(mean, sd, target, 0.8).Quantiles);
        (Tensor lower, Tensor upper) = conformal.Interval(tensor(new[] { 10f }), tensor(new[] { 2f }));
        Assert.Equal((7.0, 13.0), (lower.item<double>(), upper.item<double>()));
    }

    [Fact]
    public void IntervalsFromQuantilesAreThoseByHand()
    {
        using var scope = NewDisposeScope();
        Tensor lower = zeros(4), upper = tensor(new[] { 4f, 4, 2, 2 }), target = tensor(new[] { 5f, 1, 1, -0.5f });

        // Scores 1, -1, -1, 0.5: the 2nd at 0.4 narrows, the 3rd at 0.6 widens.
        ConformalIntervals narrow = ConformalIntervals.FromQuantiles(lower, upper, target, 0.4), wide = ConformalIntervals.FromQuantiles(lower, upper, target, 0.6);
        Assert.Equal([-1.0], narrow.Quantiles);
        Assert.Equal([0.5], wide.Quantiles);
        (Tensor l, Tensor u) = wide.Interval(tensor(new[] { 1.0 }), tensor(new[] { 2.0 }));
        Assert.Equal((0.5, 2.5), (l.item<double>(), u.item<double>()));

        // Bounds that would cross meet in their middle.
        (l, u) = narrow.Interval(tensor(new[] { 1.0, 0 }), tensor(new[] { 2.0, 4 }));
        Assert.Equal([1.5, 1], l.data<double>().ToArray());
        Assert.Equal([1.5, 3], u.data<double>().ToArray());
    }

    [Fact]
    public void TooFewExamplesGiveInfiniteIntervals()
    {
        using var scope = NewDisposeScope();
        Tensor mean = zeros(18), sd = ones(18);
        ConformalIntervals conformal = ConformalIntervals.Normalised(mean, sd, mean, 0.95);
        Assert.True(conformal.IsInfinite);
        (Tensor lower, Tensor upper) = conformal.Interval(mean, sd);
        Assert.Equal(1, RegressionMetrics.IntervalCoverage(lower, upper, mean));
        Assert.Equal(double.PositiveInfinity, RegressionMetrics.MeanIntervalWidth(lower, upper));
        Assert.False(ConformalIntervals.Normalised(zeros(19), ones(19), zeros(19), 0.95).IsInfinite);

        ConformalSets sets = ConformalSets.Fit(full([3, 2], 0.5), zeros(3, ScalarType.Int64));
        Assert.True(sets.IsInfinite);
        Assert.True(sets.Sets(full([1, 2], 0.5)).all().item<bool>());
    }

    [Fact]
    public void EachOutputHasItsOwnQuantile()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(51, CPU);
        Tensor target = randn([50, 3], ScalarType.Float64, generator: generator) * tensor(new[] { 1.0, 10, 100 });
        using var predictive = new GaussianPredictive(zeros([1, 50, 3], ScalarType.Float64), zeros([1, 1, 1], ScalarType.Float64));
        ConformalIntervals conformal = ConformalIntervals.Normalised(predictive, target, 0.9);
        for (int output = 0; output < 3; output++)
        {
            Tensor column = target[.., output];
            Assert.Equal(ConformalIntervals.Normalised(zeros_like(column), ones_like(column), column, 0.9).Quantiles[0], conformal.Quantiles[output], 1e-14);
        }

        (Tensor lower, Tensor upper) = conformal.Interval(predictive);
        Assert.Equal([50, 3], upper.shape);
        Assert.Equal(conformal.Quantiles[2], upper[7, 2].item<double>(), 1e-12);
        Assert.Equal(-conformal.Quantiles[1], lower[7, 1].item<double>(), 1e-12);
    }

    /// <summary>
    /// Over held-out sets of n, a new target is held with probability k / (n + 1), k = ceil((n + 1) level), whatever the distribution: an average
    /// of independent splits with one new target each is binomial. The covered share of many new targets, given the set, is Beta(k, n + 1 - k).
    /// </summary>
    [Theory]
    [InlineData("normalised", 19, 0.9)]
    [InlineData("normalised", 50, 0.8)]
    [InlineData("quantiles", 39, 0.9)]
    [InlineData("quantiles", 30, 0.5)]
    public void CoverageHasItsExactLaw(string kind, int count, double level)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(52, CPU);

        // A wrong scale and skewed noise: the guarantee asks for neither. With mean 0 and sd 1 the score is |y|, or |y| - 1 from bounds -+ 1.
        const int New = 400;
        double rank = ConformalScores.Rank(count, level), expected = rank / (count + 1);
        double covered = 0;
        var shares = new double[Splits];
        for (int split = 0; split < Splits; split++)
        {
            using var inner = NewDisposeScope();
            Tensor y = randn([count + New], ScalarType.Float64, generator: generator).exp();
            (Tensor heldOut, Tensor fresh) = (y.narrow(0, 0, count), y.narrow(0, count, New));
            Tensor zero = zeros(count, ScalarType.Float64), one = ones(count, ScalarType.Float64);
            ConformalIntervals conformal = kind == "normalised"
                ? ConformalIntervals.Normalised(zero, one, heldOut, level)
                : ConformalIntervals.FromQuantiles(-one, one, heldOut, level);
            Tensor first = kind == "normalised" ? zeros(New, ScalarType.Float64) : -ones(New, ScalarType.Float64);
            (Tensor lower, Tensor upper) = conformal.Interval(first, ones(New, ScalarType.Float64));
            covered += RegressionMetrics.IntervalCoverage(lower[..1], upper[..1], fresh[..1]) / Splits;
            shares[split] = RegressionMetrics.IntervalCoverage(lower, upper, fresh);
        }

        Assert.Equal(expected, covered, 5 * Math.Sqrt(expected * (1 - expected) / Splits));

        // Beta(a, b) with a = k, b = n + 1 - k, then a binomial share of it: the variance is that of both.
        double beta = expected * (1 - expected) / (count + 2);
        double variance = beta + (expected * (1 - expected) - beta) / New;
        Assert.Equal(expected, shares.Average(), 5 * Math.Sqrt(variance / Splits));

        // The standard error of a variance by the draws' own fourth moment.
        double mean = shares.Average();
        double[] squares = [.. shares.Select(share => (share - mean) * (share - mean))];
        double spread = Math.Sqrt(squares.Average(square => square * square) - squares.Average() * squares.Average());
        Assert.Equal(variance, squares.Average(), 5 * spread / Math.Sqrt(Splits));
    }

    [Theory]
    [InlineData(ConformalSetScore.LeastAmbiguous)]
    [InlineData(ConformalSetScore.Adaptive)]
    public void SetsHoldTheClassAsOftenAsTheySay(ConformalSetScore score)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(53, CPU);
        const int Count = 60;
        const double Level = 0.8;

        // Probabilities that are too sure: targets come from softmax(z), the sets see softmax(2 z).
        double covered = 0;
        for (int split = 0; split < Splits; split++)
        {
            using var inner = NewDisposeScope();
            Tensor logits = randn([Count + 1, 5], ScalarType.Float64, generator: generator);
            Tensor target = logits.softmax(1).multinomial(1, generator: generator).squeeze(1), probabilities = (2 * logits).softmax(1);
            ConformalSets sets = ConformalSets.Fit(probabilities.narrow(0, 0, Count), target.narrow(0, 0, Count), Level, score);
            Tensor set = sets.Sets(probabilities.narrow(0, Count, 1));
            covered += set[0, target[Count].item<long>()].item<bool>() ? 1.0 / Splits : 0;
        }

        // No ties at the quantile: well below a score of 1, which is that of every least probable class.
        double expected = (double)ConformalScores.Rank(Count, Level) / (Count + 1);
        Assert.Equal(expected, covered, 5 * Math.Sqrt(expected * (1 - expected) / Splits));
    }

    [Fact]
    public void SetsAreThoseByHand()
    {
        using var scope = NewDisposeScope();
        Tensor probabilities = tensor(new[,] { { 0.5, 0.25, 0.25 }, { 0.125, 0.625, 0.25 }, { 0.25, 0.0, 0.75 } });
        Tensor target = tensor(new[] { 0L, 2, 0 });

        // Least ambiguous: 0.5, 0.75, 0.75; adaptive: 0.5, 0.875, 1. The 2nd at level 0.5.
        ConformalSets least = ConformalSets.Fit(probabilities, target, 0.5), adaptive = ConformalSets.Fit(probabilities, target, 0.5, ConformalSetScore.Adaptive);
        Assert.Equal((0.75, 0.875), (least.Quantile, adaptive.Quantile));
        Tensor fresh = tensor(new[,] { { 0.375, 0.5, 0.125 }, { 0.1, 0.1, 0.8 }, { 0.05, 0.9, 0.05 } });
        Assert.Equal([true, true, false, false, false, true, false, true, false], least.Sets(fresh).data<bool>().ToArray());

        // Cumulated: 0.5, 0.875 | 0.8, then 0.9 | 0.9 alone is beyond 0.875, and the set is empty.
        Assert.Equal([true, true, false, false, false, true, false, false, false], adaptive.Sets(fresh).data<bool>().ToArray());
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        Tensor zero = zeros(30), one = ones(30);
        Assert.Throws<ArgumentException>("stdDev", () => ConformalIntervals.Normalised(zero, zero, zero));
        Assert.Throws<ArgumentException>("stdDev", () => ConformalIntervals.Normalised(zero, ones(1), zero));
        Assert.Throws<ArgumentException>("target", () => ConformalIntervals.Normalised(zero, one, ones(30, 1)));
        Assert.Throws<ArgumentException>("target", () => ConformalIntervals.FromQuantiles(zero, one, full([30], float.NaN)));
        Assert.Throws<ArgumentException>("upper", () => ConformalIntervals.FromQuantiles(zero, ones(1), zero));
        Assert.Throws<ArgumentOutOfRangeException>("level", () => ConformalIntervals.Normalised(zero, one, zero, 1));
        Assert.Throws<ArgumentException>("prediction", () => ConformalIntervals.Normalised(zero, one, zero).Interval(zeros(4, 2), ones(4, 2)));
        using var predictive = new GaussianPredictive(zeros(1, 4, 1), zeros(1, 1, 1));
        Assert.Throws<InvalidOperationException>(() => ConformalIntervals.FromQuantiles(zero, one, zero).Interval(predictive));
        Assert.Throws<ArgumentException>("probabilities", () => ConformalSets.Fit(ones(3, 2), zeros(3, ScalarType.Int64)));
        Assert.Throws<ArgumentOutOfRangeException>("level", () => ConformalSets.Fit(full([3, 2], 0.5), zeros(3, ScalarType.Int64), 0));
    }

    [Fact]
    public void NothingIsLeftBehind()
    {
        Use();
        long before = LiveTensors.Settled();
        for (int i = 0; i < 3; i++)
            Use();
        Assert.Equal(before, Tensor.TotalCount);

        static void Use()
        {
            using Tensor zero = zeros(30), one = ones(30), even = full([30, 2], 0.5), target = zeros(30, ScalarType.Int64);
            foreach (ConformalIntervals conformal in new[] { ConformalIntervals.Normalised(zero, one, one), ConformalIntervals.FromQuantiles(zero, one, one) })
            {
                (Tensor lower, Tensor upper) = conformal.Interval(zero, one);
                using (lower)
                using (upper)
                    Assert.Equal(30, lower.numel());
            }

            using Tensor sets = ConformalSets.Fit(even, target, score: ConformalSetScore.Adaptive).Sets(even);
            Assert.Equal([30, 2], sets.shape);
        }
    }
}
