using BayesNet.Metrics;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Metrics;

public sealed class DetectionTests
{
    /// <summary>Scores of few values, so that there are many ties within and between the kinds.</summary>
    private static (Tensor Inside, Tensor Outside) Tied()
    {
        using var generator = new Generator(31, CPU);
        return (randint(10, [60], ScalarType.Float64, generator: generator), randint(10, [40], ScalarType.Float64, generator: generator) + 2);
    }

    [Fact]
    public void AurocIsTheShareOfPairs()
    {
        using var scope = NewDisposeScope();
        (Tensor inside, Tensor outside) = Tied();
        Tensor gap = outside.unsqueeze(1) - inside.unsqueeze(0);
        double pairs = (gap.gt(0).to(ScalarType.Float64) + gap.eq(0).to(ScalarType.Float64) / 2).mean().item<double>();
        DetectionScore score = DetectionScore.OutOfDistribution(inside, outside);
        Assert.Equal(pairs, score.Auroc, 1e-14);
        Assert.Equal((40, 60), (score.Positives, score.Negatives));
        Assert.Equal(1 - pairs, DetectionScore.OutOfDistribution(outside, inside).Auroc, 1e-14);
    }

    [Fact]
    public void AveragePrecisionIsTheSumOverThresholds()
    {
        using var scope = NewDisposeScope();
        (Tensor inside, Tensor outside) = Tied();
        double expected = 0, recall = 0;
        for (double threshold = 11; threshold >= 0; threshold--)
        {
            double found = outside.ge(threshold).sum().item<long>(), called = found + inside.ge(threshold).sum().item<long>();
            if (called > 0)
                expected += (found / 40 - recall) * found / called;
            recall = found / 40;
        }

        Assert.Equal(expected, DetectionScore.OutOfDistribution(inside, outside).AveragePrecision, 1e-14);
    }

    [Fact]
    public void ScoresThatTellAllOrNothingAreOneOrChance()
    {
        using var scope = NewDisposeScope();
        DetectionScore all = DetectionScore.OutOfDistribution(arange(5, ScalarType.Float32), full([3], float.PositiveInfinity));
        Assert.Equal((1.0, 1.0), (all.Auroc, all.AveragePrecision));
        DetectionScore nothing = DetectionScore.OutOfDistribution(zeros(6), zeros(2));
        Assert.Equal((0.5, 0.25), (nothing.Auroc, nothing.AveragePrecision));
    }

    [Fact]
    public void MisclassificationSeparatesWrongFromRight()
    {
        using var scope = NewDisposeScope();
        Tensor uncertainty = tensor(new[] { 0.9, 0.1, 0.5, 0.3 }), predicted = tensor(new[] { 0L, 1, 2, 2 }), target = tensor(new[] { 1L, 1, 2, 0 });

        // Wrong at 0.9 and 0.3, right at 0.1 and 0.5: three of four pairs in order; precision 1 at recall 1/2, 2/3 at recall 1.
        DetectionScore score = DetectionScore.Misclassification(uncertainty, predicted, target);
        Assert.Equal(0.75, score.Auroc, 1e-15);
        Assert.Equal(0.5 + 0.5 * 2 / 3, score.AveragePrecision, 1e-15);
    }

    [Fact]
    public void TheRiskCoverageCurveIsThatByHand()
    {
        using var scope = NewDisposeScope();
        RiskCoverageCurve curve = RiskCoverageCurve.Of(tensor(new[] { 0.4, 0.1, 0.3, 0.2 }), tensor(new[] { 1.0, 0, 0, 1 }));
        Assert.Equal([0.25, 0.5, 0.75, 1], curve.Coverages);
        Assert.Equal([0, 0.5, 1 / 3.0, 0.5], curve.Risks);
        Assert.Equal((0.5 + 1 / 3.0 + 0.5) / 4, curve.Area, 1e-15);

        // The best order is 0, 0, 1, 1.
        Assert.Equal(curve.Area - (1 / 3.0 + 0.5) / 4, curve.ExcessArea, 1e-15);
    }

    [Fact]
    public void EqualUncertaintiesHaveTheExpectedRisk()
    {
        using var scope = NewDisposeScope();
        double[] losses = [1, 0, 0, 2];

        // The mean over all orders of the three examples that are tied.
        int[][] orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        double[] expected = [.. Enumerable.Range(1, 3).Select(k => orders.Average(order => order.Take(k).Average(i => losses[i]))), 0.75];
        RiskCoverageCurve curve = RiskCoverageCurve.Of(tensor(new[] { 0.5, 0.5, 0.5, 0.9 }), tensor(losses));
        for (int k = 0; k < 4; k++)
            Assert.Equal(expected[k], curve.Risks[k], 1e-15);
    }

    [Fact]
    public void APerfectOrderHasNoExcess()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(32, CPU);
        Tensor loss = rand([100], ScalarType.Float64, generator: generator);
        Assert.Equal(0, RiskCoverageCurve.Of(loss, loss).ExcessArea, 1e-15);
        Assert.True(RiskCoverageCurve.Of(-loss, loss).ExcessArea > 0.1);
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        Tensor two = zeros(2), bad = tensor(new[] { 0, float.NaN }), classes = tensor(new[] { 0L, 1 });
        Assert.Throws<ArgumentException>("inside", () => DetectionScore.OutOfDistribution(zeros(0), two));
        Assert.Throws<ArgumentException>("outside", () => DetectionScore.OutOfDistribution(two, bad));
        Assert.Throws<ArgumentException>("predicted", () => DetectionScore.Misclassification(two, classes, classes));
        Assert.Throws<ArgumentException>("target", () => DetectionScore.Misclassification(two, classes, tensor(new[] { 0L })));
        Assert.Throws<ArgumentException>("loss", () => RiskCoverageCurve.Of(two, zeros(2, 1)));
        Assert.Throws<ArgumentException>("loss", () => RiskCoverageCurve.Of(two, bad));
        Assert.Throws<ArgumentException>("uncertainty", () => RiskCoverageCurve.Of(bad, two));
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
            using Tensor scores = zeros(2), predicted = tensor(new[] { 0L, 1 }), target = tensor(new[] { 0L, 0 });
            Assert.Equal(0.5, DetectionScore.OutOfDistribution(scores, scores).Auroc);
            Assert.Equal(0.5, DetectionScore.Misclassification(scores, predicted, target).Auroc);
            Assert.Equal(0, RiskCoverageCurve.Of(scores, scores).Area);
        }
    }
}
