using BayesNet.Divergences;
using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Priors;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Posteriors;

public sealed class GateTests
{
    /// <summary>In evaluation mode a mask is exactly 0 or 1 / (1 - p); in training it is between.</summary>
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void ConcreteDropoutMasksWholeColumns(ScalarType dtype)
    {
        const double p = 0.25;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var noise = new NoiseSource(1);
        using var posterior = new ConcreteDropout(ones(3, 4, dtype: dtype), p);
        Tensor relaxed = posterior.Sample(noise, 2000);
        Assert.True(relaxed.gt(0.01).logical_and(relaxed.lt(1.3)).any().item<bool>());
        posterior.eval();
        Tensor draws = posterior.Sample(noise, 2000).to(ScalarType.Float64);
        Assert.True(draws.eq(draws.select(1, 0).unsqueeze(1)).all().item<bool>(), "Rows of a column have different masks.");
        Tensor kept = draws.gt(0);
        Assert.True((draws - kept.to(ScalarType.Float64) / (1 - p)).abs().max().item<double>() < 1e-6);
        double share = kept.select(1, 0).to(ScalarType.Float64).mean().item<double>();
        Assert.Equal(1 - p, share, 5 * Math.Sqrt(p * (1 - p) / 8000));
    }

    /// <summary>|m|^2 / (2 s^2 (1 - p)) - K H(p) and the constants, in plain arithmetic (Gal, Hron and Kendall 2017, equation 3).</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void ConcreteDropoutHasThePapersDivergence(bool ratePerInput)
    {
        const double p = 0.3, s = 1.7;
        using var scope = NewDisposeScope();
        manual_seed(1);
        Tensor mean = randn(3, 4, dtype: ScalarType.Float64);
        using var posterior = new ConcreteDropout(mean, p, ratePerInput);
        using var prior = new GaussianPrior(0, s);
        double entropy = -p * Math.Log(p) - (1 - p) * Math.Log(1 - p);
        double expected = mean.square().sum().item<double>() / (2 * s * s * (1 - p)) - 4 * entropy + 12 * (Math.Log(s) + 0.5 * Math.Log(2 * Math.PI));
        Assert.Equal(expected, KlDivergences.Compute(posterior, prior).item<double>(), 1e-12);
    }

    /// <summary>The masked inputs of weights per example are the masked weights of its general form.</summary>
    [Fact]
    public void MaskedInputsAreMaskedWeights()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var noise = new NoiseSource();
        manual_seed(2);
        var map = new ConvolutionMap(3, 2, [2, 2]);
        using var posterior = new ConcreteDropout(randn(2, 3, 2, 2, dtype: ScalarType.Float64), 0.4);
        Tensor input = randn(5, 3, 4, 4, dtype: ScalarType.Float64);
        noise.Seed = 3;
        Tensor masked = Estimator.WeightsPerExample.Forward(map, posterior, null, input, noise);
        noise.Seed = 3;
        Tensor general = map.ApplyPerExample(input, posterior.Sample(noise, 5), null);
        Assert.True((masked - general).abs().max().item<double>() < 1e-13);
    }

    /// <summary>pi ln(pi/pi0) + (1 - pi) ln((1 - pi)/(1 - pi0)) a gate, and pi KL(N(mu, sigma^2) || N(0, s^2)) a weight.</summary>
    [Theory]
    [InlineData(ParameterSharing.PerWeight, 6)]
    [InlineData(ParameterSharing.PerOutput, 2)]
    [InlineData(ParameterSharing.PerInput, 3)]
    [InlineData(ParameterSharing.PerLayer, 1)]
    public void SpikeAndSlabHasTheDivergenceOfItsParts(ParameterSharing sharing, int gates)
    {
        const double pi = 0.8, pi0 = 0.3, sigma = 0.2, s = 1.4;
        using var scope = NewDisposeScope();
        manual_seed(3);
        Tensor mean = randn(2, 3, dtype: ScalarType.Float64);
        using var posterior = new SpikeAndSlab(mean, sigma, pi, sharing);
        using var prior = new SpikeAndSlabPrior(pi0, s);
        double gate = pi * Math.Log(pi / pi0) + (1 - pi) * Math.Log((1 - pi) / (1 - pi0));
        double slabs = 6 * (Math.Log(s / sigma) + sigma * sigma / (2 * s * s) - 0.5) + mean.square().sum().item<double>() / (2 * s * s);
        Assert.Equal(gates * gate + pi * slabs, KlDivergences.Compute(posterior, prior).item<double>(), 1e-12);
    }

    [Fact]
    public void TheDivergenceIsZeroAtThePrior()
    {
        using var scope = NewDisposeScope();
        using var posterior = new SpikeAndSlab(zeros(2, 3, dtype: ScalarType.Float64), 1.4, 0.3);
        using var prior = new SpikeAndSlabPrior(0.3, 1.4);
        Tensor divergence = KlDivergences.Compute(posterior, prior);
        divergence.backward();
        Assert.Equal(0, divergence.item<double>(), 1e-14);
        Assert.True(posterior.parameters().All(parameter => parameter.grad!.abs().max().item<double>() < 1e-14));
    }

    /// <summary>Straight-through: zeros are exact in training too, and a closed gate still has a gradient.</summary>
    [Fact]
    public void StraightThroughGatesAreExactAndLearn()
    {
        using var scope = NewDisposeScope();
        manual_seed(4);
        using var noise = new NoiseSource(5);
        using var hard = new SpikeAndSlab(randn(40, 50), 0.1, 0.6, straightThrough: true);
        using var soft = new SpikeAndSlab(hard.SlabMean.detach(), 0.1, 0.6);
        Tensor eps = hard.SampleNoise(noise, []);
        Tensor weight = hard.Transform(eps);
        double share = weight.eq(0).to(ScalarType.Float32).mean().item<float>();
        Assert.Equal(0.4, share, 5 * Math.Sqrt(0.24 / 2000));
        Assert.Equal(0, soft.Transform(eps).eq(0).sum().item<long>());
        weight.sum().backward();
        soft.Transform(eps).sum().backward();
        Assert.True((hard.InclusionLogit.grad! - soft.InclusionLogit.grad!).abs().max().item<float>() < 1e-6);
        Assert.True(hard.InclusionLogit.grad![weight.eq(0)].abs().max().item<float>() > 0);
        hard.eval();
        Assert.True(hard.Transform(eps).eq(weight).all().item<bool>());
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        Assert.Throws<ArgumentException>("initialMean", () => new ConcreteDropout(zeros(3)));
        Assert.Throws<ArgumentOutOfRangeException>("initialRate", () => new ConcreteDropout(zeros(3, 2), 0));
        Assert.Throws<ArgumentOutOfRangeException>("temperature", () => new ConcreteDropout(zeros(3, 2), 0.1, temperature: 0));
        Assert.Throws<ArgumentOutOfRangeException>("initialInclusion", () => new SpikeAndSlab(zeros(3), 0.1, 1));
        Assert.Throws<ArgumentOutOfRangeException>("inclusion", () => new SpikeAndSlabPrior(0));
        using var posterior = new ConcreteDropout(zeros(3, 2));
        Assert.Contains("no density", Assert.Throws<NotSupportedException>(() => posterior.LogDensity(zeros(3, 2))).Message, StringComparison.Ordinal);
    }
}
