using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Training;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Distributed.Tests;

/// <summary>What fails on one rank ends training on all, with an exception that names the rank; nobody waits for the others.</summary>
public sealed class FailureTests : IDisposable
{
    private const int Size = 3, Failing = 1;
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly string _folder = Directory.CreateTempSubdirectory("bayesnet-tests-").FullName;
    private readonly Tensor _x;
    private readonly Tensor _y;

    public FailureTests()
    {
        random.manual_seed(11);
        _x = randn(60, 3);
        _y = _x.sum(dim: 1, keepdim: true).sin();
    }

    public void Dispose()
    {
        _scope.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>Rows that are not finite, on one rank: all throw what callers catch for it.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ALossThatIsNotFinite(bool compile)
    {
        Exception?[] found = Failures(
            Options with { Compile = compile }, (trainer, rank) => trainer.Fit([(_x[..10], _y[..10]), (rank == Failing ? _x[10..20].log() : _x[10..20], _y[10..20])]));
        Assert.All(found, error => Assert.Contains("hold NaN", Assert.IsType<NonFiniteLossException>(error).Message, StringComparison.Ordinal));
        Assert.All(Others(found), error => Assert.StartsWith($"Rank {Failing} failed: ", error!.Message, StringComparison.Ordinal));
    }

    /// <summary>Callbacks are anyone's code; one throws wherever a run calls it, on one rank.</summary>
    [Theory]
    [InlineData("FitStarted")]
    [InlineData("EpochStarted")]
    [InlineData("StepStarting")]
    [InlineData("StepCompleted")]
    [InlineData("Validated")]
    [InlineData("EpochCompleted")]
    [InlineData("FitCompleted")]
    public void ACallbackThatThrows(string where)
    {
        var data = new TrainingData(_x, _y);
        Exception?[] found = Failures(
            rank => Options with { Epochs = 2, Callbacks = rank == Failing ? [new Thrower(where)] : [] }, (trainer, _) => trainer.Fit(data, data));
        Assert.IsType<NotSupportedException>(found[Failing]);
        Assert.All(Others(found), error => Assert.Equal($"Rank {Failing} failed: at {where}", Assert.IsType<CollectiveException>(error).Message));
    }

    /// <summary>Rank 0 alone writes checkpoints, and can't.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(1000)]
    public void ACheckpointThatCannotBeWritten(int everySteps)
    {
        var data = new TrainingData(_x, _y);
        string path = Path.Combine(_folder, "missing", "checkpoint");
        Exception?[] found = Failures(Options with { Epochs = 2, Checkpoint = new CheckpointOptions(path) { EverySteps = everySteps } }, (trainer, _) => trainer.Fit(data));
        Assert.IsAssignableFrom<IOException>(found[0]);
        Assert.All(found[1..], error => Assert.StartsWith("Rank 0 failed: ", Assert.IsType<CollectiveException>(error).Message, StringComparison.Ordinal));
    }

    /// <summary>A loader that has fewer minibatches than those of the other ranks, with a validation score behind the epoch and without.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ALoaderThatEndsEarly(bool validation)
    {
        var data = new TrainingData(_x, _y);
        Exception?[] found = Failures(Options with { Epochs = 3 }, (trainer, rank) =>
        {
            (Tensor, Tensor)[] all = [.. Enumerable.Range(0, 6).Select(i => (_x.narrow(0, 10 * i, 10), _y.narrow(0, 10 * i, 10)))];
            trainer.Fit(rank == Failing ? all[..4] : all, validation ? data : null);
        });
        Assert.All(found, error => Assert.Contains("different places", Assert.IsType<InvalidOperationException>(error).Message, StringComparison.Ordinal));
    }

    /// <summary>In a loop of one's own: rows that do not fit, on one rank. Afterwards all can go on together, in a run of the trainer's too.</summary>
    [Fact]
    public void AStepThatFailsIsOneThatNoRankTook()
    {
        var data = new TrainingData(_x, _y);
        (string? Error, long Steps, double[] Parameters)[] found = ThreadCollectives.Run(Size, ranks =>
        {
            using var own = NewDisposeScope();
            using nn.Module<Tensor, Tensor> model = Model();
            using var likelihood = new GaussianLikelihood();
            using var trainer = new VariationalTrainer(model, likelihood, 60, Options.OnRanks(ranks));
            trainer.Step(_x[..10], _y[..10]);
            Exception? error = Record.Exception(() => trainer.Step(_x[..10], ranks.Rank == Failing ? _y[..9] : _y[..10]));
            long steps = trainer.Steps;
            trainer.Step(_x[10..20], _y[10..20]);
            trainer.Fit(data);
            return (error?.Message, steps, model.parameters().SelectMany(parameter => parameter.data<float>().ToArray()).Select(value => (double)value).ToArray());
        });
        Assert.All(found, rank => Assert.NotNull(rank.Error));
        Assert.All(found.Where((_, rank) => rank != Failing), rank => Assert.StartsWith($"Rank {Failing} failed: ", rank.Error, StringComparison.Ordinal));
        Assert.All(found, rank => Assert.Equal(1, rank.Steps));
        Assert.All(found, rank => Assert.Equal(found[0].Parameters, rank.Parameters));
    }

    /// <summary>Two ranks at once: each keeps its own exception, the third has the first's.</summary>
    [Fact]
    public void TwoFailuresAtOnce()
    {
        var data = new TrainingData(_x, _y);
        Exception?[] found = Failures(
            rank => Options with { Callbacks = rank > 0 ? [new Thrower("StepCompleted", $"rank {rank}'s")] : [] }, (trainer, _) => trainer.Fit(data));
        Assert.Equal("Rank 1 failed: rank 1's", found[0]!.Message);
        Assert.Equal("rank 1's", found[1]!.Message);
        Assert.Equal("rank 2's", found[2]!.Message);
    }

    private static TrainerOptions Options => new() { Epochs = 1, BatchSize = 12, Seed = 5 };

    private static IEnumerable<Exception?> Others(Exception?[] found) => found.Where((_, rank) => rank != Failing);

    private static Exception?[] Failures(TrainerOptions options, Action<VariationalTrainer, int> train) => Failures(_ => options, train);

    private static Exception?[] Failures(Func<int, TrainerOptions> options, Action<VariationalTrainer, int> train)
        => ThreadCollectives.Run(Size, ranks =>
        {
            using var own = NewDisposeScope();
            using nn.Module<Tensor, Tensor> model = Model();
            using var likelihood = new GaussianLikelihood();
            using var trainer = new VariationalTrainer(model, likelihood, 60, options(ranks.Rank).OnRanks(ranks));
            return Record.Exception(() => train(trainer, ranks.Rank));
        });

    private static nn.Module<Tensor, Tensor> Model() => nn.Sequential(("hidden", bnn.Linear(3, 20)), ("relu", nn.ReLU()), ("out", bnn.Linear(20, 1)));

    private sealed class Thrower(string where, string? message = null) : ITrainingCallback
    {
        public void FitStarted(TrainingContext context) => Throw(nameof(FitStarted));

        public void EpochStarted(TrainingContext context) => Throw(nameof(EpochStarted));

        public void StepStarting(TrainingContext context) => Throw(nameof(StepStarting));

        public void StepCompleted(TrainingContext context, StepResult result) => Throw(nameof(StepCompleted));

        public void Validated(TrainingContext context, double score, bool isBest) => Throw(nameof(Validated));

        public void EpochCompleted(TrainingContext context, EpochResult result) => Throw(nameof(EpochCompleted));

        public void FitCompleted(TrainingContext context, FitResult result) => Throw(nameof(FitCompleted));

        private void Throw(string here)
        {
            if (here == where)
                throw new NotSupportedException(message ?? $"at {where}");
        }
    }
}
