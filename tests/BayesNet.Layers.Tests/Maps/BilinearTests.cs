using BayesNet.Estimators;
using BayesNet.Posteriors;
using BayesNet.TestKit;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Maps;

/// <summary>The bilinear layer: the twin's numbers, divergence and errors. Its moments and gradients are in the estimators' battery.</summary>
public sealed class BilinearTests
{
    [Theory]
    [InlineData(true, 2)]
    [InlineData(false, 2)]
    [InlineData(true, 5)]
    public void TheMeanIsTheTwinsOutput(bool hasBias, long outputs)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var twin = nn.Bilinear(4, 3, outputs, hasBias);
        using var layer = bnn.Bilinear(4, 3, outputs, hasBias);
        layer.WeightPosterior.Mean.copy_(twin.weight!);
        if (hasBias)
            layer.BiasPosterior!.Mean.copy_(twin.bias!);
        Assert.Equal(hasBias, layer.BiasPosterior is not null);
        foreach (long[] leading in new long[][] { [], [5], [5, 2] })
        {
            Tensor first = randn([.. leading, 4]), second = randn([.. leading, 3]), expected = twin.call(first, second);
            foreach (EstimatorCase estimator in EstimatorCase.All)
            {
                using var scoped = layer.WithEstimator(estimator.Estimator);
                Tensor output = layer.call(first, second);
                Assert.Equal(expected.shape, output.shape);
                if (estimator.Estimator == Estimator.MeanOnly)
                    Assert.True((output - expected).abs().max().item<float>() < 1e-5f);
            }
        }
    }

    /// <summary>Var[y] = sum_ij x1_i^2 x2_j^2 sigma_ij^2, by hand: computed from x1' (A x2), and by the fused function of the products.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void TheVarianceIsTheFormulas(long outputs)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var options = new BayesOptions { Posterior = new MeanFieldGaussianSpecification { InitialStdDev = 0.3 }, Seed = 2 };
        using var layer = bnn.Bilinear(2, 3, outputs, hasBias: false, dtype: ScalarType.Float64, options: options);
        Tensor first = randn(1, 2, dtype: ScalarType.Float64), second = randn(1, 3, dtype: ScalarType.Float64);
        var draws = new Tensor[4000];
        for (int i = 0; i < draws.Length; i++)
            draws[i] = layer.call(first, second).flatten();
        SampleMoments.AssertVariance(stack(draws), (0.09 * first.square().sum() * second.square().sum()).expand(outputs));
    }

    [Fact]
    public void TheLayerIsAModuleLikeTheOthers()
    {
        using var scope = NewDisposeScope();
        using var layer = bnn.Bilinear(2, 3, 2);
        Assert.Equal(["bias.log_scale", "bias.mean", "weight.log_scale", "weight.mean"], layer.state_dict().Keys.Order(StringComparer.Ordinal));
        Assert.Single(layer.BayesianModules());

        // Initial means within 1 / sqrt(in1), sigma 0.01: KL of 14 entries from N(0, 1).
        Assert.True(layer.WeightPosterior.Mean.abs().max().item<float>() <= 1 / Math.Sqrt(2) + 1e-6);
        double squares = layer.WeightPosterior.Mean.square().sum().item<float>() + layer.BiasPosterior!.Mean.square().sum().item<float>();
        double byHand = 14 * (0.5 * 1e-4 - Math.Log(0.01) - 0.5) + squares / 2;
        Assert.Equal(byHand, layer.KlDivergence().item<float>(), 1e-5 * byHand);

        layer.to(ScalarType.Float64);
        Tensor output = layer.call(randn(4, 2, dtype: ScalarType.Float64), randn(4, 3, dtype: ScalarType.Float64));
        Assert.Equal(ScalarType.Float64, output.dtype);
        (output.sum() + layer.KlDivergence()).backward();
        Assert.All(layer.parameters(), parameter => Assert.NotNull(parameter.grad));
        Assert.Equal("BayesBilinear(bilinear 2 x 3 -> 2, MeanFieldGaussian, prior GaussianPrior, local reparameterization)", layer.ToString());
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        Assert.Throws<ArgumentOutOfRangeException>(() => bnn.Bilinear(0, 3, 2));
        using var layer = bnn.Bilinear(2, 3, 2);
        Assert.Contains("(4, 3)", Assert.Throws<ArgumentException>("input2", () => layer.call(randn(5, 2), randn(4, 3))).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>("input2", () => layer.call(randn(5, 2), randn(5, 4)));
        Assert.Throws<ArgumentException>("input", () => layer.call(randn(5, 2, dtype: ScalarType.Float64), randn(5, 3, dtype: ScalarType.Float64)));
    }

    [Fact]
    public void WhatIsMadeIsFreed()
    {
        using var layer = bnn.Bilinear(2, 3, 2);
        using Tensor first = randn(5, 2), second = randn(5, 3);
        foreach (EstimatorCase estimator in EstimatorCase.All)
        {
            using var _ = layer.WithEstimator(estimator.Estimator);
            Pass();
            long before = LiveTensors.Settled();
            for (int i = 0; i < 10; i++)
                Pass();
            Assert.Equal(before, Tensor.TotalCount);
        }

        void Pass()
        {
            using Tensor output = layer.call(first, second), sum = output.sum();
            sum.backward();
            layer.zero_grad();
        }
    }
}
