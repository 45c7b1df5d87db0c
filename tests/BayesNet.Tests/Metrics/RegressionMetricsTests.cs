using BayesNet.Metrics;
using BayesNet.Prediction;
using BayesNet.TestKit;
using BayesNet.Tests.Reparameterization;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Metrics;

public sealed class RegressionMetricsTests
{
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void ErrorsAreThoseByHand(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        Tensor prediction = tensor(new[] { 1.0, 2, 3, 4 }).to(dtype), target = tensor(new[] { 1.0, 4, 3, 1 }).to(dtype);
        Assert.Equal(Math.Sqrt((4 + 9) / 4.0), RegressionMetrics.Rmse(prediction, target), 1e-15);
        Assert.Equal(5 / 4.0, RegressionMetrics.Mae(prediction, target), 1e-15);
    }

    [Fact]
    public void TypesMayDiffer()
    {
        using var scope = NewDisposeScope();
        Assert.Equal(0.5, RegressionMetrics.Rmse(zeros(3, ScalarType.Float64), full([3], 0.5f)), 1e-15);
    }

    [Fact]
    public void NegativeLogLikelihoodIsThatOfTheMixture()
    {
        using var scope = NewDisposeScope();
        using var predictive = new GaussianPredictive(tensor(new[] { 0.0, 2, 1, 1 }).reshape(2, 2, 1), zeros([1, 1, 1], ScalarType.Float64));
        double first = -Math.Log((Density(0) + Density(1)) / 2), second = -Math.Log((Density(-1) + Density(0)) / 2);
        Assert.Equal((first + second) / 2, RegressionMetrics.NegativeLogLikelihood(predictive, tensor(new[] { 0.0, 1 }).reshape(2, 1)), 1e-14);

        static double Density(double z) => Math.Exp(-z * z / 2) / Math.Sqrt(2 * Math.PI);
    }

    [Fact]
    public void IntervalsAreThoseByHand()
    {
        using var scope = NewDisposeScope();
        Tensor lower = tensor(new[] { 0.0, 0, 0, 0 }), upper = tensor(new[] { 1.0, 2, 3, 4 }), target = tensor(new[] { 1.0, 2.5, -1, 2 });
        Assert.Equal(0.5, RegressionMetrics.IntervalCoverage(lower, upper, target), 1e-15);
        Assert.Equal(2.5, RegressionMetrics.MeanIntervalWidth(lower, upper), 1e-15);

        // alpha = 0.2: misses of 0.5 and 1 cost ten times as much.
        Assert.Equal(2.5 + (5 + 10) / 4.0, RegressionMetrics.IntervalScore(lower, upper, target, 0.8), 1e-14);
    }

    [Fact]
    public void IntervalsMayBeInfinite()
    {
        using var scope = NewDisposeScope();
        Tensor lower = tensor(new[] { double.NegativeInfinity, 0 }), upper = tensor(new[] { double.PositiveInfinity, 1 });
        Assert.Equal(0.5, RegressionMetrics.IntervalCoverage(lower, upper, tensor(new[] { 5.0, 5 })), 1e-15);
        Assert.Equal(double.PositiveInfinity, RegressionMetrics.MeanIntervalWidth(lower, upper));
    }

    [Fact]
    public void TheIntegralTransformOfDrawsIsUniform()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(8, CPU);
        const int Batch = 5000;
        Tensor means = randn([4, Batch, 1], ScalarType.Float64, generator: generator);
        Tensor logNoise = randn([4, Batch, 1], ScalarType.Float64, generator: generator) * 0.5;
        using var predictive = new GaussianPredictive(means, logNoise);
        Tensor chosen = randint(4, [1, Batch, 1], ScalarType.Int64, generator: generator);
        Tensor draws = (means + logNoise.exp() * randn([4, Batch, 1], ScalarType.Float64, generator: generator)).gather(0, chosen).squeeze(0);
        Tensor transform = RegressionMetrics.ProbabilityIntegralTransform(predictive, draws);
        Assert.Equal(draws.shape, transform.shape);
        KolmogorovSmirnov.AssertUniform(transform);

