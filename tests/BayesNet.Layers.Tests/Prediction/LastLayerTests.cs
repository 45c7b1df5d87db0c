using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Posteriors;
using BayesNet.Prediction;
using BayesNet.TestKit;
using BayesNet.Training;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Prediction;

/// <summary>Networks of which the last layers alone are Bayesian: the body before them is computed once, whatever the estimator.</summary>
public sealed class LastLayerTests
{
    private static readonly BayesOptions Wide = new() { Posterior = new MeanFieldGaussianSpecification { InitialStdDev = 0.4 } };

    [Theory]
    [InlineData(null)]
    [InlineData(1.0)]
    public void ItTrainsWithADeterministicBody(double? pointPrior)
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        using Sequential model = nn.Sequential(("hidden", nn.Linear(2, 16)), ("tanh", nn.Tanh()), ("head", bnn.Linear(16, 1)));
        using var likelihood = new GaussianLikelihood(noise: 0.3);
        using var trainer = new VariationalTrainer(model, likelihood, 64, new TrainerOptions { Epochs = 60, BatchSize = 16, LearningRate = 0.02, PointPrior = pointPrior, Seed = 1 });
        Tensor x = randn(64, 2), y = (x.select(1, 0) * x.select(1, 1)).unsqueeze(1);
        FitResult fit = trainer.Fit(new TrainingData(x, y), cancellationToken: TestContext.Current.CancellationToken);
        Assert.True(fit.History[^1].NegativeLogLikelihood < 0.5 * fit.History[0].NegativeLogLikelihood, "Training did not fit the data.");
        using Predictive predictive = trainer.Predict(x, 50);
        Assert.True(predictive.Epistemic.min().item<float>() > 0);
    }

    [Theory]
    [InlineData("shared weights")]
    [InlineData("weights per example")]
    [InlineData("local reparameterization")]
    [InlineData("flipout")]
    public void TheBodyIsComputedOnce(string estimator)
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        using Linear body = nn.Linear(3, 6);
        using Sequential model = nn.Sequential(body, nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Sequential(nn.ReLU(), bnn.Linear(6, 4, options: Wide)), nn.Tanh(), bnn.Linear(4, 2, options: Wide));
        using var _ = model.WithEstimator(EstimatorCase.Named(estimator).Estimator);
        (int calls, long rows) = (0, 0);
        body.register_forward_hook((_, input, output) =>
        {
            (calls, rows) = (calls + 1, rows + input.size(0));
            return output;
        });
        Tensor x = randn(10, 3);

        // Many blocks of samples, two or more of rows where estimators allow it.
        Tensor outputs = Predictor.SampleOutputs(model, x, 40, new PredictionOptions { Seed = 3, MemoryBudget = 2000 });
        Assert.Equal([40, 10, 2], outputs.shape);
        Assert.True(outputs.std([0]).min().item<float>() > 0.01f);
        Assert.Equal(estimator == "flipout" ? 10 : 11, rows);

        // A model that is not a chain has no body: the same samples, to rounding.
        if (estimator is "shared weights" or "flipout")
        {
            using var whole = new Whole(model);
            Tensor expected = Predictor.SampleOutputs(whole, x, 40, new PredictionOptions { Seed = 3 });
            Assert.InRange((outputs - expected).abs().max().item<float>(), 0, 1e-5f);
            Assert.True(calls > 40);
        }
    }

    /// <summary>Features that would not fit the budget are computed again for each sample, rows in parts as before.</summary>
    [Fact]
    public void FeaturesKeepToTheBudget()
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        using Linear body = nn.Linear(3, 100);
        using Sequential model = nn.Sequential(body, bnn.Linear(100, 1, options: Wide with { Estimator = Estimator.SharedWeights }));
        long most = 0, rows = 0;
        body.register_forward_hook((_, input, output) =>
        {
            (most, rows) = (Math.Max(most, input.size(0)), rows + input.size(0));
            return output;
        });
        Tensor x = randn(50, 3);
        Tensor few = Predictor.SampleOutputs(model, x, 4, new PredictionOptions { Seed = 3, MemoryBudget = 10_000 });
        Assert.InRange(most, 1, 25);
        Assert.InRange(rows, 201, 260);
        Tensor all = Predictor.SampleOutputs(model, x, 4, new PredictionOptions { Seed = 3 });
        Assert.InRange((few - all).abs().max().item<float>(), 0, 1e-5f);
    }

    /// <summary>Layers that draw noise of their own are no part of a body: dropout that is left in training mode, and modules that nobody vouches for.</summary>
    [Fact]
    public void LayersWithNoiseOfTheirOwnAreNoBody()
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        using Sequential model = nn.Sequential(new Whole(nn.Sequential(bnn.Linear(3, 6, options: Wide), nn.Tanh())), bnn.Linear(6, 1));
        Tensor x = randn(5, 3);
        foreach (bool? rowwise in new bool?[] { true, null })
        {
            // The last layer's noise is 0.01 an entry; what is seen here is the first one's.
            Tensor outputs = Predictor.SampleOutputs(model, x, 200, new PredictionOptions { RowsAreIndependent = rowwise });
            Assert.True(outputs.std([0]).min().item<float>() > 0.05f);
        }

        using Sequential random = nn.Sequential(new Noisy(), bnn.Linear(3, 1));
        Assert.True(Predictor.SampleOutputs(random, x, 200).std([0]).min().item<float>() > 0.1f);
    }

    private sealed class Whole : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> _inner;

        public Whole(nn.Module<Tensor, Tensor> inner)
            : base(nameof(Whole))
        {
            _inner = inner;
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => _inner.call(input);
    }

    private sealed class Noisy() : nn.Module<Tensor, Tensor>(nameof(Noisy))
    {
        public override Tensor forward(Tensor input)
        {
            using Tensor noise = randn_like(input);
            return input + noise;
        }
    }
}
