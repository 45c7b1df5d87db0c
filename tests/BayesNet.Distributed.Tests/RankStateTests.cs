using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Training;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Distributed.Tests;

/// <summary>What a run on ranks keeps beside parameters: running statistics, and when gradients are on their way.</summary>
public sealed class RankStateTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly Tensor _x;
    private readonly Tensor _y;

    public RankStateTests()
    {
        random.manual_seed(11);
        _x = randn(50, 3, dtype: ScalarType.Float64);
        _y = _x.sum(dim: 1, keepdim: true).sin();
    }

    public void Dispose() => _scope.Dispose();

    /// <summary>
    /// The running mean of a step is that of one process over all its rows, and the variance the mean, by rows, of those of the slices; the same on
    /// all ranks, one of which has no rows.
    /// </summary>
    [Fact]
    public void RunningStatisticsAreOfAllRows()
    {
        (double[] Mean, double[] Variance)[] found = ThreadCollectives.Run(4, ranks =>
        {
            using var own = NewDisposeScope();
            TrainerOptions options = new TrainerOptions { Seed = 5 }.OnRanks(ranks);
            using var norm = nn.BatchNorm1d(3, dtype: ScalarType.Float64);
            using nn.Module<Tensor, Tensor> model = nn.Sequential(("norm", norm), ("out", bnn.Linear(3, 1, dtype: ScalarType.Float64)));
            using var likelihood = new GaussianLikelihood();
            using var trainer = new VariationalTrainer(model, likelihood, 50, options);

            // 7 rows of rank 0, 2 of rank 1 and 3, none of rank 2.
            (long start, long length) = ranks.Rank switch { 0 => (0, 7), 1 => (7, 2), 2 => (9, 0), _ => (9, 2) };
            trainer.Step(_x.narrow(0, start, length), _y.narrow(0, start, length));
            return (norm.running_mean!.data<double>().ToArray(), norm.running_var!.data<double>().ToArray());
        });
        Tensor mean = 0.1 * _x[..11].mean([0]);
        Tensor variance = 0.9 + 0.1 * (7 * _x[..7].var(0L) + 2 * _x[7..9].var(0L) + 2 * _x[9..11].var(0L)) / 11;
        Assert.All(found, rank => Assert.Equal(found[0].Mean, rank.Mean));
        Assert.All(found, rank => Assert.Equal(found[0].Variance, rank.Variance));
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(mean[i].item<double>(), found[0].Mean[i], 1e-14);
            Assert.Equal(variance[i].item<double>(), found[0].Variance[i], 1e-14);
        }
    }

    /// <summary>
    /// Ranks without a disk in common: rank 0's checkpoint is that of all, whatever stands at another's path, and copies are gone afterwards. Where rank 0 has
    /// none, no rank resumes.
    /// </summary>
    [Fact]
    public void TheCheckpointIsOnRankZerosDisk()
    {
        string folder = Directory.CreateTempSubdirectory("bayesnet-tests-").FullName;
        try
        {
            string[] found = ThreadCollectives.Run(3, ranks =>
            {
                using var own = NewDisposeScope();
                string path = Path.Combine(folder, $"disk{ranks.Rank}");
                if (ranks.Rank == 1)
                    File.WriteAllText(path, "no checkpoint");
                using VariationalTrainer first = Trainer(ranks, 2, path, out nn.Module<Tensor, Tensor> model);
                Assert.False(first.TryResume(path));
                Assert.NotNull(Record.Exception(() => first.Resume(path)));
                first.Fit(new TrainingData(_x, _y));
                using VariationalTrainer second = Trainer(ranks, 4, path, out nn.Module<Tensor, Tensor> resumed);
                Assert.True(second.TryResume(path));
                Assert.Equal(first.Steps, second.Steps);
                Assert.True(model.parameters().Zip(resumed.parameters()).All(pair => pair.First.equal(pair.Second).all().item<bool>()));
                second.Fit(new TrainingData(_x, _y));
                return string.Join(" ", resumed.parameters().SelectMany(parameter => parameter.data<double>().ToArray()));
            });
            Assert.All(found, rank => Assert.Equal(found[0], rank));
            Assert.Equal(["disk0", "disk1"], Directory.EnumerateFiles(folder).Select(Path.GetFileName).Order());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        static VariationalTrainer Trainer(ICollectives ranks, int epochs, string path, out nn.Module<Tensor, Tensor> model)
        {
            model = nn.Sequential(("hidden", bnn.Linear(3, 8, dtype: ScalarType.Float64)), ("relu", nn.ReLU()), ("out", bnn.Linear(8, 1, dtype: ScalarType.Float64)));
            return new VariationalTrainer(
                model, new GaussianLikelihood(), 50, new TrainerOptions { Epochs = epochs, BatchSize = 16, Seed = 5, Checkpoint = new CheckpointOptions(path) }.OnRanks(ranks));
        }
    }

    /// <summary>
    /// The gradients of the last layers are on their way before those of the first exist: at the first reduction of a step, the first layer has
    /// the gradient of the step before.
    /// </summary>
    [Fact]
    public void TheExchangeBeginsWithinTheBackwardPass()
    {
        (bool FirstIsOld, bool LastIsNew)[] found = ThreadCollectives.Run(2, ranks =>
        {
            using var own = NewDisposeScope();
            using Linear first = nn.Linear(3, 512), last = nn.Linear(512, 600);
            using nn.Module<Tensor, Tensor> model = nn.Sequential(("first", first), ("tanh", nn.Tanh()), ("last", last));
            using var likelihood = new CategoricalLikelihood();
            using var watched = new Watched(ranks);
            using var trainer = new VariationalTrainer(
                model, likelihood, 50, new TrainerOptions { Seed = 5, PointEstimate = true, Optimizer = parameters => optim.SGD(parameters, 0) }.OnRanks(watched));
            Assert.True(trainer.IsCompiled);
            Tensor x = _x.to(ScalarType.Float32), labels = arange(50, dtype: ScalarType.Int64);
            trainer.Step(x[..10], labels[..10]);
            Tensor firstBefore = first.weight!.grad!.clone(), lastBefore = last.weight!.grad!.clone();
            (bool, bool)? seen = null;
            watched.Begun = () => seen ??= (first.weight!.grad!.equal(firstBefore).all().item<bool>(), !last.weight!.grad!.equal(lastBefore).all().item<bool>());

            // The first all-reduce is that of the rows.
            watched.Skip = 1;
            trainer.Step(x[10..20], labels[10..20]);
            return seen!.Value;
        });
        Assert.All(found, rank => Assert.Equal((true, true), rank));
    }

    private sealed class Watched(ICollectives inner) : ICollectives
    {
        public int Rank => inner.Rank;

        public int Size => inner.Size;

        public bool Overlaps => true;

        internal Action? Begun { get; set; }

        internal int Skip { get; set; }

        public IPendingReduction BeginAllReduce(Tensor tensor, Reduction reduction = Reduction.Sum)
        {
            if (Skip-- <= 0)
                Begun?.Invoke();
            return inner.BeginAllReduce(tensor, reduction);
        }

        public void Broadcast(Tensor tensor, int root = 0) => inner.Broadcast(tensor, root);

        public void Barrier() => inner.Barrier();

        public void Dispose()
        {
        }
    }
}
