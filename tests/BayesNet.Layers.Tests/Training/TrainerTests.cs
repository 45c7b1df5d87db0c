using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Training;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Training;

public sealed class TrainerTests
{
    private static readonly CancellationToken Never = CancellationToken.None;

    [Fact]
    public void DefaultsAreTheDocumentedOnes()
    {
        var options = new TrainerOptions();
        Assert.Equal(100, options.Epochs);
        Assert.Equal(128, options.BatchSize);
        Assert.True(options.Shuffle);
        Assert.Equal(1e-3, options.LearningRate);
        Assert.Equal(1, options.Samples);
        Assert.Same(KlSchedule.Constant, options.KlSchedule);
        Assert.Null(options.Optimizer);
        Assert.Null(options.Seed);
        Assert.Equal(20, options.ValidationSamples);
        Assert.Equal(1, options.ValidationInterval);
    }

    [Fact]
    public void SchedulesWeighTheKlTerm()
    {
        Assert.Equal(1, KlSchedule.Constant.Weight(0));
        KlSchedule warmup = KlSchedule.Warmup(epochs: 4);
        Assert.Equal([0, 0.125, 0.5, 1, 1], new[] { 0, 0.5, 2, 4, 100 }.Select(warmup.Weight));
        Assert.Throws<ArgumentOutOfRangeException>("epochs", () => KlSchedule.Warmup(0));
    }

    /// <summary>The loss is nll + klWeight * KL / N with N the training set's size, whatever the minibatch's, and the ELBO is the whole set's.</summary>
    [Fact]
    public void AStepReportsItsPartsAndTheirSum()
    {
        using var scope = NewDisposeScope();
        using var model = Model();
        using var likelihood = new GaussianLikelihood(learnNoise: false, noise: 0.5);
        using var trainer = new VariationalTrainer(model, likelihood, 1000);
        (Tensor x, Tensor y) = Data(10);
        double kl = model.KlDivergence().item<float>();
        model.SeedNoise(1);
        double nll = -likelihood.LogLikelihood(model.call(x), y).mean().item<float>();
        model.SeedNoise(1);
        StepResult step = trainer.Step(x, y, klWeight: 0.25);
        Assert.Equal(nll, step.NegativeLogLikelihood, 1e-5 * Math.Abs(nll));
        Assert.Equal(kl, step.KlDivergence, 1e-5 * kl);
        Assert.Equal(0.25, step.KlWeight);
        Assert.Equal(nll + 0.25 * kl / 1000, step.Loss, 1e-5);
        Assert.Equal(-(1000 * nll + kl), step.Elbo, 1e-2);
        Assert.Equal(1, trainer.Steps);
    }

    /// <summary>The gradient is that of the loss it reports, and that of S samples the mean of S gradients of one.</summary>
    [Theory]
    [InlineData("local reparameterization", true)]
    [InlineData("local reparameterization", false)]
    [InlineData("shared weights", true)]
    [InlineData("shared weights", false)]
    [InlineData("weights per example", false)]
    [InlineData("flipout", false)]
    public void TheGradientOfSeveralSamplesIsTheMeanOfTheirGradients(string estimator, bool compile)
    {
        const int samples = 4;
        using var scope = NewDisposeScope();
        using var model = Model(ScalarType.Float64);
        using var likelihood = new GaussianLikelihood(noise: 0.5);
        using var several = new VariationalTrainer(model, likelihood, 50, new TrainerOptions { Samples = samples, Compile = compile });
        using var one = new VariationalTrainer(model, likelihood, 50, new TrainerOptions { Compile = compile });
        using var _ = model.WithEstimator(TestKit.EstimatorCase.Named(estimator).Estimator);
        (Tensor x, Tensor y) = Data(10, ScalarType.Float64);

        model.SeedNoise(1);
        several.AccumulateGradients(x, y, 0.5);
        Tensor expected = Gradient(model, likelihood);

        model.SeedNoise(1);
        Tensor mean = zeros_like(expected), byHand = zeros_like(expected);
        for (int i = 0; i < samples; i++)
        {
            one.AccumulateGradients(x, y, 0.5);
            mean += Gradient(model, likelihood) / samples;
        }

        Assert.True((mean - expected).abs().max().item<double>() < 1e-12 * expected.abs().max().item<double>() + 1e-13);

        model.SeedNoise(1);
        for (int i = 0; i < samples; i++)
        {
            model.zero_grad();
            likelihood.zero_grad();
            (model.KlDivergence() * 0.5 / 50 - likelihood.LogLikelihood(model.call(x), y).mean()).backward();
            byHand += Gradient(model, likelihood) / samples;
        }

        Assert.True((byHand - expected).abs().max().item<double>() < 1e-12 * expected.abs().max().item<double>() + 1e-13);
    }

