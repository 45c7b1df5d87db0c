using BayesNet.Estimators;
using BayesNet.Priors;
using BayesNet.TestKit;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Maps;

/// <summary>Normalisation with a Bayesian scale and shift: the twin's numbers, the prior about 1, what is refused.</summary>
public sealed class NormalizationTests
{
    public sealed record Twin(string Name, Func<BayesNormalization> Bayesian, Func<nn.Module<Tensor, Tensor>> Plain, long[][] Inputs);

    private static readonly Twin[] Twins =
    [
        new("LayerNorm", () => bnn.LayerNorm(5), () => nn.LayerNorm(5), [[5], [3, 5], [3, 2, 5]]),
        new("LayerNorm of two dimensions", () => bnn.LayerNorm([2, 3], 1e-3), () => nn.LayerNorm([2, 3], 1e-3), [[2, 3], [4, 2, 3]]),
        new("LayerNorm without bias", () => bnn.LayerNorm(5, bias: false), () => nn.LayerNorm(5, bias: false), [[3, 5]]),
        new("BatchNorm1d", () => bnn.BatchNorm1d(4), () => nn.BatchNorm1d(4), [[6, 4], [6, 4, 3]]),
        new("BatchNorm2d", () => bnn.BatchNorm2d(4, momentum: 0.3), () => nn.BatchNorm2d(4, momentum: 0.3), [[6, 4, 3, 2]]),
        new("BatchNorm3d", () => bnn.BatchNorm3d(4), () => nn.BatchNorm3d(4), [[6, 4, 3, 2, 2]]),
        new("GroupNorm", () => bnn.GroupNorm(2, 4), () => nn.GroupNorm(2, 4), [[6, 4, 3], [6, 4, 3, 2]]),
        new("InstanceNorm1d", () => bnn.InstanceNorm1d(4), () => nn.InstanceNorm1d(4, affine: true), [[6, 4, 3], [4, 3]]),
        new("InstanceNorm2d", () => bnn.InstanceNorm2d(4), () => nn.InstanceNorm2d(4, affine: true), [[6, 4, 3, 2], [4, 3, 2]]),
        new("InstanceNorm3d", () => bnn.InstanceNorm3d(4), () => nn.InstanceNorm3d(4, affine: true), [[6, 4, 3, 2, 2]]),
    ];

    public static IEnumerable<TheoryDataRow<string>> Names() => Twins.Select(twin => new TheoryDataRow<string>(twin.Name));

