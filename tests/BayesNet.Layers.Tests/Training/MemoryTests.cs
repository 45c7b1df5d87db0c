using BayesNet.Likelihoods;
using BayesNet.Posteriors;
using BayesNet.Prediction;
using BayesNet.Priors;
using BayesNet.TestKit;
using BayesNet.Training;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Training;

/// <summary>What the library makes, it frees: the process's live tensors are counted.</summary>
public sealed class MemoryTests
{
    [Theory]
    [InlineData("shared weights")]
    [InlineData("weights per example")]
    [InlineData("local reparameterization")]
    [InlineData("flipout")]
    [InlineData("mean only")]
    public void AThousandStepsLeaveTheTensorsOfTen(string estimator)
    {
        using var model = Model();
        using var likelihood = new GaussianLikelihood();
        using var trainer = new VariationalTrainer(model, likelihood, 100, new TrainerOptions { Samples = 2, Seed = 1 });
        using var _ = model.WithEstimator(EstimatorCase.Named(estimator).Estimator);
        using Tensor x = randn(8, 1, 4, 4), y = randn(8, 1);
        for (int i = 0; i < 10; i++)
            trainer.Step(x, y);
        long before = LiveTensors.Settled();
        for (int i = 0; i < 1000; i++)
            trainer.Step(x, y);
        Assert.Equal(before, Tensor.TotalCount);
    }

    [Fact]
    public void EveryCallLeavesTheTensorsItFound()
    {
        using var model = Model();
        using var likelihood = new GaussianLikelihood();
        using Tensor x = randn(20, 1, 4, 4), y = randn(20, 1), few = randn(3, 1);
        using var trainer = new VariationalTrainer(model, likelihood, 20, new TrainerOptions { Epochs = 2, BatchSize = 8 });
        var data = new TrainingData(x, y);
        Action[] calls =
        [
            () => model.KlDivergence().Dispose(),
            () => model.call(x).Dispose(),
            () => trainer.Fit(data, data),
            () => trainer.LogLikelihood(data, 3),
            () => model.SeedNoise(3),
            () => Use(trainer.Predict(x, 5)),
            () => Assert.Throws<ArgumentException>(() => trainer.Step(x, few)),
        ];
        for (int i = 0; i < calls.Length; i++)
        {
            calls[i]();
            long before = LiveTensors.Settled();
            using (NewDisposeScope())
                calls[i]();
            calls[i]();
            Assert.True(before == Tensor.TotalCount, $"Call {i} left {Tensor.TotalCount - before} tensors in two rounds.");
        }

        void Use(Predictive predictive)
        {
            using (predictive)
            {
                (Tensor lower, Tensor upper) = predictive.Interval(0.9);
                using (lower)
                using (upper)
                using (predictive.LogDensity(y))
                using (NewDisposeScope())
                    Assert.True(predictive.StdDev.ge(predictive.Epistemic).all().item<bool>());
            }
        }
    }

    /// <summary>TorchSharp counts every Parameter once more than it is freed, with its own layers too; ours leave that and nothing else.</summary>
    [Fact]
    public void ADisposedLayerLeavesWhatItsTwinLeaves()
    {
        Assert.Equal(2 * Left(() => nn.Linear(3, 3)), Left(() => bnn.Linear(3, 3)));
        Assert.Equal(2 * Left(() => nn.Conv1d(3, 3, 2)), Left(() => bnn.Conv1d(3, 3, 2, options: new BayesOptions
        {
            Posterior = new MeanFieldGaussianSpecification { Scale = ScaleParameterization.Softplus },
            Prior = GaussianPrior.With(zeros(1), ones(1)),
        })));

        static long Left(Func<nn.Module> create)
        {
            using (NewDisposeScope())
            {
                long before = LiveTensors.Settled();
                nn.Module module = create();
                Tensor held = module.parameters().First();
                module.Dispose();
                Assert.True(held.IsInvalid);
                return Tensor.TotalCount - before;
            }
        }
    }

    [Fact]
    public void ALayerOutlivesTheScopeItWasBuiltIn()
    {
        Sequential model;
        using (NewDisposeScope())
            model = Model();
        using (model)
        using (NewDisposeScope())
        {
            model.call(randn(2, 1, 4, 4)).sum().backward();
            Assert.All(model.parameters(), parameter => Assert.False(parameter.IsInvalid));
        }
    }

    /// <summary>A handle that is collected while native code reads it would end the process within seconds.</summary>
    [Fact]
    public void TrainingStandsBesideForcedCollections()
    {
        using var stop = new CancellationTokenSource();
        var collector = new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
        });
        collector.Start();
        try
        {
            var clock = System.Diagnostics.Stopwatch.StartNew();
            foreach (EstimatorCase estimator in EstimatorCase.All)
            {
                using var model = Model();
                using var likelihood = new GaussianLikelihood();
                using var trainer = new VariationalTrainer(model, likelihood, 64, new TrainerOptions { Epochs = 1, BatchSize = 16, Seed = 1 });
                using var _ = model.WithEstimator(estimator.Estimator);
                using Tensor x = randn(64, 1, 4, 4), y = randn(64, 1);
                var data = new TrainingData(x, y);
                TimeSpan until = clock.Elapsed + TimeSpan.FromSeconds(1.5);
                while (clock.Elapsed < until)
                {
                    trainer.Fit(data, data, cancellationToken: TestContext.Current.CancellationToken);
                    trainer.Predict(x, 5).Dispose();
                }

                Assert.True(trainer.Steps > 0);
            }
        }
        finally
        {
            stop.Cancel();
            collector.Join();
        }
    }

    private static Sequential Model() => nn.Sequential(
        ("conv", bnn.Conv2d(1, 2, 3)), ("relu", nn.ReLU()), ("flatten", nn.Flatten()), ("out", bnn.Linear(8, 1)));
}
