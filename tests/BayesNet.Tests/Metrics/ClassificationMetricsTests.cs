using BayesNet.Metrics;
using BayesNet.Prediction;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Metrics;

public sealed class ClassificationMetricsTests
{
    private static readonly double[,] Probabilities = { { 0.7, 0.2, 0.1 }, { 0.25, 0.5, 0.25 }, { 0.05, 0.05, 0.9 }, { 0.3, 0.3, 0.4 } };
    private static readonly long[] Target = [0, 2, 2, 1];

    private static (Tensor Probabilities, Tensor Target) Random(int batch, int classes)
    {
        using var generator = new Generator(21, CPU);
        Tensor probabilities = (2 * randn([batch, classes], ScalarType.Float64, generator: generator)).softmax(1);
        return (probabilities, probabilities.multinomial(1, generator: generator).squeeze(1));
    }

    [Theory]
    [InlineData(ScalarType.Float32, 1e-7)]
    [InlineData(ScalarType.Float64, 1e-15)]
    public void ScoresAreThoseByHand(ScalarType dtype, double tolerance)
    {
        using var scope = NewDisposeScope();
        Tensor probabilities = tensor(Probabilities).to(dtype), target = tensor(Target);
        Assert.Equal(0.5, ClassificationMetrics.Accuracy(probabilities, target), tolerance);
        Assert.Equal(-Math.Log(0.7 * 0.25 * 0.9 * 0.3) / 4, ClassificationMetrics.NegativeLogLikelihood(probabilities, target), tolerance);
        double[] rows = [0.09 + 0.04 + 0.01, 0.0625 + 0.25 + 0.5625, 0.0025 + 0.0025 + 0.01, 0.09 + 0.49 + 0.16];
        Assert.Equal(rows.Average(), ClassificationMetrics.BrierScore(probabilities, target), tolerance);
    }

    [Fact]
    public void APredictiveHasItsLogLikelihoodWithoutUnderflow()
    {
        using var scope = NewDisposeScope();
        using var predictive = new CategoricalPredictive(tensor(new[] { 0f, -2000f, 0f, -3000f }).reshape(2, 1, 2));
        Assert.Equal(2000 + Math.Log(2), ClassificationMetrics.NegativeLogLikelihood(predictive, tensor(new[] { 1L })), 1e-3);
        Assert.Equal(double.PositiveInfinity, ClassificationMetrics.NegativeLogLikelihood(predictive.Mean, tensor(new[] { 1L })));
    }

    [Fact]
    public void BinsOfEqualWidthAreThoseByHand()
    {
        using var scope = NewDisposeScope();
        ReliabilityDiagram diagram = ReliabilityDiagram.OfTopClass(tensor(Probabilities), tensor(Target), bins: 4);

        // Confidences 0.7, 0.5, 0.9, 0.4, of which the first and the third are right; 0.5 belongs to (0.25, 0.5].
        Assert.Equal(3, diagram.Bins.Count);
        Check(diagram.Bins[0], 0.25, 0.5, 2, 0.45, 0);
        Check(diagram.Bins[1], 0.5, 0.75, 1, 0.7, 1);
        Check(diagram.Bins[2], 0.75, 1, 1, 0.9, 1);
        Assert.Equal(4, diagram.Count);
        Assert.Equal((2 * 0.45 + 0.3 + 0.1) / 4, diagram.ExpectedCalibrationError, 1e-15);
        Assert.Equal(0.45, diagram.MaximumCalibrationError, 1e-15);
        Assert.Equal(diagram.ExpectedCalibrationError, ClassificationMetrics.ExpectedCalibrationError(tensor(Probabilities), tensor(Target), 4));
        Assert.Equal(diagram.MaximumCalibrationError, ClassificationMetrics.MaximumCalibrationError(tensor(Probabilities), tensor(Target), 4));
    }

    [Fact]
    public void BinsOfEqualMassAreThoseByHand()
    {
        using var scope = NewDisposeScope();
        ReliabilityDiagram diagram = ReliabilityDiagram.OfTopClass(tensor(Probabilities), tensor(Target), bins: 2, Binning.EqualMass);
        Assert.Equal(2, diagram.Bins.Count);
        Check(diagram.Bins[0], 0.4, 0.5, 2, 0.45, 0);
        Check(diagram.Bins[1], 0.7, 0.9, 2, 0.8, 1);
        Assert.Equal((0.45 + 0.2) / 2, diagram.ExpectedCalibrationError, 1e-15);
    }

    [Fact]
    public void EqualMassNeverPartsEqualProbabilities()
    {
        double[] confidence = [0.6, 0.8, 0.6, 0.6, 0.6, 0.9, 0.6, 0.2], outcome = [1, 1, 0, 0, 1, 1, 0, 0];
        ReliabilityDiagram diagram = ReliabilityDiagram.Of(confidence, outcome, 4, Binning.EqualMass);
        Assert.Equal(8, diagram.Count);
        Assert.Equal([6, 2], diagram.Bins.Select(bin => bin.Count));
        Assert.Equal([0.2, 0.8], diagram.Bins.Select(bin => bin.Lower));
    }

    [Fact]
    public void EqualMassHoldsAsManyInEachBin()
    {
        using var scope = NewDisposeScope();
        (Tensor probabilities, Tensor target) = Random(1003, 5);
        ReliabilityDiagram diagram = ReliabilityDiagram.OfTopClass(probabilities, target, 10, Binning.EqualMass);
        Assert.Equal(10, diagram.Bins.Count);
        Assert.All(diagram.Bins, bin => Assert.InRange(bin.Count, 100, 101));
        Assert.Equal(1003, diagram.Count);
    }

