using BayesNet.Estimators;
using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Training;
using BayesNet.Training.Fitting;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Distributed.Tests;

/// <summary>Steps that several ranks take together, against those of one process on the same rows with the same noise.</summary>
public sealed class DataParallelTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly Tensor _x;
    private readonly Tensor _y;

    public DataParallelTests()
    {
        random.manual_seed(11);
        _x = randn(103, 3, dtype: ScalarType.Float64);
        _y = _x.sum(dim: 1, keepdim: true).sin();
    }

    public void Dispose() => _scope.Dispose();

    /// <summary>
    /// With shared weights, and noise made equal on all ranks, the gradient of 2, 3 and 4 ranks is that of one process over the 13 rows, in float64 to
    /// 1e-12 of the greatest entry: only the order of the sums differs.
    /// </summary>
    [Theory]
    [InlineData(2, true, 1)]
    [InlineData(2, false, 1)]
    [InlineData(3, true, 2)]
    [InlineData(4, false, 1)]
    public void TheGradientIsThatOfOneProcessOverTheSameRows(int size, bool compile, int samples)
    {
        TrainerOptions options = new() { Seed = 5, Compile = compile, Samples = samples, PointPrior = 2, Optimizer = parameters => optim.SGD(parameters, 0) };
        (double[] expected, StepResult alone) = Gradient(options, ranks: null);
        foreach ((double[] found, StepResult step) in ThreadCollectives.Run(size, ranks => Gradient(options.OnRanks(ranks), ranks)))
        {
            double greatest = expected.Max(Math.Abs);
            for (int i = 0; i < expected.Length; i++)
                Assert.Equal(expected[i], found[i], 1e-12 * greatest);
            Assert.Equal(alone.NegativeLogLikelihood, step.NegativeLogLikelihood, 1e-12);
            Assert.Equal(alone.KlDivergence, step.KlDivergence, 1e-9);
            Assert.Equal(alone.Loss, step.Loss, 1e-12);
            Assert.Equal(alone.PointPenalty, step.PointPenalty, 1e-9);
        }

        (double[], StepResult) Gradient(TrainerOptions given, ThreadCollectives? ranks)
        {
            using var own = NewDisposeScope();
            using nn.Module<Tensor, Tensor> model = Model(Estimator.SharedWeights);
            using var likelihood = new GaussianLikelihood();
            if (given.Peers is { } peers)
                given = given with { Peers = new SameNoise(peers, model) };
            using var trainer = new VariationalTrainer(model, likelihood, 103, given);
            model.SeedNoise(9);
            (long start, long length) = given.Peers?.Slice(13) ?? (0, 13);
            Assert.Equal(ranks is null, given.Peers is null);
            StepResult step = trainer.Step(_x.narrow(0, 20 + start, length), _y.narrow(0, 20 + start, length), klWeight: 0.7);
            return ([.. model.parameters().Concat(likelihood.parameters()).SelectMany(parameter => parameter.grad!.data<double>().ToArray())], step);
        }
    }

    /// <summary>Each rank draws its own noise: the gradient is the sum of those that one process finds slice by slice with the noise of each.</summary>
    [Fact]
    public void TheNoiseOfARankFollowsFromSeedRankAndStep()
    {
        const int Size = 3;
        TrainerOptions options = new() { Seed = 5, Optimizer = parameters => optim.SGD(parameters, 0) };
        double[][] together = ThreadCollectives.Run(Size, ranks =>
        {
            using var own = NewDisposeScope();
            TrainerOptions given = options.OnRanks(ranks);
            using nn.Module<Tensor, Tensor> model = Model(Estimator.LocalReparameterization);
            using var likelihood = new GaussianLikelihood();
            using var trainer = new VariationalTrainer(model, likelihood, 103, given);
            (long start, long length) = given.Peers!.Slice(13);
            trainer.Step(_x.narrow(0, start, length), _y.narrow(0, start, length));
            return model.parameters().SelectMany(parameter => parameter.grad!.data<double>().ToArray()).ToArray();
        });

        double[] expected = new double[together[0].Length];
        for (int rank = 0; rank < Size; rank++)
        {
            using nn.Module<Tensor, Tensor> model = Model(Estimator.LocalReparameterization);
            using var likelihood = new GaussianLikelihood();
            using var trainer = new VariationalTrainer(model, likelihood, 103, options);
            ulong seed = Seeds.Derive(options.Seed, rank)!.Value;
            foreach ((_, IBayesianModule module) in model.BayesianModules())
                module.Noise.Seed = Seeds.Next(ref seed);
            int start = (13 * rank + Size - 1) / Size, end = (13 * (rank + 1) + Size - 1) / Size;
            trainer.AccumulateGradients(_x[start..end], _y[start..end], 1);
            double[] part = [.. model.parameters().SelectMany(parameter => parameter.grad!.data<double>().ToArray())];
            for (int i = 0; i < part.Length; i++)
                expected[i] += part[i] * (end - start) / 13;
        }

        double greatest = expected.Max(Math.Abs);
        foreach (double[] found in together)
        {
            for (int i = 0; i < expected.Length; i++)
                Assert.Equal(expected[i], found[i], 1e-12 * greatest);
        }
    }

    /// <summary>103 rows in batches of 10 leave a last one of three rows, fewer than the ranks: nothing is lost, nothing comes twice.</summary>
    [Fact]
    public void AnEpochHasEveryRowOnce()
    {
        using var data = new TrainingRows(arange(103, dtype: ScalarType.Float64).reshape(103, 1));
        double[][] seen = ThreadCollectives.Run(4, ranks =>
        {
            var peers = new DataParallel(ranks);
            var source = new DataSource(data.Data, 10, shuffle: true, peers);
            var rows = new List<double>();
            foreach ((Tensor Inputs, Tensor Targets)[] group in MinibatchSource.InGroups(source.Epoch(77, 0), 1))
            {
                if (group[0].Inputs.numel() > 0)
                    rows.AddRange(group[0].Inputs.data<double>().ToArray());
            }

            return rows.ToArray();
        });
        Assert.Equal([.. Enumerable.Range(0, 103).Select(i => (double)i)], seen.SelectMany(rows => rows).Order());
        Assert.NotEqual([.. seen[0].Order()], seen[0]);
    }

    /// <summary>Whole runs, with an empty slice every epoch, validation, clipping and a schedule: the same on all ranks, and progress from rank 0 alone.</summary>
    [Theory]
    [InlineData(true, 1)]
    [InlineData(false, 1)]
    [InlineData(false, 2)]
    public void ARunIsTheSameOnAllRanks(bool compile, int accumulation)
    {
        var validation = new TrainingData(_x[..5], _y[..5]);
        var data = new TrainingData(_x, _y);
        (double[] Parameters, FitResult Fit, int Reports)[] found = ThreadCollectives.Run(4, ranks =>
        {
            using var own = NewDisposeScope();
            var reports = new Reports();
            using nn.Module<Tensor, Tensor> model = Model(Estimator.LocalReparameterization, ranks.Rank);
            using var likelihood = new GaussianLikelihood();
            using var trainer = new VariationalTrainer(
                model,
                likelihood,
                103,
                new TrainerOptions
                {
                    Epochs = 4,
                    BatchSize = 10,
                    Seed = 5,
                    Compile = compile,
                    AccumulationSteps = accumulation,
                    MaxGradientNorm = 1,
                    LearningRate = 0.01,
                    EarlyStopping = new EarlyStopping { Patience = 100 },
                    KlSchedule = KlSchedule.Warmup(2),
                }.OnRanks(ranks));
            FitResult fit = trainer.Fit(data, validation, reports);
            return (model.parameters().Concat(likelihood.parameters()).SelectMany(parameter => parameter.data<double>().ToArray()).ToArray(), fit, reports.Count);
        });
        Assert.All(found, rank => Assert.Equal(found[0].Parameters, rank.Parameters));
        Assert.All(found, rank => Assert.Equal(
            found[0].Fit.History.Select(epoch => (epoch.Elbo, epoch.ValidationLogLikelihood)), rank.Fit.History.Select(epoch => (epoch.Elbo, epoch.ValidationLogLikelihood))));
        Assert.All(found, rank => Assert.Equal(accumulation == 1 ? 44 : 24, rank.Fit.Steps));
        Assert.True(found[0].Reports >= 4);
        Assert.All(found[1..], rank => Assert.Equal(0, rank.Reports));
        Assert.True(found[0].Fit.History[^1].NegativeLogLikelihood < found[0].Fit.History[0].NegativeLogLikelihood);
    }

    /// <summary>Cancelled on one rank, a run stops on all of them after the same step.</summary>
    [Fact]
    public void ARunIsCancelledOnAllRanksAtOnce()
    {
        var data = new TrainingData(_x, _y);
        FitResult[] fits = ThreadCollectives.Run(3, ranks =>
        {
            using var own = NewDisposeScope();
            using var stop = new CancellationTokenSource();
            if (ranks.Rank == 2)
                stop.Cancel();
            using nn.Module<Tensor, Tensor> model = Model(Estimator.LocalReparameterization);
            using var likelihood = new GaussianLikelihood();
            using var trainer = new VariationalTrainer(model, likelihood, 103, new TrainerOptions { Seed = 5 }.OnRanks(ranks));
            return trainer.Fit(data, cancellationToken: stop.Token);
        });
        Assert.All(fits, fit => Assert.True(fit.Cancelled));
        Assert.All(fits, fit => Assert.Equal(0, fit.Steps));
    }

    /// <summary>One rank is no different from a trainer that knows of none.</summary>
    [Fact]
    public void OneRankIsThePlainTrainer()
    {
        using var ranks = new SingleProcess();
        var options = new TrainerOptions { Seed = 5 };
        Assert.Same(options, options.OnRanks(ranks));
    }

    [Fact]
    public void RanksWithoutASeedAreRefused()
    {
        using var ranks = new SingleProcess();
        Assert.Contains("Seed", Assert.Throws<ArgumentException>(() => new TrainerOptions().OnRanks(ranks)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void RanksThatBuildDifferentTrainersAreRefused()
    {
        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => ThreadCollectives.Run(2, ranks =>
        {
            using nn.Module<Tensor, Tensor> model = Model(Estimator.LocalReparameterization);
            using var likelihood = new GaussianLikelihood();
            using var trainer = new VariationalTrainer(model, likelihood, 100 + ranks.Rank, new TrainerOptions { Seed = 5 }.OnRanks(ranks));
            return 0;
        }));
        Assert.Contains("did not build the same trainer", error.Message, StringComparison.Ordinal);
    }

    private static Sequential Model(Estimator estimator, int seed = 2)
    {
        lock (typeof(DataParallelTests))
        {
            random.manual_seed(seed);
            var options = new BayesOptions { Estimator = estimator };
            return nn.Sequential(
                ("hidden", bnn.Linear(3, 20, dtype: ScalarType.Float64, options: options)),
                ("relu", nn.ReLU()),
                ("plain", nn.Linear(20, 5, dtype: ScalarType.Float64)),
                ("tanh", nn.Tanh()),
                ("out", bnn.Linear(5, 1, dtype: ScalarType.Float64, options: options)));
        }
    }

    private sealed class Reports : IProgress<TrainingProgress>
    {
        internal int Count { get; private set; }

        public void Report(TrainingProgress value) => Count++;
    }

    /// <summary>Peers whose noise is equal.</summary>
    private sealed class SameNoise(IPeers inner, nn.Module model) : IPeers
    {
        public int Rank => inner.Rank;

        public int Size => inner.Size;

        public void Join(VariationalTrainer trainer) => inner.Join(trainer);

        public string? Fetch(string path) => inner.Fetch(path);

        public void Sum(Span<double> values, long place) => inner.Sum(values, place);

        public void BeginStep(IReadOnlyList<Parameter> trained, long step)
        {
            inner.BeginStep(trained, step);
            model.SeedNoise(9);
        }

        public void Complete(Parameter parameter) => inner.Complete(parameter);

        public void EndStep(Span<double> values, double share) => inner.EndStep(values, share);

        public void Fail(Exception failure) => inner.Fail(failure);

        public void Dispose() => inner.Dispose();
    }

    private sealed class TrainingRows(Tensor rows) : IDisposable
    {
        internal TrainingData Data { get; } = new(rows, rows);

        public void Dispose() => rows.Dispose();
    }
}
