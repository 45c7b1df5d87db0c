using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.TestKit;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Maps;

/// <summary>What transposed convolutions have beyond the other layers; twins, moments and gradients are tested with theirs.</summary>
public sealed class TransposedConvolutionTests
{
    [Fact]
    public void TheOutputSizeIsTheTwins()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var twin = nn.ConvTranspose2d(2, 3, 3, stride: 3, padding: 1);
        using var layer = bnn.ConvTranspose2d(2, 3, 3, stride: 3, padding: 1);
        layer.WeightPosterior.Mean.copy_(twin.weight!);
        layer.BiasPosterior!.Mean.copy_(twin.bias!);
        Tensor input = randn(4, 2, 5, 4);
        foreach (long[] size in new long[][] { [13, 10], [15, 12], [4, 3, 14, 11] })
        {
            foreach (EstimatorCase estimator in EstimatorCase.All)
            {
                using var scoped = layer.WithEstimator(estimator.Estimator);
                Tensor output = layer.forward(input, size);
                Assert.Equal([4, 3, size[^2], size[^1]], output.shape);
                if (estimator.Estimator == Estimator.MeanOnly)
                    Assert.True((output - twin.forward(input, size[^2..])).abs().max().item<float>() < 1e-5f);
            }
        }

        Assert.Equal(layer.forward(input).shape, layer.forward(input, null).shape);
        Assert.Equal([3, 14, 11], layer.forward(randn(2, 5, 4), [14, 11]).shape);
        Assert.Contains("13 to 15", Assert.Throws<ArgumentException>("outputSize", () => layer.forward(input, [16, 12])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>("outputSize", () => layer.forward(input, [16]));
    }

    /// <summary>
    /// (n - 1) stride - 2 padding + dilation (kernel - 1) + output padding + 1 in each dimension; nn.ConvTranspose2d of TorchSharp 0.107 takes the first
    /// output padding for all of them.
    /// </summary>
    [Fact]
    public void EveryDimensionHasItsOwnOutputPadding()
    {
        using var scope = NewDisposeScope();
        using var layer = bnn.ConvTranspose2d(2, 4, (3, 2), (3, 2), (1, 0), (2, 0), (1, 2));
        Tensor input = randn(3, 2, 4, 3);
        Tensor expected = nn.functional.conv_transpose2d(
            input, layer.WeightPosterior.Mean, layer.BiasPosterior!.Mean, strides: [3, 2], padding: [1, 0], output_padding: [2, 0], dilation: [1, 2]);
        Assert.Equal([3, 4, 12, 7], expected.shape);
        using var _ = layer.WithEstimator(Estimator.MeanOnly);
        Assert.True((layer.call(input) - expected).abs().max().item<float>() < 1e-5f);
    }

    [Fact]
    public void EveryPosteriorGoesWithThem()
    {
        using var scope = NewDisposeScope();
        foreach (PosteriorSpecification posterior in new PosteriorSpecification[]
        {
            new FullCovarianceGaussianSpecification(), new LowRankGaussianSpecification(), new MatrixNormalSpecification(),
            new VariationalDropoutSpecification { Sharing = ParameterSharing.PerOutput }, new ConcreteDropoutSpecification { RatePerInput = true },
            new SpikeAndSlabSpecification(), new MeanFieldStudentTSpecification(),
        })
        {
            using var layer = bnn.ConvTranspose1d(3, 2, 2, options: new BayesOptions { Posterior = posterior, Estimator = Estimator.WeightsPerExample });
            Assert.Equal([3, 2, 2], layer.WeightPosterior.Shape.ToArray());
            foreach (EstimatorCase estimator in EstimatorCase.All)
            {
                if (layer.WhyNot(estimator.Estimator) is not null)
                    continue;
                using var _ = layer.WithEstimator(estimator.Estimator);
                layer.call(randn(4, 3, 5)).sum().backward();
            }
        }
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        Assert.Throws<ArgumentException>("padding_mode", () => bnn.ConvTranspose1d(2, 3, 2, padding_mode: PaddingModes.Reflect));
        Assert.Contains("below", Assert.Throws<ArgumentOutOfRangeException>("outputPadding", () => bnn.ConvTranspose1d(2, 3, 2, output_padding: 1)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>("groups", () => bnn.ConvTranspose2d(3, 4, 2, groups: 2));
        Assert.Throws<ArgumentException>("dimensions", () => new BayesConvTranspose1d(new TransposedConvolutionMap(2, 3, [2, 2])));
        using var layer = bnn.ConvTranspose2d(3, 4, 2);
        Assert.Contains("transposed", Assert.Throws<ArgumentException>("input", () => layer.call(randn(2, 4, 5, 5))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatIsMadeIsFreed()
    {
        using var layer = bnn.ConvTranspose2d(2, 3, 2, groups: 1);
        using Tensor input = randn(3, 2, 4, 4);
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
            using Tensor output = layer.call(input), sum = output.sum();
            sum.backward();
            layer.zero_grad();
        }
    }
}