    [Theory]
    [InlineData(Binning.EqualWidth)]
    [InlineData(Binning.EqualMass)]
    public void CalibratedProbabilitiesLieWithinTheirStandardErrors(Binning binning)
    {
        using var scope = NewDisposeScope();
        (Tensor probabilities, Tensor target) = Random(20000, 4);
        for (int index = 0; index < 4; index++)
        {
            foreach (ReliabilityBin bin in ReliabilityDiagram.OfClass(probabilities, target, index, 10, binning).Bins)
                Assert.True(bin.Gap < 5 * Math.Sqrt(bin.Confidence * (1 - bin.Confidence) / bin.Count) + 1e-3, bin.ToString());
        }
    }

    [Fact]
    public void ClasswiseErrorIsThatByHand()
    {
        using var scope = NewDisposeScope();
        Tensor probabilities = tensor(new[,] { { 0.8, 0.2 }, { 0.6, 0.4 } }), target = tensor(new[] { 0L, 1L });

        // Two bins. Class 0: 0.8 and 0.6 in one, half of them true, a gap of 0.2. Class 1: 0.2 and 0.4, half of them true, 0.2.
        Assert.Equal(0.2, ClassificationMetrics.ClasswiseCalibrationError(probabilities, target, 2), 1e-15);
        Assert.Equal(0.2, ReliabilityDiagram.OfClass(probabilities, target, 1, 2).ExpectedCalibrationError, 1e-15);
    }

    [Theory]
    [InlineData(3, Binning.EqualWidth)]
    [InlineData(15, Binning.EqualWidth)]
    [InlineData(7, Binning.EqualMass)]
    public void TheBrierPartsAddUp(int bins, Binning binning)
    {
        using var scope = NewDisposeScope();
        (Tensor probabilities, Tensor target) = Random(500, 4);
        BrierDecomposition parts = ClassificationMetrics.BrierDecomposition(probabilities, target, bins, binning);
        Assert.Equal(ClassificationMetrics.BrierScore(probabilities, target), parts.Score, 1e-13);
        double[] frequencies = [.. Enumerable.Range(0, 4).Select(c => target.eq(tensor((long)c)).to(ScalarType.Float64).mean().item<double>())];
        Assert.Equal(frequencies.Sum(f => f * (1 - f)), parts.Uncertainty, 1e-13);
        Assert.True(parts.Reliability > 0 && parts.Resolution > 0);
    }

    [Fact]
    public void TheBrierPartsAreMurphysForFewDistinctForecasts()
    {
        using var scope = NewDisposeScope();
        double[] p = [0.25, 0.25, 0.25, 0.25, 0.75, 0.75], o = [0, 0, 1, 0, 1, 1];
        BrierDecomposition parts = BrierDecomposition.Of([.. p], [.. o], 2, Binning.EqualWidth);
        Assert.Equal((4 * 0 + 2 * 0.0625) / 6, parts.Reliability, 1e-15);
        Assert.Equal((4 * 0.0625 + 2 * 0.25) / 6, parts.Resolution, 1e-15);
        Assert.Equal(0.25, parts.Uncertainty, 1e-15);
        Assert.Equal(0, parts.WithinBins, 1e-15);
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        Tensor probabilities = tensor(Probabilities), target = tensor(Target);
        Assert.Throws<ArgumentException>("probabilities", () => ClassificationMetrics.Accuracy(probabilities.log(), target));
        Assert.Throws<ArgumentException>("probabilities", () => ClassificationMetrics.BrierScore(probabilities * 2, target));
        Assert.Throws<ArgumentException>("probabilities", () => ClassificationMetrics.Accuracy(probabilities[0], target));
        Assert.Throws<ArgumentException>("probabilities", () => ClassificationMetrics.Accuracy(zeros(0, 3), target));
        Assert.Throws<ArgumentException>("target", () => ClassificationMetrics.Accuracy(probabilities, target.to(ScalarType.Float32)));
        Assert.Throws<ArgumentException>("target", () => ClassificationMetrics.BrierScore(probabilities, tensor(new[] { 0L, 1, 2, 3 })));
        Assert.Throws<ArgumentNullException>("target", () => ClassificationMetrics.BrierScore(probabilities, null!));
        Assert.Throws<ArgumentOutOfRangeException>("bins", () => ClassificationMetrics.ExpectedCalibrationError(probabilities, target, 0));
        Assert.Throws<ArgumentOutOfRangeException>("classIndex", () => ReliabilityDiagram.OfClass(probabilities, target, 3));
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
            using Tensor probabilities = tensor(Probabilities), target = tensor(Target);
            double[] scores =
            [
                ClassificationMetrics.Accuracy(probabilities, target), ClassificationMetrics.NegativeLogLikelihood(probabilities, target),
                ClassificationMetrics.BrierScore(probabilities, target), ClassificationMetrics.BrierDecomposition(probabilities, target).Score,
                ClassificationMetrics.ExpectedCalibrationError(probabilities, target),
                ClassificationMetrics.ClasswiseCalibrationError(probabilities, target),
            ];
            Assert.All(scores, score => Assert.True(double.IsFinite(score)));
        }
    }

    private static void Check(ReliabilityBin bin, double lower, double upper, int count, double confidence, double frequency)
    {
        Assert.Equal(lower, bin.Lower, 1e-15);
        Assert.Equal(upper, bin.Upper, 1e-15);
        Assert.Equal(count, bin.Count);
        Assert.Equal(confidence, bin.Confidence, 1e-15);
        Assert.Equal(frequency, bin.Frequency, 1e-15);
    }
}
