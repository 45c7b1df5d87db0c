using BayesNet.Likelihoods;
using BayesNet.Training;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;
using static TorchSharp.torch.optim.lr_scheduler;

namespace BayesNet.Layers.Tests.Training;

/// <summary>Validation, early stopping, schedulers and callbacks of a run.</summary>
public sealed class FitTests
{
    private static readonly CancellationToken Never = CancellationToken.None;

    /// <summary>On noise alone a network can but overfit: the run stops, and ends with what the best epoch had, the noise level included.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ARunStopsAndGoesBackToItsBest(bool restore)
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        using Sequential model = nn.Sequential(nn.Linear(2, 30), nn.Tanh(), nn.Linear(30, 1));
        using var likelihood = new GaussianLikelihood();
        (TrainingData training, TrainingData validation) = (Noise(16), Noise(64));
        var recorder = new Recorder();
        using var trainer = new VariationalTrainer(model, likelihood, 16, new TrainerOptions
        {
            PointEstimate = true,
            Epochs = 500,
            LearningRate = 0.03,
            Seed = 1,
            EarlyStopping = new EarlyStopping { Patience = 15, RestoreBest = restore },
            Callbacks = [recorder],
        });
        FitResult fit = trainer.Fit(training, validation, cancellationToken: Never);
        double[] scores = [.. fit.History.Select(epoch => epoch.ValidationLogLikelihood!.Value)];
        int best = Array.IndexOf(scores, scores.Max()) + 1;
        Assert.True(fit.StoppedEarly);
        Assert.False(fit.Cancelled);
        Assert.Equal(best, fit.BestEpoch);
        Assert.Equal(best + 15, fit.History.Count);
        Assert.Equal(restore ? best : null, fit.RestoredEpoch);
        Assert.Equal(scores[restore ? best - 1 : ^1], trainer.LogLikelihood(validation, 1), 1e-6);
        Assert.Equal(best, recorder.Bests[^1]);
    }

    /// <summary>Improvements below the threshold do not count.</summary>
    [Fact]
    public void SmallImprovementsDoNotCount()
    {
        using var scope = NewDisposeScope();
        using Sequential model = Model();
        using var trainer = new VariationalTrainer(model, new GaussianLikelihood(), 16, new TrainerOptions
        {
            Epochs = 50,
            EarlyStopping = new EarlyStopping { Patience = 3, MinDelta = 1e6 },
        });
        FitResult fit = trainer.Fit(Noise(16), Noise(16), cancellationToken: Never);
        Assert.Equal((1, 4, true), (fit.BestEpoch!.Value, fit.History.Count, fit.StoppedEarly));
    }

    [Fact]
    public void ARunThatNeverStopsReportsItsBest()
    {
        using var scope = NewDisposeScope();
        using Sequential model = Model();
        using var trainer = new VariationalTrainer(model, new GaussianLikelihood(), 16, new TrainerOptions { Epochs = 3 });
        Assert.InRange(trainer.Fit(Noise(16), Noise(16), cancellationToken: Never).BestEpoch!.Value, 1, 3);
        FitResult blind = trainer.Fit(Noise(16), cancellationToken: Never);
        Assert.Equal((null, false, null), (blind.BestEpoch, blind.StoppedEarly, blind.RestoredEpoch));
    }

    [Fact]
    public void EarlyStoppingNeedsValidation()
    {
        using var scope = NewDisposeScope();
        using Sequential model = Model();
        using var trainer = new VariationalTrainer(model, new GaussianLikelihood(), 16, new TrainerOptions { EarlyStopping = new EarlyStopping() });
        Assert.Throws<ArgumentException>("validation", () => trainer.Fit(Noise(16), cancellationToken: Never));
        Assert.Throws<ArgumentOutOfRangeException>("Patience", () => new EarlyStopping { Patience = 0 });
        Assert.Throws<ArgumentOutOfRangeException>("MinDelta", () => new EarlyStopping { MinDelta = -1 });
        using var plateau = new VariationalTrainer(model, new GaussianLikelihood(), 16, new TrainerOptions { Scheduler = optimizer => ReduceLROnPlateau(optimizer) });
        Assert.Throws<ArgumentException>("validation", () => plateau.Fit(Noise(16), cancellationToken: Never));
    }

    /// <summary>A rate of zero moves nothing: the fused optimizer reads what the scheduler set, compiled or not, and AdamW too.</summary>
    [Theory]
    [InlineData(true, false)]
    [InlineData(false, false)]
    [InlineData(true, true)]
    public void SchedulersSetTheRateOfTheNextStep(bool compile, bool decoupled)
    {
        using var scope = NewDisposeScope();
        using Sequential model = Model();
        var rates = new List<double>();
        Tensor[] values = [Flat(model)];
        var recorder = new Recorder { AtStep = context => { rates.Add(context.Trainer.Optimizer.ParamGroups.Single().LearningRate); values = [.. values, Flat(model).MoveToOtherDisposeScope(scope)]; } };
        using var trainer = new VariationalTrainer(model, new GaussianLikelihood(), 16, new TrainerOptions
        {
            Epochs = 2,
            BatchSize = 8,
            LearningRate = 0.01,
            Compile = compile,
            Optimizer = decoupled ? trained => new FusedAdamW(trained, 0.01) : null,
            Scheduler = optimizer => LambdaLR(optimizer, step => step switch { 0 => 1, 1 => 0.5, _ => 0 }),
            SchedulerInterval = SchedulerInterval.Step,
            Callbacks = [recorder],
        });
        trainer.Fit(Noise(16), cancellationToken: Never);

        // After each step the scheduler has set the rate of the next.
        Assert.Equal([0.005, 0, 0, 0], rates);
        Assert.Equal([true, true, false, false], values.Zip(values.Skip(1), (a, b) => a.ne(b).any().item<bool>()));
    }

    [Fact]
    public void SchedulersStepByTheEpochUnlessToldOtherwise()
    {
        using var scope = NewDisposeScope();
        using Sequential model = Model();
        using var trainer = new VariationalTrainer(model, new GaussianLikelihood(), 16, new TrainerOptions
        {
            Epochs = 3,
            BatchSize = 4,
            LearningRate = 1,
            Optimizer = trained => optim.SGD(trained, 1e-3),
            Scheduler = optimizer => ExponentialLR(optimizer, 0.5),
        });
        trainer.Fit(Noise(16), cancellationToken: Never);
        Assert.Equal(1e-3 / 8, trainer.Optimizer.ParamGroups.Single().LearningRate, 1e-15);
    }

    /// <summary>A plateau of the validation score lowers the rate.</summary>
    [Fact]
    public void PlateausAreThoseOfTheValidationScore()
    {
        using var scope = NewDisposeScope();
        using Sequential model = Model();
        using var trainer = new VariationalTrainer(model, new GaussianLikelihood(), 16, new TrainerOptions
        {
            Epochs = 8,
            LearningRate = 0.01,
            Scheduler = optimizer => ReduceLROnPlateau(optimizer, patience: 1, threshold: 100, factor: 0.1),
        });
        trainer.Fit(Noise(16), Noise(16), cancellationToken: Never);
        Assert.InRange(trainer.Optimizer.ParamGroups.Single().LearningRate, 0, 0.0011);
    }

    [Fact]
    public void CallbacksAreCalledInOrder()
    {
        using var scope = NewDisposeScope();
        using Sequential model = Model();
        var recorder = new Recorder();
        using var trainer = new VariationalTrainer(model, new GaussianLikelihood(), 16, new TrainerOptions
        {
            Epochs = 2,
            BatchSize = 8,
            ValidationInterval = 2,
            Callbacks = [recorder],
        });
        trainer.Fit(Noise(16), Noise(16), cancellationToken: Never);
        Assert.Equal(
            ["fit 1.0", "epoch 1.0", "before 1.0", "after 1.1", "before 1.1", "after 1.2", "end 1.2", "epoch 2.0", "before 2.0", "after 2.1", "before 2.1", "after 2.2", "score 2.2", "end 2.2", "done"],
            recorder.Calls);
    }

    [Fact]
    public void ACallbackCanStopTheRun()
    {
        using var scope = NewDisposeScope();
        using Sequential model = Model();
        var recorder = new Recorder { AtStep = context => { if (context.Trainer.Steps == 3) context.Stop(); } };
        using var trainer = new VariationalTrainer(model, new GaussianLikelihood(), 16, new TrainerOptions { Epochs = 9, BatchSize = 8, Callbacks = [recorder] });
        FitResult fit = trainer.Fit(Noise(16), cancellationToken: Never);
        Assert.Equal((true, 3L, 1), (fit.Cancelled, fit.Steps, fit.History.Count));
    }

    [Fact]
    public void TensorBoardGetsEventFiles()
    {
        using var scope = NewDisposeScope();
        string folder = Directory.CreateTempSubdirectory("bayesnet-tests-").FullName;
        try
        {
            using Sequential model = Model();
            using var trainer = new VariationalTrainer(model, new GaussianLikelihood(), 16, new TrainerOptions
            {
                Epochs = 2,
                BatchSize = 8,
                MaxGradientNorm = 1,
                Callbacks = [new TensorBoardCallback(folder, stepInterval: 2)],
            });
            trainer.Fit(Noise(16), Noise(16), cancellationToken: Never);
            string events = System.Text.Encoding.Latin1.GetString(File.ReadAllBytes(Assert.Single(Directory.GetFiles(folder))));
            foreach (string tag in new[]
            {
                "step/nll", "step/loss", "step/gradient_norm", "step/learning_rate/0", "epoch/nll", "epoch/kl", "epoch/elbo", "epoch/validation_log_likelihood",
                "epoch/gradient_variance", "kl/hidden", "kl/out", "snr_db/hidden.weight", "snr_db/out.bias",
            })
            {
                Assert.Contains(tag, events, StringComparison.Ordinal);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>The variance that Adam's moments have is that of the gradients fed to it, where its decays forget little.</summary>
    [Fact]
    public void TheGradientVarianceIsThatOfTheSteps()
    {
        using var scope = NewDisposeScope();
        using var parameter = new Parameter(zeros(1000, dtype: ScalarType.Float64));
        using var optimizer = new FusedAdam([parameter], 1e-12, beta1: 0.9999, beta2: 0.9999);
        Assert.Null(TensorBoardCallback.GradientVariance(optimizer));
        manual_seed(1);
        for (int i = 0; i < 100; i++)
        {
            parameter.grad = randn(1000, dtype: ScalarType.Float64) * 2 + 5;
            optimizer.step();
        }

        // E[v - m^2] = 4 (1 - 1/100); the standard error over 1000 entries of 100 draws is 4 sqrt(2 / 1e5) = 0.018.
        Assert.Equal(4 * 0.99, Assert.NotNull(TensorBoardCallback.GradientVariance(optimizer)), 5 * 0.018);
        using var other = optim.SGD([parameter], 0.1);
        Assert.Null(TensorBoardCallback.GradientVariance(other));
    }

    private static Sequential Model() => nn.Sequential(("hidden", bnn.Linear(2, 4)), ("relu", nn.ReLU()), ("out", bnn.Linear(4, 1)));

    private static TrainingData Noise(long rows) => new(randn(rows, 2), randn(rows, 1));

    private static Tensor Flat(nn.Module model) => cat([.. model.parameters().Select(parameter => parameter.detach().flatten())]).clone();

    private sealed class Recorder : ITrainingCallback
    {
        public List<string> Calls { get; } = [];

        public List<int> Bests { get; } = [];

        public Action<TrainingContext>? AtStep { get; init; }

        public void FitStarted(TrainingContext context) => Add("fit", context);

        public void EpochStarted(TrainingContext context) => Add("epoch", context);

        public void StepStarting(TrainingContext context) => Add("before", context);

        public void StepCompleted(TrainingContext context, StepResult result)
        {
            Add("after", context);
            AtStep?.Invoke(context);
        }

        public void Validated(TrainingContext context, double logLikelihood, bool isBest)
        {
            Add("score", context);
            if (isBest)
                Bests.Add(context.Epoch);
        }

        public void EpochCompleted(TrainingContext context, EpochResult result) => Add("end", context);

        public void FitCompleted(TrainingContext context, FitResult result) => Calls.Add("done");

        private void Add(string what, TrainingContext context) => Calls.Add($"{what} {context.Epoch}.{context.Step}");
    }
}
