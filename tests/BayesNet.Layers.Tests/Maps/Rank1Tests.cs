using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.TestKit;
using BayesNet.Training;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Maps;

/// <summary>Rank-1 factors over a deterministic weight: moments of products of independent factors, divergence, gradients, refusals.</summary>
public sealed class Rank1Tests
{
    private const int Draws = 4000;

    private static readonly BayesOptions Wide = new() { Posterior = new MeanFieldGaussianSpecification { InitialStdDev = 0.4 }, Seed = 4 };

    [Fact]
    public void AtFactorsOfOneTheMeanIsThePlainLayers()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        (BayesRank1, nn.Module<Tensor, Tensor>, long[])[] pairs =
        [
            (bnn.Rank1Linear(5, 3), nn.Linear(5, 3), [4, 2, 5]),
            (bnn.Rank1Linear(5, 3, hasBias: false), nn.Linear(5, 3, false), [5]),
            (bnn.Rank1Conv1d(2, 4, 3, 2, 1), nn.Conv1d(2, 4, 3, 2, 1), [3, 2, 7]),
            (bnn.Rank1Conv2d(2, 4, 3, groups: 2, padding: 1), nn.Conv2d(2, 4, 3, groups: 2, padding: 1), [2, 6, 5]),
            (bnn.Rank1Conv3d(2, 4, 2), nn.Conv3d(2, 4, 2), [3, 2, 4, 3, 3]),
            (new BayesRank1(new TransposedConvolutionMap(2, 4, [2, 2])), nn.ConvTranspose2d(2, 4, 2), [3, 2, 4, 3]),
        ];
        foreach ((BayesRank1 layer, nn.Module<Tensor, Tensor> plain, long[] shape) in pairs)
        {
            foreach ((string name, Parameter parameter) in plain.named_parameters())
                (name == "weight" ? layer.Weight : layer.Bias!).copy_(parameter);
            Tensor input = randn(shape), expected = plain.call(input);
            foreach (Estimator estimator in new[] { Estimator.MeanOnly, Estimator.SharedWeights, Estimator.WeightsPerExample })
            {
                using var scoped = layer.WithEstimator(estimator);
                Tensor output = layer.call(input);
                Assert.Equal(expected.shape, output.shape);
                if (estimator == Estimator.MeanOnly)
                    Assert.True((output - expected).abs().max().item<float>() < 1e-5f);
            }

            layer.Dispose();
            plain.Dispose();
        }
    }

    /// <summary>
    /// E[y] and Cov[y] from the first two moments of s and r, component by component: for examples n, m that share a draw,
    /// E[y_no y_mp] = mean over k of (r_o r_p + [o = p] var r_o) (h_no h_mp + sum_i W_oi W_pi x_ni x_mi var s_i), h = W (x o s).
    /// </summary>
    [Theory]
    [InlineData("weights per example", 1)]
    [InlineData("weights per example", 3)]
    [InlineData("shared weights", 1)]
    [InlineData("shared weights", 3)]
    public void OutputsHaveTheMomentsOfTheFactors(string estimator, int components)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        manual_seed(2);
        using var layer = bnn.Rank1Linear(3, 2, components: components, dtype: ScalarType.Float64, options: Wide);
        using var __ = layer.WithEstimator(EstimatorCase.Named(estimator).Estimator);
        foreach (Parameter parameter in layer.Factors.parameters())
            parameter.add_(randn_like(parameter) * 0.2);
        Tensor input = randn(2, 3, dtype: ScalarType.Float64);
        var draws = new Tensor[Draws];
        for (int i = 0; i < Draws; i++)
            draws[i] = layer.call(input).flatten();

        Posterior posterior = layer.Factors is EqualMixture mixture ? mixture.Components : layer.Factors;
        Tensor means = posterior.Mean.reshape(components, 5), variances = posterior.Variance.reshape(components, 5);
        Tensor bias = layer.Bias!.unsqueeze(0).expand(2, 2).flatten();
        Tensor first = zeros(4, dtype: ScalarType.Float64), second = zeros(4, 4, dtype: ScalarType.Float64);
        for (int k = 0; k < components; k++)
        {
            Tensor s = means[k].narrow(0, 0, 3), r = means[k].narrow(0, 3, 2), varS = variances[k].narrow(0, 0, 3), varR = variances[k].narrow(0, 3, 2);

            // The images of single inputs: (examples * outputs, 3).
            Tensor images = (input.unsqueeze(1) * layer.Weight.unsqueeze(0)).reshape(4, 3), h = images.mv(s);
            Tensor repeated = cat([r, r]), sameOutput = eye(2, dtype: ScalarType.Float64).repeat(2, 2);
            Tensor ofOutputs = repeated.outer(repeated) + sameOutput * cat([varR, varR]).unsqueeze(1);
            first += repeated * h / components;
            second += ofOutputs * (h.outer(h) + (images * varS).mm(images.t())) / components;
        }

        Tensor covariance = second - first.outer(first);
        if (estimator == "weights per example")
            covariance *= kron(eye(2, dtype: ScalarType.Float64), ones(2, 2, dtype: ScalarType.Float64));
        SampleMoments.AssertMeanAndCovariance(stack(draws), first + bias, covariance);
    }

    /// <summary>The mean over components of KL(N(m, s^2) || N(1, 1/4)), r and s counted, and its gradient.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void TheDivergenceIsTheMeanOfTheComponents(int components)
    {
        using var scope = NewDisposeScope();
        using var layer = bnn.Rank1Linear(3, 2, components: components, dtype: ScalarType.Float64, options: Wide with { Prior = GaussianPrior.WithStdDev(0.5) });
        Posterior posterior = layer.Factors is EqualMixture mixture ? mixture.Components : layer.Factors;
        double squares = (posterior.Mean - 1).square().sum().item<double>();
        double byHand = 5 * (Math.Log(0.5 / 0.4) + 0.16 / 0.5 - 0.5) + squares / 0.5 / components;
        Assert.Equal(byHand, layer.KlDivergence().item<double>(), 1e-12);
        FiniteDifferences.AssertGradients(layer.KlDivergence, [.. posterior.named_parameters().Select(entry => (entry.name, (Tensor)entry.parameter))]);
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, true)]
    public void GradientsAreThoseOfTheFunctionWithItsNoiseHeld(int components, bool convolution)
    {
        using var scope = NewDisposeScope();
        using BayesRank1 layer = convolution
            ? bnn.Rank1Conv1d(2, 2, 2, components: components, dtype: ScalarType.Float64, options: Wide)
            : bnn.Rank1Linear(3, 2, components: components, dtype: ScalarType.Float64, options: Wide);
        Tensor input = randn(convolution ? [3, 2, 3] : [3, 3], ScalarType.Float64).requires_grad_(true);
        foreach (Estimator estimator in new[] { Estimator.MeanOnly, Estimator.SharedWeights, Estimator.WeightsPerExample })
        {
            using var _ = layer.WithEstimator(estimator);
            FiniteDifferences.AssertGradients(
                () =>
                {
                    layer.Noise.Seed = 8;
                    return layer.call(input).square().sum() / 2;
                },
                [("input", input), .. layer.named_parameters().Select(entry => (entry.name, (Tensor)entry.parameter))]);
        }
    }

    [Fact]
    public void TheLayerIsAModuleLikeTheOthers()
    {
        using var scope = NewDisposeScope();
        using var one = bnn.Rank1Linear(3, 2);
        Assert.Equal(["bias", "factors.log_scale", "factors.mean", "weight"], one.state_dict().Keys.Order(StringComparer.Ordinal));
        Assert.Equal("BayesRank1(rank-1 factors of linear 3 -> 2, MeanFieldGaussian, prior GaussianPrior, weights per example)", one.ToString());
        using var four = bnn.Rank1Linear(3, 2, components: 4, options: new BayesOptions { Posterior = new MeanFieldLaplaceSpecification() });
        Assert.Equal(["bias", "factors.components.log_scale", "factors.components.mean", "weight"], four.state_dict().Keys.Order(StringComparer.Ordinal));
        Assert.Equal(4, four.Components);
        four.to(ScalarType.Float64);
        Assert.Equal(ScalarType.Float64, four.Weight.dtype);
        Assert.Equal(ScalarType.Float64, four.call(randn(5, 3, dtype: ScalarType.Float64)).dtype);
        using var given = new BayesRank1(new LinearMap(3, 2), ones(2, 3), zeros(2));
        Assert.Equal(6, given.Weight.sum().item<float>());
    }

    [Fact]
    public void ModelsTrainAndPredict()
    {
        using var scope = NewDisposeScope();
        manual_seed(3);
        using var model = nn.Sequential(("hidden", bnn.Rank1Linear(2, 16, components: 2)), ("tanh", nn.Tanh()), ("out", bnn.Rank1Linear(16, 1)));
        using var likelihood = new GaussianLikelihood(noise: 0.1);
        using var trainer = new VariationalTrainer(model, likelihood, 64, new TrainerOptions { Epochs = 40, BatchSize = 32, LearningRate = 0.02, Seed = 1 });
        Assert.False(trainer.IsCompiled);
        Tensor x = randn(64, 2), y = x.sum(dim: 1, keepdim: true);
        FitResult fit = trainer.Fit(new TrainingData(x, y), cancellationToken: TestContext.Current.CancellationToken);
        Assert.True(fit.History[^1].NegativeLogLikelihood < fit.History[0].NegativeLogLikelihood / 4);
        using BayesNet.Prediction.Predictive predictive = trainer.Predict(x, 30);
        Assert.True(predictive.Epistemic.min().item<float>() > 0);
    }

    [Fact]
    public void WhatIsImpossibleIsRefused()
    {
        using var scope = NewDisposeScope();
        using var layer = bnn.Rank1Linear(3, 2);
        foreach (Estimator estimator in new[] { Estimator.LocalReparameterization, Estimator.Flipout })
        {
            string reason = Assert.Throws<NotSupportedException>(() => layer.Estimator = estimator).Message;
            Assert.Contains("products of two random factors", reason, StringComparison.Ordinal);
            Assert.Contains("Estimator.WeightsPerExample", reason, StringComparison.Ordinal);
        }

        Assert.Throws<NotSupportedException>(() => bnn.Rank1Linear(3, 2, options: new BayesOptions { Estimator = Estimator.Flipout }));
        Assert.Contains("independent", Assert.Throws<NotSupportedException>(
            () => bnn.Rank1Linear(3, 2, components: 2, options: new BayesOptions { Posterior = new MatrixNormalSpecification() })).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>("inner", () => new BayesRank1(new EmbeddingMap(3, 2)));
        Assert.Throws<ArgumentOutOfRangeException>("components", () => bnn.Rank1Linear(3, 2, components: 0));
        Assert.Throws<ArgumentException>("weight", () => new BayesRank1(new LinearMap(3, 2), ones(3, 2)));
        Assert.Throws<ArgumentException>("input", () => layer.call(randn(2, 4)));
        Assert.Throws<ArgumentException>("input", () => layer.call(randn(2, 3, dtype: ScalarType.Float64)));
    }

    [Fact]
    public void WhatIsMadeIsFreed()
    {
        using var layer = bnn.Rank1Linear(3, 2, components: 3);
        using Tensor input = randn(5, 3);
        foreach (Estimator estimator in new[] { Estimator.MeanOnly, Estimator.SharedWeights, Estimator.WeightsPerExample })
        {
            using var _ = layer.WithEstimator(estimator);
            Pass();
            long before = LiveTensors.Settled();
            for (int i = 0; i < 10; i++)
                Pass();
            Assert.Equal(before, Tensor.TotalCount);
        }

        void Pass()
        {
            using Tensor output = layer.call(input), sum = output.sum(), divergence = layer.KlDivergence(), loss = sum + divergence;
            loss.backward();
            layer.zero_grad();
        }
    }
}
