using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Likelihoods;

public sealed class HeteroscedasticGaussianLikelihoodTests
{
    // Two outputs: the means first, then the logarithms of the noise.
    private static readonly double[,] Outputs = { { 0.3, -1.2, -0.5, 0.2 }, { 2.0, 0.5, 1.5, -3.0 }, { -0.7, 4.0, 0.0, -1.0 } };
    private static readonly double[,] Targets = { { 0.1, -1.0 }, { 5.0, 0.5 }, { -0.7, 3.0 } };

    [Theory]
    [InlineData(ScalarType.Float32, 0, 1e-6)]
    [InlineData(ScalarType.Float64, 0, 1e-14)]
    [InlineData(ScalarType.Float32, 0.1, 1e-6)]
    [InlineData(ScalarType.Float64, 0.1, 1e-14)]
    public void LogLikelihoodIsTheGaussians(ScalarType dtype, double minNoise, double tolerance)
    {
        using var scope = NewDisposeScope();
        using var likelihood = new HeteroscedasticGaussianLikelihood(minNoise);
        Tensor computed = likelihood.LogLikelihood(tensor(Outputs, dtype: dtype), tensor(Targets, dtype: dtype));
        Assert.Equal(dtype, computed.dtype);
        Assert.Equal([3], computed.shape);
        for (int row = 0; row < 3; row++)
        {
            double exact = 0;
            for (int k = 0; k < 2; k++)
                exact += GaussianLikelihoodTests.LogDensity(Targets[row, k], Outputs[row, k], Math.Exp(Outputs[row, 2 + k]) + minNoise);
            Assert.Equal(exact, computed[row].to(ScalarType.Float64).item<double>(), tolerance * Math.Max(1, Math.Abs(exact)));
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.1)]
    public void GradientsAreThoseOfFiniteDifferences(double minNoise)
    {
        using var scope = NewDisposeScope();
        using var likelihood = new HeteroscedasticGaussianLikelihood(minNoise);
        Tensor output = tensor(Outputs, requires_grad: true);
        Tensor target = tensor(Targets);
        FiniteDifferences.AssertGradients(() => likelihood.LogLikelihood(output, target).sum(), ("output", output));
        Assert.Empty(likelihood.parameters());
    }

    [Fact]
    public void ExtremeNoiseLevelsStayFiniteInFloat32()
    {
        using var scope = NewDisposeScope();
        using var free = new HeteroscedasticGaussianLikelihood();
        using var bounded = new HeteroscedasticGaussianLikelihood(minNoise: 0.01);
        Tensor output = tensor(new[,] { { 0f, 60f }, { 0f, 120f } }, requires_grad: true);
        Tensor value = free.LogLikelihood(output, tensor(new[,] { { 3f }, { 3f } }));
        value.sum().backward();
        Assert.Equal(-60 - 0.5 * Math.Log(2 * Math.PI), value[0].item<float>(), 1e-5);
        Assert.Equal(-120 - 0.5 * Math.Log(2 * Math.PI), value[1].item<float>(), 1e-5);
        Assert.True(output.grad!.isfinite().all().item<bool>());

        // exp(-200) is zero in float32; the bound is what is left.
        Tensor small = tensor(new[,] { { 0f, -200f } }, requires_grad: true);
        Tensor atBound = bounded.LogLikelihood(small, tensor(new[,] { { 0.03f } }));
        atBound.sum().backward();
        Assert.Equal(GaussianLikelihoodTests.LogDensity(0.03, 0, 0.01), atBound.item<float>(), 1e-5);
        Assert.True(small.grad!.isfinite().all().item<bool>());
    }

    [Fact]
    public void PredictiveHasTheNoiseOfEverySampleAndRow()
    {
        using var scope = NewDisposeScope();
        using var likelihood = new HeteroscedasticGaussianLikelihood(minNoise: 0.05);
        Tensor outputs = randn(5, 3, 4, dtype: ScalarType.Float64);
        using GaussianPredictive predictive = likelihood.Predict(outputs);
        Assert.Equal([5, 3, 2], predictive.Components.shape);
        Assert.True((predictive.Components - outputs[.., .., ..2]).abs().max().item<double>() == 0);
        Assert.True((predictive.Noise - outputs[.., .., 2..].exp() - 0.05).abs().max().item<double>() < 1e-14);
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        using var likelihood = new HeteroscedasticGaussianLikelihood();
        Assert.Throws<ArgumentOutOfRangeException>("minNoise", () => new HeteroscedasticGaussianLikelihood(-1e-9));
        Assert.Throws<ArgumentOutOfRangeException>("minNoise", () => new HeteroscedasticGaussianLikelihood(double.NaN));
        Assert.Throws<ArgumentNullException>("output", () => likelihood.LogLikelihood(null!, zeros(2, 1)));
        Assert.Throws<ArgumentNullException>("target", () => likelihood.LogLikelihood(zeros(2, 2), null!));
        Assert.Throws<ArgumentNullException>("outputs", () => likelihood.Predict(null!));
        ArgumentException odd = Assert.Throws<ArgumentException>("output", () => likelihood.LogLikelihood(zeros(2, 3), zeros(2, 1)));
        Assert.Contains("(2, 3)", odd.Message, StringComparison.Ordinal);
        Assert.Contains("twice as many outputs", odd.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>("output", () => likelihood.LogLikelihood(zeros(2), zeros(2)));
        Assert.Throws<ArgumentException>("output", () => likelihood.LogLikelihood(zeros(2, 0), zeros(2, 0)));
        Assert.Throws<ArgumentException>("outputs", () => likelihood.Predict(zeros(7, 2, 3)));
        Assert.Throws<ArgumentException>("outputs", () => likelihood.Predict(zeros(7, 2)));
        ArgumentException shape = Assert.Throws<ArgumentException>("target", () => likelihood.LogLikelihood(zeros(2, 2), zeros(2)));
        Assert.Contains("(2, 1)", shape.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>("target", () => likelihood.LogLikelihood(zeros(2, 2), zeros(2, 2)));
    }
}
