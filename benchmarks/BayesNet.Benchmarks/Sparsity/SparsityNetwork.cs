using BayesNet.Benchmarks.GradientVariance;
using BayesNet.Estimators;
using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Pruning;
using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Sparsity;

/// <summary>LeNet-300-100 on digits: what the parts of the report train and measure.</summary>
internal sealed class SparsityNetwork : IDisposable
{
    private readonly CategoricalLikelihood _likelihood = new();
    private readonly TrainingData _train, _test;

    public SparsityNetwork(Digits digits, int training, int test, BayesOptions? options, ulong seed)
    {
        random.manual_seed((long)seed);
        (_train, _test) = (Rows(digits, 0, training), Rows(digits, digits.Targets.size(0) - test, test));
        nn.Module<Tensor, Tensor> Linear(long inputs, long outputs) => options is null ? nn.Linear(inputs, outputs) : bnn.Linear(inputs, outputs, options: options);
        Model = nn.Sequential(
            ("fc1", Linear(784, 300)), ("relu1", nn.ReLU()), ("fc2", Linear(300, 100)), ("relu2", nn.ReLU()), ("fc3", Linear(100, 10)));
        if (options is not null)
            Model.SeedNoise(seed);
    }

    public nn.Module<Tensor, Tensor> Model { get; }

    /// <summary>Trains, and calls back after each epoch.</summary>
    public void Fit(TrainerOptions options, Action<int>? afterEpoch = null)
    {
        long steps = options.Epochs * ((_train.Count + options.BatchSize - 1) / options.BatchSize);
        using var trainer = new VariationalTrainer(Model, _likelihood, _train.Count, options with
        {
            Scheduler = optimizer => optim.lr_scheduler.CosineAnnealingLR(optimizer, steps),
            SchedulerInterval = SchedulerInterval.Step,
            Callbacks = afterEpoch is null ? [] : [new AfterEpoch(afterEpoch)],
        });
        trainer.Fit(_train);
    }

    /// <summary>The share of the test digits that the network at the posterior's mean gets wrong, in percent.</summary>
    public double Error()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using IDisposable? mean = Model.BayesianModules().Any() ? Model.WithEstimator(Estimator.MeanOnly) : null;
        return 100 * Model.call(_test.Inputs).argmax(1).ne(_test.Targets).to(ScalarType.Float64).mean().item<double>();
    }

    /// <summary>Error and compression once weights are pruned by each rule in turn, from the least to the greatest.</summary>
    public SparsityPoint[] Curve(IEnumerable<PruningRule> rules)
    {
        var points = new List<SparsityPoint>();
        foreach (PruningRule rule in rules)
        {
            SparsityRow weights = Model.Prune(rule).Weights;
            points.Add(new SparsityPoint($"{rule}", 100 * weights.Sparsity, weights.CompressionFactor, Error()));
        }

        return [.. points];
    }

    public void Dispose()
    {
        Model.Dispose();
        _likelihood.Dispose();
    }

    private static TrainingData Rows(Digits digits, long start, long count) => new(digits.Inputs.narrow(0, start, count), digits.Targets.narrow(0, start, count));

    private sealed class AfterEpoch(Action<int> action) : ITrainingCallback
    {
        public void EpochCompleted(TrainingContext context, EpochResult result) => action(result.Epoch);
    }
}