    [Fact]
    public void ASeededRunRepeatsItself()
    {
        double[][] runs = [.. Enumerable.Range(0, 2).Select(_ =>
        {
            using var scope = NewDisposeScope();
            manual_seed(3);
            using var model = Model();
            using var likelihood = new GaussianLikelihood();
            using var trainer = new VariationalTrainer(model, likelihood, 40, new TrainerOptions { Epochs = 3, BatchSize = 16, Seed = 9 });
            (Tensor x, Tensor y) = Data(40);
            manual_seed((long)Environment.TickCount64);
            return trainer.Fit(new TrainingData(x, y), cancellationToken: Never).History.Select(epoch => epoch.NegativeLogLikelihood).ToArray();
        })];
        Assert.Equal(runs[0], runs[1]);
    }

    [Fact]
    public void ProgressAndHistoryFollowTheEpochs()
    {
        using var scope = NewDisposeScope();
        using var model = Model();
        using var likelihood = new GaussianLikelihood();
        using var trainer = new VariationalTrainer(model, likelihood, 40, new TrainerOptions
        {
            Epochs = 4,
            BatchSize = 16,
            KlSchedule = KlSchedule.Warmup(2),
            ValidationInterval = 3,
            ValidationSamples = 5,
        });
        (Tensor x, Tensor y) = Data(40);
        var progress = new Recorder();
        model.eval();
        FitResult fit = trainer.Fit(new TrainingData(x, y), new TrainingData(x, y), progress, Never);

        Assert.Equal([1, 2, 3, 4], fit.History.Select(epoch => epoch.Epoch));
        Assert.Equal(12, fit.Steps);
        Assert.Equal(12, trainer.Steps);
        Assert.False(fit.Cancelled);
        Assert.False(model.training);
        Assert.Equal([false, false, true, true], fit.History.Select(epoch => epoch.ValidationLogLikelihood is not null));
        Assert.Equal([1.0 / 3, 2.5 / 3, 1, 1], fit.History.Select(epoch => Math.Round(epoch.KlWeight, 12)).Select(weight => weight), (a, b) => Math.Abs(a - b) < 1e-9);
        Assert.All(fit.History, epoch => Assert.Equal(-(40 * epoch.NegativeLogLikelihood + epoch.KlDivergence), epoch.Elbo, 1e-9 * Math.Abs(epoch.Elbo)));

        TrainingProgress last = progress.Reports[^1];
        Assert.Equal((4, 4, 3L, 3L, 1.0), (last.Epoch, last.Epochs, last.Step, last.StepsPerEpoch, last.Fraction));
        Assert.Equal(TimeSpan.Zero, last.Remaining);
        Assert.True(progress.Reports.Count(report => report.Step == 3) >= 4);
    }

    [Fact]
    public void CancellationKeepsWhatWasLearned()
    {
        using var scope = NewDisposeScope();
        using var model = Model();
        using var likelihood = new GaussianLikelihood();
        using var trainer = new VariationalTrainer(model, likelihood, 40, new TrainerOptions { Epochs = 100, BatchSize = 16 });
        (Tensor x, Tensor y) = Data(40);
        using var source = new CancellationTokenSource();
        var progress = new Recorder { At = report => { if (report.Epoch == 3 && report.Step == 3) source.Cancel(); } };
        FitResult fit = trainer.Fit(new TrainingData(x, y), progress: progress, cancellationToken: source.Token);
        Assert.True(fit.Cancelled);
        Assert.Equal(3, fit.History.Count);
        Assert.Equal(9, fit.Steps);
        Assert.True(trainer.Fit(new TrainingData(x, y), cancellationToken: source.Token).Cancelled);
    }

