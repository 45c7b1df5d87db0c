using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Posteriors;
using BayesNet.Prediction;
using BayesNet.TestKit;
using BayesNet.Training;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Maps;

/// <summary>Embeddings and bags: the twin's numbers, whose noise is whose, padding, and what is refused. Their moments are in the estimators' battery.</summary>
public sealed class EmbeddingTests
{
    private static readonly BayesOptions Wide = new() { Posterior = new MeanFieldGaussianSpecification { InitialStdDev = 0.5 }, Seed = 3 };

    [Theory]
    [InlineData(null)]
    [InlineData(1L)]
    [InlineData(5L)]
    [InlineData(-2L)]
    public void TheMeanIsTheTwinsOutput(long? padding)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var twin = nn.Embedding(6, 3, padding < 0 ? padding + 6 : padding);
        using var layer = new BayesEmbedding(twin.weight!, padding);
        Assert.True(layer.WithPadding(layer.WeightPosterior.Mean).eq(twin.weight!).all().item<bool>());
        using var mean = layer.WithEstimator(Estimator.MeanOnly);
        foreach (long[] shape in new long[][] { [], [4], [4, 2], [3, 2, 2] })
        {
            Tensor input = randint(6, shape, ScalarType.Int64), expected = twin.call(input);
            Assert.Equal(expected.shape, layer.call(input).shape);
            Assert.True(layer.call(input).eq(expected).all().item<bool>());
            Assert.True(layer.call(input.to(ScalarType.Int32)).eq(expected).all().item<bool>());
        }
    }

    /// <summary>Equal indices have equal noise in the batch (shared), in the example (per example, flipout), nowhere (local).</summary>
    [Fact]
    public void EqualIndicesHaveTheNoiseThatTheEstimatorSays()
    {
        using var scope = NewDisposeScope();
        using var layer = bnn.Embedding(50, 4, options: Wide);
        Tensor input = tensor(new long[] { 7, 30, 7, 7, 2, 7 }).reshape(2, 3);
        Assert.True(Same(Estimator.SharedWeights, 0, 0, 0, 2) && Same(Estimator.SharedWeights, 0, 0, 1, 0));
        Assert.True(Same(Estimator.WeightsPerExample, 0, 0, 0, 2) && !Same(Estimator.WeightsPerExample, 0, 0, 1, 0));
        Assert.True(Same(Estimator.Flipout, 0, 0, 0, 2));
        Assert.False(Same(Estimator.LocalReparameterization, 0, 0, 0, 2));

        bool Same(Estimator estimator, int example, int place, int other, int otherPlace)
        {
            using var _ = layer.WithEstimator(estimator);
            Tensor output = layer.call(input);
            return output[example, place].eq(output[other, otherPlace]).all().item<bool>();
        }
    }

    [Fact]
    public void PaddingIsZeroAndDoesNotCount()
    {
        using var scope = NewDisposeScope();
        using var layer = bnn.Embedding(5, 2, padding_idx: 2, options: Wide);
        Assert.Equal([4, 2], layer.WeightPosterior.Mean.shape);
        Tensor input = tensor(new long[] { 2, 0, 4, 2 }).reshape(2, 2);
        foreach (EstimatorCase estimator in EstimatorCase.All)
        {
            using var _ = layer.WithEstimator(estimator.Estimator);
            Tensor output = layer.call(input);
            Assert.True(output[0, 0].eq(0).all().item<bool>() && output[1, 1].eq(0).all().item<bool>());
            Assert.True(output[0, 1].ne(0).all().item<bool>());
            layer.zero_grad();
            output.square().sum().backward();
            Tensor gradient = layer.WeightPosterior.Mean.grad!;
            Assert.True(gradient[0].ne(0).all().item<bool>() && gradient[3].ne(0).all().item<bool>() && gradient.narrow(0, 1, 2).eq(0).all().item<bool>());
        }

        // N(mu, 1/4) from N(0, 1), eight entries.
        double byHand = (8 * (0.25 - Math.Log(0.25) - 1) + layer.WeightPosterior.Mean.square().sum().item<float>()) / 2;
        Assert.Equal(byHand, layer.KlDivergence().item<float>(), 1e-5 * byHand);
    }

    /// <summary>Samples of one row drawn together, in blocks of a predictor, keep padding where it is.</summary>
    [Fact]
    public void ModelsWithAnEmbeddingTrainAndPredict()
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        using var model = nn.Sequential(("words", bnn.Embedding(9, 4, padding_idx: 0)), ("flatten", nn.Flatten()), ("out", bnn.Linear(12, 1)));
        using var likelihood = new GaussianLikelihood();
        using var trainer = new VariationalTrainer(model, likelihood, 32, new TrainerOptions { Epochs = 30, BatchSize = 16, LearningRate = 0.02, Seed = 1 });
        Assert.False(trainer.IsCompiled);
        Tensor x = randint(9, [32, 3], ScalarType.Int64), y = x.eq(4).any(1).to(ScalarType.Float32).unsqueeze(1);
        FitResult fit = trainer.Fit(new TrainingData(x, y), cancellationToken: TestContext.Current.CancellationToken);
        Assert.True(fit.History[^1].NegativeLogLikelihood < fit.History[0].NegativeLogLikelihood);
        using Predictive predictive = trainer.Predict(x, 20);
        Assert.Equal([32, 1], predictive.Mean.shape);
        Assert.True(predictive.Mean.isfinite().all().item<bool>());

        using var alone = nn.Sequential(("words", bnn.Embedding(9, 1, padding_idx: 0, options: Wide)));
        using Predictive ofRows = Predictor.Predict(alone, likelihood, tensor(new long[] { 0, 3 }), 40);
        Assert.Equal(0, ofRows.Epistemic.reshape(-1)[0].item<float>());
        Assert.True(ofRows.Epistemic.reshape(-1)[1].item<float>() > 0.1f);
    }

    [Fact]
    public void OtherPosteriorsWork()
    {
        using var scope = NewDisposeScope();
        Tensor input = tensor(new long[] { 1, 1, 3 }).reshape(1, 3);
        foreach (PosteriorSpecification posterior in new PosteriorSpecification[]
        {
            new MeanFieldLaplaceSpecification { InitialScale = 0.5 }, new VariationalDropoutSpecification { InitialAlpha = 0.5 },
            new FullCovarianceGaussianSpecification { InitialStdDev = 0.5 },
        })
        {
            using var layer = bnn.Embedding(4, 2, options: new BayesOptions { Posterior = posterior, Estimator = Estimator.WeightsPerExample });
            Tensor output = layer.call(input);
            Assert.True(output[0, 0].eq(output[0, 1]).all().item<bool>());
            Assert.True(output.ne(layer.WeightPosterior.Mean.index_select(0, input.flatten())).all().item<bool>());
        }
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        using var layer = bnn.Embedding(5, 2);
        using var padded = bnn.Embedding(5, 2, padding_idx: 4);
        foreach (BayesEmbedding each in new[] { layer, padded })
        {
            foreach (EstimatorCase estimator in EstimatorCase.All)
            {
                using var _ = each.WithEstimator(estimator.Estimator);
                Assert.Contains("0 to 4", Assert.Throws<ArgumentOutOfRangeException>("input", () => each.call(tensor(new long[] { 0, 5 }))).Message, StringComparison.Ordinal);
                Assert.Throws<ArgumentOutOfRangeException>("input", () => each.call(tensor(new long[] { 0, -1 })));
            }
        }

        Assert.Contains("indices", Assert.Throws<ArgumentException>("input", () => layer.call(randn(3))).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>("paddingIndex", () => bnn.Embedding(5, 2, padding_idx: 5));
        Assert.Throws<NotSupportedException>(() => bnn.Embedding(5, 2, max_norm: 1));
        Assert.Throws<NotSupportedException>(() => bnn.Embedding(5, 2, scale_grad_by_freq: true));
        Assert.Throws<NotSupportedException>(() => bnn.Embedding(5, 2, sparse: true));
        Assert.Throws<ArgumentException>("table", () => new BayesEmbedding(ones(3, 2), 1));
        Assert.Throws<ArgumentException>("table", () => new BayesEmbedding(ones(3)));
        using BayesEmbedding frozen = bnn.Embedding_from_pretrained(randn(3, 2));
        Assert.False(frozen.WeightPosterior.Mean.requires_grad);
        Assert.True(((MeanFieldGaussian)frozen.WeightPosterior).ScaleParameter.requires_grad);
    }

    public static TheoryData<EmbeddingBagMode, long?> Bags => new() { { EmbeddingBagMode.Sum, null }, { EmbeddingBagMode.Mean, null }, { EmbeddingBagMode.Sum, 3 }, { EmbeddingBagMode.Mean, 3 } };

    [Theory]
    [MemberData(nameof(Bags))]
    public void TheBagsMeanIsTheTwinsOutput(EmbeddingBagMode mode, long? padding)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor table = randn(6, 3), input = randint(6, [4, 5], ScalarType.Int64), flat = input.flatten();
        Tensor offsets = tensor(new long[] { 0, 3, 3, 12 }), withEnd = tensor(new long[] { 0, 3, 3, 12, 20 });
        foreach (bool last in new[] { false, true })
        {
            using var twin = nn.EmbeddingBag_from_pretrained(table, mode: mode, include_last_offset: last, padding_index: padding ?? -1);
            using var layer = bnn.EmbeddingBag_from_pretrained(table, mode: mode, include_last_offset: last, padding_index: padding ?? -1);
            using var mean = layer.WithEstimator(Estimator.MeanOnly);
            if (!last)
                AssertClose(twin.call(input), layer.call(input));
            Assert.Equal([4, 3], layer.call(input).shape);
            AssertClose(twin.call(flat, last ? withEnd : offsets), layer.call(flat, last ? withEnd : offsets));
            if (mode == EmbeddingBagMode.Sum)
            {
                Tensor weights = randn(20);
                AssertClose(twin.call(flat, last ? withEnd : offsets, weights), layer.call(flat, last ? withEnd : offsets, weights));
            }
        }
    }

    /// <summary>A row that comes twice counts with the sum of its weights, under every estimator: 4 sigma^2, not 2 sigma^2.</summary>
    [Theory]
    [InlineData("shared weights")]
    [InlineData("weights per example")]
    [InlineData("local reparameterization")]
    [InlineData("flipout")]
    public void ARowTwiceInABagIsOneWeight(string estimator)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var layer = bnn.EmbeddingBag(4, 1, mode: EmbeddingBagMode.Sum, padding_index: 0, dtype: ScalarType.Float64, options: Wide);
        using var __ = layer.WithEstimator(EstimatorCase.Named(estimator).Estimator);
        Tensor input = tensor(new long[] { 2, 2, 0, 1, 3, 2 }).reshape(2, 3);
        var draws = new Tensor[4000];
        for (int i = 0; i < draws.Length; i++)
            draws[i] = layer.call(input).flatten();
        SampleMoments.AssertVariance(stack(draws), tensor(new[] { 4 * 0.25, 3 * 0.25 }));
    }

    [Fact]
    public void BagsRefuseWhatTheyCanNotDo()
    {
        using var scope = NewDisposeScope();
        Assert.Contains("bnn.Embedding", Assert.Throws<NotSupportedException>(() => bnn.EmbeddingBag(5, 2, mode: EmbeddingBagMode.Max)).Message, StringComparison.Ordinal);
        using var layer = bnn.EmbeddingBag(5, 2);
        Tensor flat = tensor(new long[] { 0, 1, 2 });
        Assert.Throws<ArgumentException>("perSampleWeights", () => layer.call(flat.reshape(1, 3), null, ones(1, 3)));
        Assert.Throws<ArgumentException>("offsets", () => layer.call(flat, tensor(new long[] { 1 })));
        Assert.Throws<ArgumentException>("offsets", () => layer.call(flat, tensor(new long[] { 0, 2, 1 })));
        Assert.Throws<ArgumentException>("input", () => layer.call(flat));
        Assert.Throws<ArgumentException>("input", () => layer.call(randn(1, 3)));
        Assert.Throws<ArgumentOutOfRangeException>("input", () => layer.call(tensor(new long[] { 7 }).reshape(1, 1)));
        Assert.Equal([2, 2], layer.call(zeros([0], ScalarType.Int64), tensor(new long[] { 0, 0 })).shape);
        Assert.Equal(["weight.log_scale", "weight.mean"], layer.state_dict().Keys.Order(StringComparer.Ordinal));
        layer.to(ScalarType.Float64);
        Assert.Equal(ScalarType.Float64, layer.call(flat.reshape(1, 3)).dtype);
    }

    [Fact]
    public void WhatIsMadeIsFreed()
    {
        using var words = bnn.Embedding(9, 4, padding_idx: 0);
        using var bag = bnn.EmbeddingBag(9, 4, padding_index: 0);
        using Tensor input = randint(9, [3, 5], ScalarType.Int64), flat = input.flatten(), offsets = tensor(new long[] { 0, 4, 9 });
        foreach (EstimatorCase estimator in EstimatorCase.All)
        {
            using var first = words.WithEstimator(estimator.Estimator);
            using var second = bag.WithEstimator(estimator.Estimator);
            Pass();
            long before = LiveTensors.Settled();
            for (int i = 0; i < 10; i++)
                Pass();
            Assert.Equal(before, Tensor.TotalCount);
        }

        void Pass()
        {
            using Tensor output = words.call(input), bags = bag.call(flat, offsets), sum = output.sum(), other = bags.sum(), loss = sum + other;
            loss.backward();
            words.zero_grad();
            bag.zero_grad();
        }
    }

    private static void AssertClose(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.shape, actual.shape);
        Assert.True((expected - actual).abs().max().item<float>() < 1e-5f);
    }
}
