using BayesNet.Metrics;
using BayesNet.Prediction;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Metrics;

public sealed class CrpsTests
{
    /// <summary>(mean, standard deviation) of each component.</summary>
    private static readonly (double Mean, double StdDev)[][] Mixtures =
    [
        [(0.4, 1.3)],
        [(-2, 0.5), (1, 1)],
        [(-1, 0.3), (0, 2), (0.1, 0.7), (3, 0.2), (3, 0.2)],
    ];

    private static GaussianPredictive Predictive(params (double Mean, double StdDev)[] components)
    {
        using var scope = NewDisposeScope();
        return new GaussianPredictive(
            tensor(components.Select(c => c.Mean).ToArray()).reshape(-1, 1, 1),
            tensor(components.Select(c => Math.Log(c.StdDev)).ToArray()).reshape(-1, 1, 1));
    }

    private static double Phi(double z)
    {
        using var scope = NewDisposeScope();
        return special.ndtr(tensor(z)).item<double>();
    }

    [Theory]
    [InlineData(0.4)]
    [InlineData(-3.0)]
    [InlineData(25.0)]
    public void OneGaussianHasItsClosedForm(double y)
    {
        (double mean, double sd) = Mixtures[0][0];
        double z = (y - mean) / sd;
        double expected = sd * (z * (2 * Phi(z) - 1) + 2 * Math.Exp(-z * z / 2) / Math.Sqrt(2 * Math.PI) - 1 / Math.Sqrt(Math.PI));
        using GaussianPredictive predictive = Predictive(Mixtures[0]);
        using Tensor target = tensor(new[,] { { y } });
        Assert.Equal(expected, RegressionMetrics.Crps(predictive, target), 1e-13 * Math.Max(1, Math.Abs(y)));
    }

    [Theory]
    [InlineData(1, 0.3)]
    [InlineData(1, -4.0)]
    [InlineData(2, 0.05)]
    [InlineData(2, 3.5)]
    public void MixturesHaveTheIntegralOfTheSquaredDistance(int mixture, double y)
    {
        using var scope = NewDisposeScope();
        using GaussianPredictive predictive = Predictive(Mixtures[mixture]);

        // Trapezoids either side of the jump at y. Half an interval is 8e-4, so that the error, h^2/12 times the change of slope, is below 1e-6.
        const int Steps = 20000;
        double integral = OneSide(-30, y, 0) + OneSide(y, 30, 1);
        Assert.Equal(integral, RegressionMetrics.Crps(predictive, tensor(new[,] { { y } })), 1e-6);

        double OneSide(double from, double to, double step)
        {
            Tensor x = linspace(from, to, Steps + 1, ScalarType.Float64).unsqueeze(0);
            Tensor means = predictive.Components.reshape(-1, 1), noise = predictive.Noise.reshape(-1, 1);
            Tensor gap = (special.ndtr((x - means) / noise).mean([0]) - step).square();
            return trapezoid(gap, (to - from) / Steps).item<double>();
        }
    }

    [Theory]
    [InlineData(ScalarType.Float32, 1e-6)]
    [InlineData(ScalarType.Float64, 1e-13)]
    public void ABatchIsTheMeanOfItsEntries(ScalarType dtype, double tolerance)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(5, CPU);

        // 30 samples of 9,000 entries are more than one block.
        Tensor means = randn([30, 4500, 2], ScalarType.Float64, generator: generator).to(dtype);
        Tensor logNoise = (randn([30, 4500, 2], ScalarType.Float64, generator: generator) * 0.3).to(dtype);
        Tensor target = randn([4500, 2], ScalarType.Float64, generator: generator).to(dtype);
        Assert.True(means.numel() > MetricInputs.BlockEntries);
        using var predictive = new GaussianPredictive(means, logNoise);

        Tensor m = means.to(ScalarType.Float64).permute(1, 2, 0), sd = logNoise.to(ScalarType.Float64).exp().permute(1, 2, 0);
        Tensor pairs = Distance(m.unsqueeze(2) - m.unsqueeze(3), sd.unsqueeze(2).square() + sd.unsqueeze(3).square());
        Tensor own = Distance(m - target.to(ScalarType.Float64).unsqueeze(2), sd.square());
        Tensor expected = own.mean([2]) - pairs.mean([2, 3]) / 2;

        Assert.Equal(expected.mean().item<double>(), RegressionMetrics.Crps(predictive, target), tolerance);

        static Tensor Distance(Tensor d, Tensor v)
        {
            Tensor z = d / v.sqrt();
            return v.sqrt() * 2 * (z.square() / -2).exp() / Math.Sqrt(2 * Math.PI) + d * (2 * special.ndtr(z) - 1);
        }
    }

    [Fact]
    public void SamplesHaveTheDoubleSum()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(6, CPU);
        Tensor samples = randn([9, 4, 2], ScalarType.Float64, generator: generator).round(decimals: 1), target = randn([4, 2], ScalarType.Float64, generator: generator);
        double first = (samples - target).abs().mean().item<double>();
        double pairs = (samples.unsqueeze(0) - samples.unsqueeze(1)).abs().sum([0, 1]).mean().item<double>();
        Assert.Equal(first - pairs / (2 * 81), RegressionMetrics.Crps(samples, target, CrpsEstimator.Empirical), 1e-14);
        Assert.Equal(first - pairs / (2 * 72), RegressionMetrics.Crps(samples, target, CrpsEstimator.Fair), 1e-14);
        Assert.Equal(
            (samples[0] - target).abs().mean().item<double>(),
            RegressionMetrics.Crps(samples.narrow(0, 0, 1), target, CrpsEstimator.Empirical),
            1e-15);
    }

    [Fact]
    public void FairSamplesHaveTheScoreOfTheirDistribution()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(7, CPU);
        using GaussianPredictive predictive = Predictive((0, 1));
        double exact = RegressionMetrics.Crps(predictive, tensor(new[,] { { 0.7 } }));

        // Three samples at a time: the bias of the empirical score, E|x - x'| / 2S = 0.19, is far beyond the standard error.
        const int Repeats = 40000;
        Tensor samples = randn([3, Repeats], ScalarType.Float64, generator: generator);
        double[] scores = new double[400];
        for (int i = 0; i < scores.Length; i++)
            scores[i] = RegressionMetrics.Crps(samples.narrow(1, i * 100, 100), full([100], 0.7, ScalarType.Float64), CrpsEstimator.Fair);
        double mean = scores.Average();
        double standardError = Math.Sqrt(scores.Sum(score => (score - mean) * (score - mean)) / (scores.Length - 1) / scores.Length);
        Assert.Equal(exact, mean, 5 * standardError);
        Assert.Equal(
            exact + 1 / Math.Sqrt(Math.PI) / 3,
            RegressionMetrics.Crps(samples, full([Repeats], 0.7, ScalarType.Float64), CrpsEstimator.Empirical),
            5 * standardError);
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        using GaussianPredictive predictive = Predictive((0, 1));
        Assert.Throws<ArgumentException>("target", () => RegressionMetrics.Crps(predictive, zeros(1)));
        Assert.Throws<ArgumentException>("target", () => RegressionMetrics.Crps(predictive, full([1, 1], double.NaN)));
        Assert.Throws<ArgumentNullException>("predictive", () => RegressionMetrics.Crps(null!, zeros(1)));
        Assert.Throws<ArgumentException>("samples", () => RegressionMetrics.Crps(zeros(1, 2), zeros(2), CrpsEstimator.Fair));
        Assert.Throws<ArgumentException>("samples", () => RegressionMetrics.Crps(zeros(3, 2), zeros(3), CrpsEstimator.Fair));
    }
}