    [Fact]
    public void ALoaderIsEnumeratedOnceAnEpoch()
    {
        using var scope = NewDisposeScope();
        using var model = Model();
        using var likelihood = new GaussianLikelihood();
        using var trainer = new VariationalTrainer(model, likelihood, 20, new TrainerOptions { Epochs = 3 });
        (Tensor x, Tensor y) = Data(20);
        int enumerations = 0;
        IEnumerable<(Tensor, Tensor)> Loader()
        {
            enumerations++;
            for (int i = 0; i < 2; i++)
                yield return (x.narrow(0, 10 * i, 10), y.narrow(0, 10 * i, 10));
        }

        Assert.Equal(6, trainer.Fit(Loader(), cancellationToken: Never).Steps);
        Assert.Equal(3, enumerations);
        Assert.Throws<ArgumentException>("loader", () => trainer.Fit([], cancellationToken: Never));
        var cached = new List<(Tensor, Tensor)> { (x, y) };
        Assert.Equal(3, trainer.Fit(cached, cancellationToken: Never).Steps);
        Assert.False(x.IsInvalid);
    }

    [Fact]
    public void TheOptimizerAndSchedulersAreTheCallers()
    {
        using var scope = NewDisposeScope();
        using var model = Model();
        using var likelihood = new GaussianLikelihood();
        int parameters = 0;
        using var trainer = new VariationalTrainer(model, likelihood, 20, new TrainerOptions
        {
            Optimizer = trained => { parameters = trained.Count(); return optim.SGD(trained, 0.1); },
        });
        Assert.Equal(9, parameters);
        (Tensor x, Tensor y) = Data(20);
        Parameter mean = model.parameters().First();
        Tensor before = mean.detach().clone();
        trainer.Step(x, y);
        Assert.True((before - mean - mean.grad! * 0.1).abs().max().item<float>() < 1e-6);
        Assert.IsType<SGD>(trainer.Optimizer);
    }

