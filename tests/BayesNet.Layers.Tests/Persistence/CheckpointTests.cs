using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Persistence;
using BayesNet.Posteriors;
using BayesNet.TestKit;
using BayesNet.Training;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;
using static TorchSharp.torch.optim.lr_scheduler;

namespace BayesNet.Layers.Tests.Persistence;

/// <summary>A run that was stopped and goes on in another trainer is, to the last bit, the one that was not.</summary>
public sealed class CheckpointTests : IDisposable
{
    private const int Rows = 40;

    private static readonly CancellationToken Never = CancellationToken.None;

    private readonly string _folder = Directory.CreateTempSubdirectory("bayesnet-tests-").FullName;

    public static TheoryData<string> Cases =>
    [
        "compiled", "autograd", "unseeded", "AdamW", "AMSGrad", "SGD", "RMSprop", "TorchSharp's Adam", "shared weights", "flipout", "Student-t", "low rank", "dropout",
        "several samples", "accumulation", "antithetic", "clipping", "float64", "cosine by step", "one cycle", "plateau", "scales", "loader", "point estimate",
    ];

    private string Path => System.IO.Path.Combine(_folder, "checkpoint");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(Cases))]
    public void TrainingGoesOnBitForBit(string name)
    {
        using var scope = NewDisposeScope();
        Case known = Make(name);
        using Setup whole = Build(known, known.Options, seed: 1);
        FitResult expected = whole.Fit(null);
        Dictionary<string, Tensor> values = whole.Values();

        // Stopped within an epoch, and after its last step.
        foreach (long stop in new[] { 8L, 15 })
        {
            using Setup first = Build(known, known.Options with { Checkpoint = new CheckpointOptions(Path) }, seed: 1);
            Assert.True(first.Fit(stop).Cancelled);
            Assert.Equal(stop, first.Trainer.Steps);

            // Another start, and another state of the global generator.
            using Setup second = Build(known, known.Options, seed: 77);
            second.Trainer.Resume(Path);
            Assert.Equal(stop, second.Trainer.Steps);
            FitResult found = second.Fit(null);
            Dictionary<string, Tensor> others = second.Values();
            Assert.Equal(values.Keys, others.Keys);
            Assert.All(values, entry => Assert.True(entry.Value.eq(others[entry.Key]).all().item<bool>(), $"{name}, stopped at {stop}: {entry.Key}"));
            Assert.Equal(expected.History.Select(epoch => epoch with { Duration = default }), found.History.Select(epoch => epoch with { Duration = default }));
            Assert.Equal((expected.Steps, expected.BestEpoch, expected.RestoredEpoch), (found.Steps, found.BestEpoch, found.RestoredEpoch));
            Assert.Equal(
                whole.Trainer.Optimizer.ParamGroups.Select(group => group.LearningRate), second.Trainer.Optimizer.ParamGroups.Select(group => group.LearningRate));
        }
    }

    /// <summary>A checkpoint of a run that ended has its result; with more epochs asked for, it goes on.</summary>
    [Fact]
    public void ARunThatEndedIsNotRepeated()
    {
        using var scope = NewDisposeScope();
        Case known = Make("compiled");
        using Setup first = Build(known, known.Options with { Checkpoint = new CheckpointOptions(Path) }, seed: 1);
        FitResult expected = first.Fit(null);
        using Setup second = Build(known, known.Options, seed: 2);
        Assert.True(second.Trainer.TryResume(Path));
        FitResult found = second.Fit(null);
        Assert.Equal(expected.History, found.History);
        Assert.Equal(expected.Steps, found.Steps);
        Assert.Equal(first.Trainer.Steps, second.Trainer.Steps);

        // The next run is another one.
        Assert.Equal(expected.Steps, second.Fit(null).Steps);
        Assert.Equal(2 * expected.Steps, second.Trainer.Steps);

        using Setup third = Build(known, known.Options with { Epochs = 6 }, seed: 3);
        third.Trainer.Resume(Path);
        Assert.Equal(6, third.Fit(null).History.Count);
    }

    /// <summary>Between runs too: what two calls of Fit and loops of one's own did goes on.</summary>
    [Fact]
    public void ATrainerBetweenRunsGoesOn()
    {
        using var scope = NewDisposeScope();
        Case known = Make("compiled");
        using Setup first = Build(known, known.Options, seed: 1);
        first.Fit(null);
        first.Trainer.Step(first.X, first.Y);
        first.Trainer.SaveCheckpoint(Path);
        FitResult expected = first.Fit(null);
        using Setup second = Build(known, known.Options, seed: 2);
        second.Trainer.Resume(Path);
        FitResult found = second.Fit(null);
        Assert.Equal(expected.History.Select(epoch => epoch.NegativeLogLikelihood), found.History.Select(epoch => epoch.NegativeLogLikelihood));
        Dictionary<string, Tensor> values = first.Values(), others = second.Values();
        Assert.All(values, entry => Assert.True(entry.Value.eq(others[entry.Key]).all().item<bool>()));
    }

    [Fact]
    public void CheckpointsAreWrittenAsTheyAreDue()
    {
        using var scope = NewDisposeScope();
        Case known = Make("compiled");
        var saved = new Saved();
        var options = known.Options with { Callbacks = [saved], Epochs = 3 };
        Build(known, options with { Checkpoint = new CheckpointOptions(Path) { EverySteps = 4 } }, seed: 1).Fit(null);
        Assert.Equal([4, 8, 12, 15], saved.Steps);
        saved.Steps.Clear();
        Build(known, options with { Checkpoint = new CheckpointOptions(Path) { Every = TimeSpan.FromTicks(1) } }, seed: 1).Fit(null);
        Assert.Equal(Enumerable.Range(1, 15).Append(15), saved.Steps.Select(step => (int)step));
        Assert.Equal([Path], Directory.GetFiles(_folder));
        Assert.Throws<ArgumentOutOfRangeException>("EverySteps", () => new CheckpointOptions(Path) { EverySteps = 0 });
        Assert.Throws<ArgumentOutOfRangeException>("Every", () => new CheckpointOptions(Path) { Every = TimeSpan.Zero });
        Assert.Throws<ArgumentException>("path", () => new CheckpointOptions(" "));
    }

    /// <summary>Other tools read it: it is a file of the safetensors format, with the parameters by their names.</summary>
    [Fact]
    public void ACheckpointIsASafeTensorsFile()
    {
        using var scope = NewDisposeScope();
        Case known = Make("compiled");
        using Setup setup = Build(known, known.Options, seed: 1);
        setup.Fit(null);
        setup.Trainer.SaveCheckpoint(Path);
        using SafeTensorsFile file = SafeTensors.Read(Path);
        Assert.Equal("bayesnet.checkpoint", file.Metadata["format"]);
        Assert.True(file.Tensors["model.hidden.weight.mean"].eq(setup.Model.state_dict()["hidden.weight.mean"]).all().item<bool>());
        Assert.Contains("likelihood.log_noise", file.Tensors.Keys);
        Assert.NotEmpty(file.Metadata["library"]);
    }

    /// <summary>Any byte that is changed or missing is found, and the trainer is as it was.</summary>
    [Fact]
    public void DamagedFilesAreRefused()
    {
        using var scope = NewDisposeScope();
        Case known = Make("compiled");
        using Setup setup = Build(known, known.Options, seed: 1);
        setup.Fit(null);
        setup.Trainer.SaveCheckpoint(Path);
        byte[] whole = File.ReadAllBytes(Path);
        setup.Trainer.Step(setup.X, setup.Y);
        var random = new Random(5);
        for (int i = 0; i < 30; i++)
        {
            byte[] damaged = [.. whole];
            int place = random.Next(whole.Length);
            damaged[place] ^= (byte)(1 << random.Next(8));
            Refused(setup, damaged);
        }

        foreach (int length in new[] { 0, 5, 8, 100, whole.Length / 2, whole.Length - 1 })
            Refused(setup, whole[..length]);
        Refused(setup, [.. whole, 0]);
        SafeTensors.Write(Path, new Dictionary<string, Tensor> { ["a"] = ones(2) });
        Assert.Contains("no checkpoint", Refused(setup, File.ReadAllBytes(Path)), StringComparison.Ordinal);
        Assert.False(setup.Trainer.TryResume(Path + "x"));
        Assert.Throws<FileNotFoundException>(() => setup.Trainer.Resume(Path + "x"));
        File.WriteAllBytes(Path, whole);
        setup.Trainer.Resume(Path);
    }

    [Theory]
    [InlineData("wider", "of shape")]
    [InlineData("deeper", "lacks")]
    [InlineData("float64", "Float64")]
    [InlineData("SGD", "the optimizer was FusedAdam when it was written, and is SGD now")]
    [InlineData("batch", "BatchSize was 8 when it was written, and is 5 now")]
    [InlineData("rows", "the number of training rows was 40")]
    [InlineData("likelihood", "lacks")]
    public void AnotherTrainersFileIsRefused(string what, string reason)
    {
        using var scope = NewDisposeScope();
        Case known = Make("compiled");
        using Setup first = Build(known, known.Options, seed: 1);
        first.Fit(5);
        first.Trainer.SaveCheckpoint(Path);
        ScalarType type = what == "float64" ? ScalarType.Float64 : ScalarType.Float32;
        int width = what == "wider" ? 7 : 6;
        Sequential model = what == "deeper"
            ? nn.Sequential(("hidden", bnn.Linear(3, 6)), ("more", bnn.Linear(6, 6)), ("out", bnn.Linear(6, 1)))
            : nn.Sequential(("hidden", bnn.Linear(3, width, dtype: type)), ("relu", nn.ReLU()), ("out", bnn.Linear(width, 1, dtype: type)));
        Likelihood likelihood = what == "likelihood" ? new StudentTLikelihood() : new GaussianLikelihood();
        var options = known.Options with
        {
            BatchSize = what == "batch" ? 5 : 8,
            Optimizer = what == "SGD" ? trained => optim.SGD(trained, 0.1) : null,
        };
        using var trainer = new VariationalTrainer(model, likelihood, what == "rows" ? 41 : Rows, options);
        Tensor before = cat([.. model.parameters().Select(parameter => parameter.detach().flatten())]).clone();
        Assert.Contains(reason, Assert.Throws<InvalidDataException>(() => trainer.Resume(Path)).Message, StringComparison.Ordinal);
        Assert.True(before.eq(cat([.. model.parameters().Select(parameter => parameter.detach().flatten())])).all().item<bool>());
        Assert.Equal(0, trainer.Steps);
    }

    /// <summary>Saving and resuming leave no tensor behind.</summary>
    [Fact]
    public void NothingLeaks()
    {
        using var scope = NewDisposeScope();
        Case known = Make("compiled");
        using Setup setup = Build(known, known.Options, seed: 1);

        // Three rounds are a run of 20 steps; within one the best epoch's copies are held.
        for (int i = 0; i < 3; i++)
            Round();
        long before = LiveTensors.Settled();
        for (int i = 0; i < 21; i++)
            Round();
        Assert.Equal(before, LiveTensors.Settled());

        void Round()
        {
            using var inner = NewDisposeScope();
            setup.Fit(setup.Trainer.Steps + 7);
            setup.Trainer.SaveCheckpoint(Path);
            setup.Trainer.Resume(Path);
        }
    }

    private string Refused(Setup setup, byte[] content)
    {
        File.WriteAllBytes(Path, content);
        Dictionary<string, Tensor> before = setup.Values();
        string message = Assert.Throws<InvalidDataException>(() => setup.Trainer.Resume(Path)).Message;
        Dictionary<string, Tensor> after = setup.Values();
        Assert.All(before, entry => Assert.True(entry.Value.eq(after[entry.Key]).all().item<bool>()));
        return message;
    }

    private static Case Make(string name)
    {
        var options = new TrainerOptions
        {
            Epochs = 4,
            BatchSize = 8,
            LearningRate = 0.01,
            Seed = name == "unseeded" ? null : 9,
            KlSchedule = KlSchedule.Warmup(3),
            ValidationSamples = 3,
            EarlyStopping = new EarlyStopping { MinDelta = 0.01 },
        };
        var known = new Case(options, ScalarType.Float32, BayesOptions.Default, false, false, false);
        return name switch
        {
            "compiled" or "unseeded" => known,
            "autograd" => known with { Options = options with { Compile = false } },
            "AdamW" => known with { Options = options with { Optimizer = trained => new FusedAdamW(trained, 0.01) } },
            "AMSGrad" => known with { Options = options with { Optimizer = trained => new FusedAdam(trained, 0.01, amsgrad: true) } },
            "SGD" => known with { Options = options with { Optimizer = trained => optim.SGD(trained, 1e-3, momentum: 0.9) } },
            "RMSprop" => known with { Options = options with { Optimizer = trained => optim.RMSProp(trained, 1e-3) } },
            "TorchSharp's Adam" => known with { Options = options with { Optimizer = trained => optim.Adam(trained, 1e-2) } },
            "shared weights" => known with { Layers = new BayesOptions { Estimator = Estimator.SharedWeights } },
            "flipout" => known with { Layers = new BayesOptions { Estimator = Estimator.Flipout } },
            "Student-t" => known with { Layers = new BayesOptions { Estimator = Estimator.SharedWeights, Posterior = new MeanFieldStudentTSpecification { DegreesOfFreedom = 5 } } },
            "low rank" => known with { Layers = new BayesOptions { Posterior = new LowRankGaussianSpecification { Rank = 2 } } },
            "dropout" => known with { Dropout = true },
            "several samples" => known with { Options = options with { Samples = 3 } },
            "accumulation" => known with { Options = options with { BatchSize = 4, AccumulationSteps = 2 } },
            "antithetic" => known with { Options = options with { Samples = 2, Antithetic = true } },
            "clipping" => known with { Options = options with { MaxGradientNorm = 0.5 } },
            "float64" => known with { Type = ScalarType.Float64 },
            "cosine by step" => known with
            {
                Options = options with { Scheduler = optimizer => CosineAnnealingLR(optimizer, 20), SchedulerInterval = SchedulerInterval.Step },
            },
            "one cycle" => known with
            {
                Options = options with { Scheduler = optimizer => OneCycleLR(optimizer, 0.02, total_steps: 30), SchedulerInterval = SchedulerInterval.Step },
            },
            "plateau" => known with { Options = options with { Scheduler = optimizer => ReduceLROnPlateau(optimizer, patience: 0, threshold: 1) } },
            "scales" => known with { Options = options with { ScaleLearningRate = 0.05 } },
            "loader" => known with { Loader = true },
            _ => known with { Deterministic = true, Options = options with { PointPrior = 1 } },
        };
    }

    private static Setup Build(Case known, TrainerOptions options, int seed)
    {
        using var noise = new NoiseSource(5);
        Tensor x = noise.Normal([Rows + 20, 3], known.Type, CPU), y = x.sum(dim: 1, keepdim: true).sin();
        manual_seed(seed);
        nn.Module<Tensor, Tensor> Layer(int inputs, int outputs)
            => known.Deterministic ? nn.Linear(inputs, outputs, dtype: known.Type) : bnn.Linear(inputs, outputs, dtype: known.Type, options: known.Layers);
        Sequential model = nn.Sequential(("hidden", Layer(3, 6)), ("relu", known.Dropout ? nn.Dropout(0.3) : nn.ReLU()), ("out", Layer(6, 1)));
        return new Setup(model, new GaussianLikelihood(), options, x, y, known.Loader);
    }

    private sealed record Case(TrainerOptions Options, ScalarType Type, BayesOptions Layers, bool Dropout, bool Loader, bool Deterministic);

    private sealed class Setup : ITrainingCallback, IDisposable
    {
        private readonly bool _loader;
        private readonly TrainingData _validation;
        private long? _stop;

        public Setup(Sequential model, GaussianLikelihood likelihood, TrainerOptions options, Tensor x, Tensor y, bool loader)
        {
            (Model, Likelihood, _loader) = (model, likelihood, loader);
            (X, Y) = (x[..Rows], y[..Rows]);
            _validation = new TrainingData(x[Rows..], y[Rows..]);
            Trainer = new VariationalTrainer(model, likelihood, Rows, options with { Callbacks = [this, .. options.Callbacks] });
        }

        public Sequential Model { get; }

        public GaussianLikelihood Likelihood { get; }

        public VariationalTrainer Trainer { get; }

        public Tensor X { get; }

        public Tensor Y { get; }

        public FitResult Fit(long? stop)
        {
            _stop = stop;
            return _loader
                ? Trainer.Fit(Enumerable.Range(0, 5).Select(i => (X[(8 * i)..(8 * i + 8)], Y[(8 * i)..(8 * i + 8)])), _validation, cancellationToken: Never)
                : Trainer.Fit(new TrainingData(X, Y), _validation, cancellationToken: Never);
        }

        public void Dispose()
        {
            Trainer.Dispose();
            Model.Dispose();
            Likelihood.Dispose();
        }

        public Dictionary<string, Tensor> Values()
            => Model.state_dict().Concat(Likelihood.state_dict()).ToDictionary(entry => entry.Key, entry => entry.Value.detach().clone());

        public void StepCompleted(TrainingContext context, StepResult result)
        {
            if (context.Trainer.Steps == _stop)
                context.Stop();
        }
    }

    private sealed class Saved : ITrainingCallback
    {
        public List<long> Steps { get; } = [];

        public void CheckpointSaved(TrainingContext context, string path) => Steps.Add(context.Trainer.Steps);
    }
}
