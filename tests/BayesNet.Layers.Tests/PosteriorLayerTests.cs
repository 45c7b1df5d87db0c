using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.TestKit;
using BayesNet.Training;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests;

/// <summary>Every posterior and prior as options of real layers: train, save, load, move, dispose.</summary>
public sealed class PosteriorLayerTests
{
    private static readonly Dictionary<string, BayesOptions> Options = new()
    {
        ["Laplace"] = new() { Posterior = new MeanFieldLaplaceSpecification(), Prior = LaplacePrior.WithScale(1), Estimator = Estimator.Flipout },
        ["logistic"] = new() { Posterior = new MeanFieldLogisticSpecification(), Prior = LaplacePrior.WithScale(1), Estimator = Estimator.SharedWeights },
        ["uniform"] = new() { Posterior = new MeanFieldUniformSpecification(), Estimator = Estimator.WeightsPerExample },
        ["Student-t"] = new() { Posterior = new MeanFieldStudentTSpecification(), Prior = StudentTPrior.With(3, 1), Estimator = Estimator.Flipout },
        ["full covariance"] = new() { Posterior = new FullCovarianceGaussianSpecification() },
        ["full covariance per layer"] = new()
        {
            Posterior = new FullCovarianceGaussianSpecification { Groups = CovarianceGroups.PerLayer },
            Estimator = Estimator.SharedWeights,
        },
        ["low rank"] = new() { Posterior = new LowRankGaussianSpecification { Rank = 2 }, Prior = ScaleMixturePrior.With(0.5, 1, 0.1) },
        ["matrix normal"] = new() { Posterior = new MatrixNormalSpecification(), Prior = LearnedGaussianPrior.With() },
        ["variational dropout"] = new() { Posterior = new VariationalDropoutSpecification(), Prior = LogUniformPrior.With() },
        ["sparse variational dropout"] = new() { Prior = LogUniformPrior.With(LogUniformKl.Molchanov2017) },
        ["empirical Bayes"] = new() { Prior = LearnedGaussianPrior.With(closedForm: true) },
        ["horseshoe"] = new() { Prior = HorseshoePrior.WithGlobalScale(0.1) },
        ["concrete dropout"] = new() { Posterior = new ConcreteDropoutSpecification(), Estimator = Estimator.WeightsPerExample },
        ["gates"] = new() { Posterior = new SpikeAndSlabSpecification(), Prior = SpikeAndSlabPrior.With(), Estimator = Estimator.SharedWeights },
    };

    public static TheoryData<string> Names() => [.. Options.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void ItTrainsAndItsStateIsComplete(string name)
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        using Sequential model = Model(Options[name]);
        using var likelihood = new GaussianLikelihood(noise: 0.5);
        using var trainer = new VariationalTrainer(model, likelihood, 32, new TrainerOptions { Epochs = 60, BatchSize = 16, LearningRate = 0.02, Seed = 1 });
        Tensor x = randn(32, 1, 4, 4), y = x.mean([1, 2, 3]).unsqueeze(1) * 3;
        Tensor[] before = [.. model.parameters().Select(parameter => parameter.detach().clone())];
        FitResult fit = trainer.Fit(new TrainingData(x, y), cancellationToken: TestContext.Current.CancellationToken);
        Assert.True(fit.History[^1].NegativeLogLikelihood < fit.History[0].NegativeLogLikelihood, "Training did not fit the data better.");
        foreach ((Tensor old, (string parameter, Parameter now)) in before.Zip(model.named_parameters()))
            Assert.True((old - now).abs().max().item<float>() > 0, $"{parameter} did not train.");
        using BayesNet.Prediction.Predictive predictive = trainer.Predict(x, 10);
        Assert.True(predictive.Epistemic.min().item<float>() > 0);

        string file = Path.GetTempFileName();
        try
        {
            model.save(file);
            using Sequential loaded = Model(Options[name]);
            loaded.load(file);
            model.SeedNoise(3);
            loaded.SeedNoise(3);
            Assert.True(model.call(x).eq(loaded.call(x)).all().item<bool>());
        }
        finally
        {
            File.Delete(file);
        }

        model.to(ScalarType.Float64);
        Assert.True(model.KlDivergence().dtype == ScalarType.Float64 && model.KlDivergence().isfinite().item<bool>());
        Assert.Equal(ScalarType.Float64, model.call(x.to(ScalarType.Float64)).dtype);
    }

    /// <summary>A thousand forward and backward passes leave the tensors that ten left, whatever the posterior.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void StepsLeaveNoTensors(string name)
    {
        using Sequential model = Model(Options[name]);
        using var likelihood = new GaussianLikelihood();
        using var trainer = new VariationalTrainer(model, likelihood, 32);
        using Tensor x = randn(4, 1, 4, 4), y = randn(4, 1);
        for (int i = 0; i < 3; i++)
            trainer.Step(x, y);
        long before = LiveTensors.Settled();
        for (int i = 0; i < 50; i++)
            trainer.Step(x, y);
        Assert.Equal(before, Tensor.TotalCount);
    }

    private static Sequential Model(BayesOptions options) => nn.Sequential(
        ("conv", bnn.Conv2d(1, 2, 3, options: options)), ("tanh", nn.Tanh()), ("flatten", nn.Flatten()), ("out", bnn.Linear(8, 1, options: options)));
}