    [Fact]
    public void ALossThatIsNotFiniteStopsBeforeTheStepAndNamesTheParameter()
    {
        using var scope = NewDisposeScope();
        using var model = Model();
        using var likelihood = new GaussianLikelihood();
        using var trainer = new VariationalTrainer(model, likelihood, 20);
        (Tensor x, Tensor y) = Data(20);

        var error = Assert.Throws<NonFiniteLossException>(() => trainer.Step(x * float.NaN, y));
        Assert.Null(error.ParameterName);
        Assert.Contains("inputs", error.Message, StringComparison.Ordinal);
        Assert.Contains("targets", Assert.Throws<NonFiniteLossException>(() => trainer.Step(x, y * float.NaN)).Message, StringComparison.Ordinal);
        Assert.Contains("standardise", Assert.Throws<NonFiniteLossException>(() => trainer.Step(x, y * 1e30)).Message, StringComparison.Ordinal);
        Assert.Equal(0, trainer.Steps);
        Assert.All(model.parameters(), parameter => Assert.True(parameter.isfinite().all().item<bool>()));

        using (no_grad())
            model.named_parameters().Single(entry => entry.name == "out.weight.log_scale").parameter.fill_(float.NaN);
        error = Assert.Throws<NonFiniteLossException>(() => trainer.Step(x, y));
        Assert.Equal("out.weight.log_scale", error.ParameterName);
        Assert.Contains("'out.weight.log_scale'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        using var model = Model();
        using var likelihood = new GaussianLikelihood();
        (Tensor x, Tensor y) = Data(20);
        Assert.Throws<ArgumentOutOfRangeException>("trainingSetSize", () => new VariationalTrainer(model, likelihood, 0));
        using var plain = nn.Linear(2, 1);
        Assert.Throws<InvalidOperationException>(() => new VariationalTrainer(plain, likelihood, 20));
        Assert.Throws<ArgumentOutOfRangeException>("Epochs", () => new TrainerOptions { Epochs = 0 });
        Assert.Throws<ArgumentOutOfRangeException>("BatchSize", () => new TrainerOptions { BatchSize = 0 });
        Assert.Throws<ArgumentOutOfRangeException>("LearningRate", () => new TrainerOptions { LearningRate = double.NaN });
        Assert.Throws<ArgumentOutOfRangeException>("Samples", () => new TrainerOptions { Samples = 0 });
        Assert.Throws<ArgumentException>("targets", () => new TrainingData(x, y[..10]));
        Assert.Throws<ArgumentException>("inputs", () => new TrainingData(x[..0], y[..0]));
        Assert.Throws<ArgumentException>("inputs", () => new TrainingData(x * float.NaN, y));
        using var trainer = new VariationalTrainer(model, likelihood, 21);
        Assert.Contains("20 rows", Assert.Throws<ArgumentException>("data", () => trainer.Fit(new TrainingData(x, y), cancellationToken: Never)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>("inputs", () => trainer.Step(x[..0], y[..0]));
        Assert.Throws<ArgumentException>("target", () => trainer.Step(x, y.squeeze(1)));
        Assert.Throws<ArgumentOutOfRangeException>("samples", () => trainer.Predict(x, 0));
    }

    /// <summary>A classifier trains, and its probabilities are those of the mixture.</summary>
    [Fact]
    public void ClassesAreLearned()
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        using var model = nn.Sequential(("hidden", bnn.Linear(2, 16)), ("relu", nn.ReLU()), ("out", bnn.Linear(16, 3)));
        using var likelihood = new CategoricalLikelihood();
        using var trainer = new VariationalTrainer(model, likelihood, 300, new TrainerOptions { Epochs = 60, BatchSize = 50, LearningRate = 0.02, Seed = 2 });
        Tensor classes = arange(300, dtype: ScalarType.Int64).remainder(3);
        Tensor angle = classes.to(ScalarType.Float32) * (float)(2 * Math.PI / 3);
        Tensor x = stack([angle.cos(), angle.sin()], 1) * 2 + randn(300, 2) * 0.3;
        FitResult fit = trainer.Fit(new TrainingData(x, classes), cancellationToken: Never);
        Assert.True(fit.History[^1].NegativeLogLikelihood < 0.1 && fit.History[0].NegativeLogLikelihood > 0.3);
        using var predictive = Assert.IsType<BayesNet.Prediction.CategoricalPredictive>(trainer.Predict(x, 30));
        Assert.True(predictive.PredictedClass.eq(classes).to(ScalarType.Float32).mean().item<float>() > 0.98);
        Assert.Equal(predictive.LogDensity(classes).mean().item<float>(), trainer.LogLikelihood(new TrainingData(x, classes), 30), 0.05);
    }

    private static Sequential Model(ScalarType dtype = ScalarType.Float32) => nn.Sequential(
        ("hidden", bnn.Linear(2, 5, dtype: dtype)), ("tanh", nn.Tanh()), ("out", bnn.Linear(5, 1, dtype: dtype)));

    private static (Tensor X, Tensor Y) Data(long rows, ScalarType dtype = ScalarType.Float32)
    {
        using var noise = new NoiseSource(21);
        Tensor x = noise.Normal([rows, 2], dtype, CPU);
        return (x, (x.sum(dim: 1, keepdim: true).sin() + noise.Normal([rows, 1], dtype, CPU) * 0.1));
    }

    private static Tensor Gradient(nn.Module model, nn.Module likelihood)
        => cat([.. model.parameters().Concat(likelihood.parameters()).Select(parameter => parameter.grad!.flatten())]);

    private sealed class Recorder : IProgress<TrainingProgress>
    {
        public List<TrainingProgress> Reports { get; } = [];

        public Action<TrainingProgress>? At { get; init; }

        public void Report(TrainingProgress value)
        {
            Reports.Add(value);
            At?.Invoke(value);
        }
    }
}