    [Theory]
    [MemberData(nameof(Names))]
    public void TheMeanIsTheTwinsOutput(string name)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Twin twin = Twins.Single(candidate => candidate.Name == name);
        using BayesNormalization layer = twin.Bayesian();
        using nn.Module<Tensor, Tensor> plain = twin.Plain();
        Assert.True(layer.WeightPosterior.Mean.eq(1).all().item<bool>());
        Dictionary<string, Parameter> parameters = plain.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        foreach (Parameter parameter in parameters.Values)
            parameter.copy_(randn_like(parameter));
        layer.WeightPosterior.Mean.copy_(parameters["weight"]);
        layer.BiasPosterior?.Mean.copy_(parameters["bias"]);
        Assert.Equal(parameters.ContainsKey("bias"), layer.BiasPosterior is not null);
        foreach (long[] shape in twin.Inputs)
        {
            // In training mode, then in evaluation mode with the running statistics of the former.
            foreach (bool training in new[] { true, false })
            {
                plain.train(training);
                layer.train(training);
                Tensor input = randn(shape) * 3 + 1;
                foreach (EstimatorCase estimator in EstimatorCase.All)
                {
                    using var scoped = layer.WithEstimator(estimator.Estimator);
                    Tensor output = layer.call(input), expected = plain.call(input);
                    Assert.Equal(expected.shape, output.shape);
                    if (estimator.Estimator == Estimator.MeanOnly)
                        Assert.True((output - expected).abs().max().item<float>() < 1e-5f);
                }
            }
        }
    }

    [Fact]
    public void ThePriorIsAboutOne()
    {
        using var scope = NewDisposeScope();
        using var layer = bnn.LayerNorm(4, options: new BayesOptions { Prior = GaussianPrior.WithStdDev(0.5) });
        using (no_grad())
            layer.WeightPosterior.Mean.add_(0.25);

        // KL(N(m, 0.01^2) || N(c, 0.5^2)): m - c is 1/4 in four weights, 0 in four biases.
        double entry = Math.Log(0.5 / 0.01) + 0.01 * 0.01 / (2 * 0.25) - 0.5, byHand = 8 * entry + 4 * 0.0625 / (2 * 0.25);
        Assert.Equal(byHand, layer.KlDivergence().item<float>(), 1e-5 * byHand);

        foreach (PriorSpecification prior in new[] { LaplacePrior.WithScale(0.3), StudentTPrior.With(4, 0.3), GaussianPrior.With(zeros(1), ones(1)) })
        {
            using var other = bnn.BatchNorm1d(3, options: new BayesOptions { Prior = prior });
            Tensor at = other.WeightPrior.LogDensity(ones(3)).sum(), off = other.WeightPrior.LogDensity(zeros(3)).sum();
            Assert.True(at.item<float>() > off.item<float>());
            Assert.True(other.BiasPrior!.LogDensity(zeros(3)).sum().item<float>() > other.BiasPrior.LogDensity(ones(3)).sum().item<float>());
        }

        Assert.Contains("centre", Assert.Throws<NotSupportedException>(
            () => bnn.LayerNorm(4, options: new BayesOptions { Prior = HorseshoePrior.WithGlobalScale(1) })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void StatisticsAreStateAndDecideWhetherRowsAreIndependent()
    {
        using var scope = NewDisposeScope();
        using var layer = bnn.BatchNorm1d(3);
        Assert.Contains("normalization.running_mean", layer.state_dict().Keys);
        Assert.Contains("weight.mean", layer.state_dict().Keys);
        Assert.Equal("BayesBatchNorm1d(scale 3, MeanFieldGaussian, prior GaussianPrior, local reparameterization)", layer.ToString());
        layer.to(ScalarType.Float64);
        Assert.Equal(ScalarType.Float64, layer.call(randn(5, 3, dtype: ScalarType.Float64)).dtype);
        Assert.True(BayesNet.Prediction.RowIndependence.IsKnown(layer));
        using var without = bnn.BatchNorm1d(3, track_running_stats: false);
        Assert.False(BayesNet.Prediction.RowIndependence.IsKnown(without));
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        Assert.Throws<ArgumentException>("elementwise_affine", () => bnn.LayerNorm(4, elementwise_affine: false));
        Assert.Throws<ArgumentException>("affine", () => bnn.BatchNorm2d(4, affine: false));
        Assert.Throws<ArgumentException>("normalization", () => new BayesNormalization(nn.LayerNorm(4), BayesNet.Maps.ScaleMap.OverEntries(4)));
        using var layer = bnn.LayerNorm(4);
        Assert.Contains("(2, 5)", Assert.Throws<ArgumentException>("input", () => layer.call(randn(2, 5))).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>("input", () => layer.call(randn(2, 4, dtype: ScalarType.Float64)));
    }

    [Fact]
    public void WhatIsMadeIsFreed()
    {
        using var layer = bnn.GroupNorm(2, 4);
        using Tensor input = randn(3, 4, 2);
        Pass();
        long before = LiveTensors.Settled();
        for (int i = 0; i < 20; i++)
            Pass();
        Assert.Equal(before, Tensor.TotalCount);

        void Pass()
        {
            using Tensor output = layer.call(input), sum = output.sum();
            sum.backward();
            layer.zero_grad();
        }
    }
}
