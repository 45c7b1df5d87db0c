using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Posteriors;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Estimators;

public sealed class LocalReparameterizationTests
{
    /// <summary>A constant added under the root would show: 1e-6 against a variance of 512e-16 is 20 million times too much.</summary>
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void TinyScalesKeepTheirVariance(ScalarType dtype)
    {
        const double sigma = 1e-8;
        const int rows = 40000;
        using var scope = NewDisposeScope();
        var map = new LinearMap(512, 1);
        using var posterior = new MeanFieldGaussian(zeros(1, 512, dtype: dtype), sigma);
        using var noise = new NoiseSource(1);
        using var _ = no_grad();
        Tensor output = Estimator.LocalReparameterization.Forward(map, posterior, null, ones(rows, 512, dtype: dtype), noise).to(ScalarType.Float64);

        double variance = output.square().mean().item<double>() / (512 * sigma * sigma);
        double standardError = Math.Sqrt(2.0 / rows);
        Assert.InRange(variance, 1 - 0.01 - 4 * standardError, 1 + 0.01 + 4 * standardError);

        Tensor exact = posterior.OutputVariance(map, ones(1, 512, dtype: dtype), null).to(ScalarType.Float64);
        Assert.Equal(1, exact.item<double>() / (512 * sigma * sigma), 0.0001);
    }

    /// <summary>As sigma goes to zero the layer is the deterministic one, and the gradient of the means is the deterministic gradient.</summary>
    [Fact]
    public void WithoutNoiseItIsTheDeterministicLayer()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(1);
        var map = new LinearMap(4, 3);
        Tensor mean = noise.Normal([3, 4], ScalarType.Float64, CPU), input = noise.Normal([5, 4], ScalarType.Float64, CPU);
        using var posterior = new MeanFieldGaussian(mean, 1e-12);
        Estimator.LocalReparameterization.Forward(map, posterior, null, input, noise).square().sum().backward();

        Tensor plain = mean.clone().requires_grad_(true);
        input.mm(plain.t()).square().sum().backward();
        Assert.True((posterior.Mean.grad! - plain.grad!).abs().max().item<double>() < 1e-9);
    }
}