        // Frequencies have a standard deviation of at most 0.5 / sqrt(n), so their error is five of that, and its square has a mean below 0.25 / n.
        QuantileCalibration calibration = QuantileCalibration.Of(predictive, draws);
        Assert.Equal(19, calibration.Levels.Count);
        Assert.All(calibration.Levels.Zip(calibration.Frequencies), pair => Assert.Equal(pair.First, pair.Second, 2.5 / Math.Sqrt(Batch)));
        Assert.InRange(calibration.SquaredError, 0, 6.25 / Batch);
    }

    [Fact]
    public void TheIntegralTransformKeepsItsLowerTail()
    {
        using var scope = NewDisposeScope();
        using var predictive = new GaussianPredictive(zeros([1, 1, 1], ScalarType.Float64), zeros([1, 1, 1], ScalarType.Float64));

        // Phi(-10) = 7.619853024160527e-24.
        double tail = RegressionMetrics.ProbabilityIntegralTransform(predictive, full([1, 1], -10.0, ScalarType.Float64)).item<double>();
        Assert.Equal(1, tail / 7.619853024160527e-24, 1e-12);
    }

    [Fact]
    public void QuantileCalibrationIsThatByHand()
    {
        using var scope = NewDisposeScope();
        QuantileCalibration calibration = QuantileCalibration.Of(tensor(new[] { 0.9, 0.1, 0.5, 0.6 }), [0.1, 0.5, 0.8]);
        Assert.Equal([0.25, 0.5, 0.75], calibration.Frequencies);
        Assert.Equal((0.15 * 0.15 + 0 + 0.05 * 0.05) / 3, calibration.SquaredError, 1e-15);
        Assert.Equal(0.2 / 3, calibration.AbsoluteError, 1e-15);
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        Tensor two = zeros(2), bad = tensor(new[] { 0, float.NaN });
        Assert.Throws<ArgumentException>("prediction", () => RegressionMetrics.Rmse(zeros(2, 1), two));
        Assert.Throws<ArgumentException>("prediction", () => RegressionMetrics.Mae(bad, two));
        Assert.Throws<ArgumentException>("prediction", () => RegressionMetrics.Mae(zeros(0), zeros(0)));
        Assert.Throws<ArgumentNullException>("target", () => RegressionMetrics.Rmse(two, null!));
        Assert.Throws<ArgumentException>("target", () => RegressionMetrics.IntervalCoverage(two, two, zeros(3)));
        Assert.Throws<ArgumentException>("upper", () => RegressionMetrics.MeanIntervalWidth(two, bad));
        Assert.Throws<ArgumentException>("upper", () => RegressionMetrics.MeanIntervalWidth(ones(2), two));
        Assert.Throws<ArgumentOutOfRangeException>("level", () => RegressionMetrics.IntervalScore(two, two, two, 1));
        Assert.Throws<ArgumentException>("transform", () => QuantileCalibration.Of(ones(2) * 2));
        Assert.Throws<ArgumentException>("levels", () => QuantileCalibration.Of(two, []));
        Assert.Throws<ArgumentOutOfRangeException>("levels", () => QuantileCalibration.Of(two, [0.5, 1]));
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
            using Tensor means = zeros(3, 4, 1), logNoise = zeros(1, 1, 1), target = ones(4, 1);
            using var predictive = new GaussianPredictive(means, logNoise);
            double[] scores =
            [
                RegressionMetrics.Rmse(predictive.Mean, target), RegressionMetrics.Mae(predictive.Mean, target),
                RegressionMetrics.NegativeLogLikelihood(predictive, target), RegressionMetrics.Crps(predictive, target),
                RegressionMetrics.Crps(means, target, CrpsEstimator.Fair), QuantileCalibration.Of(predictive, target).SquaredError,
                RegressionMetrics.IntervalCoverage(target, target, target), RegressionMetrics.MeanIntervalWidth(target, target),
                RegressionMetrics.IntervalScore(target, target, target, 0.9),
            ];
            Assert.All(scores, score => Assert.True(double.IsFinite(score)));
        }
    }
}
