using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Likelihoods;

public sealed class GaussianLikelihoodTests
{
    private static readonly double[,] Outputs = { { 0.3, -1.2 }, { 2.0, 0.5 }, { -0.7, 4.0 } };
    private static readonly double[,] Targets = { { 0.1, -1.0 }, { 5.0, 0.5 }, { -0.7, -3.0 } };

    internal static double LogDensity(double y, double mean, double noise)
        => -0.5 * (y - mean) * (y - mean) / (noise * noise) - Math.Log(noise) - 0.5 * Math.Log(2 * Math.PI);

    [Theory]
    [InlineData(ScalarType.Float32, 1e-6)]
    [InlineData(ScalarType.Float64, 1e-14)]
    public void LogLikelihoodIsTheGaussians(ScalarType dtype, double tolerance)
    {
        using var scope = NewDisposeScope();
        using var likelihood = new GaussianLikelihood(noise: 0.4, dtype: dtype);
        Tensor computed = likelihood.LogLikelihood(tensor(Outputs, dtype: dtype), tensor(Targets, dtype: dtype));
        Assert.Equal(dtype, computed.dtype);
        Assert.Equal([3], computed.shape);
        for (int row = 0; row < 3; row++)
        {
            double exact = LogDensity(Targets[row, 0], Outputs[row, 0], 0.4) + LogDensity(Targets[row, 1], Outputs[row, 1], 0.4);
            Assert.Equal(exact, computed[row].to(ScalarType.Float64).item<double>(), tolerance * Math.Max(1, Math.Abs(exact)));
        }
    }

    [Fact]
    public void OutputsWithoutASecondDimensionAreOneAnExample()
    {
        using var scope = NewDisposeScope();
        using var likelihood = new GaussianLikelihood(noise: 2, dtype: ScalarType.Float64);
        Tensor computed = likelihood.LogLikelihood(tensor(new[] { 1.0, 2.0 }), tensor(new[] { 0.0, 5.0 }));
        Assert.Equal(LogDensity(0, 1, 2), computed[0].item<double>(), 1e-14);
        Assert.Equal(LogDensity(5, 2, 2), computed[1].item<double>(), 1e-14);
    }

    [Fact]
    public void GradientsAreThoseOfFiniteDifferences()
    {
        using var scope = NewDisposeScope();
        using var likelihood = new GaussianLikelihood(noise: 0.7, dtype: ScalarType.Float64);
        Tensor output = tensor(Outputs, requires_grad: true);
        Tensor target = tensor(Targets);
        FiniteDifferences.AssertGradients(
            () => likelihood.LogLikelihood(output, target).sum(), ("output", output), ("log_noise", likelihood.named_parameters().Single().parameter));
    }

    [Fact]
    public void NoiseIsAParameterOnlyWhereItIsLearned()
    {
        using var learned = new GaussianLikelihood(noise: 0.25);
        using var fixedNoise = new GaussianLikelihood(learnNoise: false, noise: 3, dtype: ScalarType.Float64);
        Assert.Equal(0.25, learned.Noise, 1e-7);
        Assert.Equal(3, fixedNoise.Noise, 1e-14);
        Assert.True(learned.LearnNoise);
        Assert.Equal("log_noise", learned.named_parameters().Single().name);
        Assert.True(learned.parameters().Single().requires_grad);
        Assert.False(fixedNoise.parameters().Single().requires_grad);
        long before = LiveTensors.Settled();
        _ = learned.Noise + fixedNoise.Noise;
        Assert.Equal(before, Tensor.TotalCount);
    }

    [Fact]
    public void PredictiveCarriesTheNoiseOfTheMoment()
    {
        using var scope = NewDisposeScope();
        using var likelihood = new GaussianLikelihood(noise: 0.5);
        using GaussianPredictive predictive = likelihood.Predict(randn(4, 3, 2, dtype: ScalarType.Float64));
        using (no_grad())
            likelihood.parameters().Single().fill_(5);
        Assert.Equal(ScalarType.Float64, predictive.Noise.dtype);
        Assert.Equal([4, 3, 2], predictive.Noise.shape);
        Assert.True((predictive.Noise - 0.5).abs().max().item<double>() < 1e-7);
        Assert.True((predictive.Aleatoric - 0.5).abs().max().item<double>() < 1e-7);
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        using var likelihood = new GaussianLikelihood();
        Assert.Throws<ArgumentOutOfRangeException>("noise", () => new GaussianLikelihood(noise: 0));
        Assert.Throws<ArgumentOutOfRangeException>("noise", () => new GaussianLikelihood(noise: double.PositiveInfinity));
        Assert.Throws<NotSupportedException>(() => new GaussianLikelihood(dtype: ScalarType.Float16));
        Assert.Throws<ArgumentNullException>("output", () => likelihood.LogLikelihood(null!, zeros(2)));
        Assert.Throws<ArgumentNullException>("target", () => likelihood.LogLikelihood(zeros(2), null!));
        Assert.Throws<ArgumentNullException>("outputs", () => likelihood.Predict(null!));
        ArgumentException broadcast = Assert.Throws<ArgumentException>("target", () => likelihood.LogLikelihood(zeros(5, 1), zeros(5)));
        Assert.Contains("(5, 1)", broadcast.Message, StringComparison.Ordinal);
        Assert.Contains("unsqueeze(-1)", broadcast.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>("output", () => likelihood.LogLikelihood(tensor(1.0), tensor(1.0)));
        Assert.Throws<ArgumentException>("outputs", () => likelihood.Predict(zeros(3)));
        Assert.Throws<ArgumentException>("outputs", () => likelihood.Predict(zeros(0, 3)));
    }
}
