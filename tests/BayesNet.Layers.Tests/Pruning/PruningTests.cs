using BayesNet.Diagnostics;
using BayesNet.Divergences;
using BayesNet.Estimators;
using BayesNet.Layers.Conversion;
using BayesNet.Likelihoods;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Pruning;
using BayesNet.TestKit;
using BayesNet.Training;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Pruning;

public sealed class PruningTests
{
    private static readonly CancellationToken Never = CancellationToken.None;

    private static readonly PosteriorSpecification[] Prunable =
    [
        new MeanFieldGaussianSpecification { InitialStdDev = 0.1 },
        new MeanFieldGaussianSpecification { InitialStdDev = 0.1, Scale = ScaleParameterization.Softplus },
        new VariationalDropoutSpecification { InitialAlpha = 0.3 },
    ];

    public static TheoryData<int, string> Cases() => [.. from i in Enumerable.Range(0, Prunable.Length) from estimator in EstimatorCase.All.Select(known => known.Name) select (i, estimator)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void APrunedWeightIsZeroUnderEveryEstimator(int specification, string estimator)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var options = new BayesOptions { Posterior = Prunable[specification], Estimator = EstimatorCase.Named(estimator).Estimator };
        using BayesLinear layer = bnn.Linear(3, 2, hasBias: false, dtype: ScalarType.Float64, options: options);
        using (Tensor mean = tensor(new[,] { { 1.0, 1e-6, 2 }, { 1e-6, 1e-6, 1e-6 } }))
            layer.parameters().First().copy_(mean);
        if (layer.WeightPosterior is VariationalDropout dropout)
            dropout.SharedLogAlpha.copy_(tensor(new[,] { { -1.0, 10, -1 }, { 10, 10, 10 } }));
        SparsityReport report = layer.Prune(PruningRule.LogAlphaAbove());
        Assert.Equal((6, 2, 3.0), (report.Total.Total, report.Total.Kept, report.Weights.CompressionFactor));

        // The second output reads nothing: it is zero without noise; inputs that only pruned weights read make no difference.
        Tensor x = randn(50, 3, dtype: ScalarType.Float64);
        Tensor y = layer.call(x);
        double floor = 1e-150;
        Assert.True(y.select(1, 1).abs().max().item<double>() <= floor);
        Assert.True(y.select(1, 0).abs().max().item<double>() > 0.1);
        layer.Seed = 3;
        Tensor first = layer.call(x).clone();
        x.select(1, 1).add_(100);
        layer.Seed = 3;
        Assert.True(layer.call(x).allclose(first));
    }

    [Fact]
    public void DivergenceAndDensityAreThoseOfTheKeptWeights()
    {
        using var scope = NewDisposeScope();
        Tensor mean = tensor(new[,] { { 1.0, 0.01 }, { 0.02, -2 } });
        using var whole = new MeanFieldGaussian(mean, 0.1);
        using var kept = new MeanFieldGaussian(tensor(new[] { 1.0, -2 }), 0.1);
        using var model = nn.Sequential(("holder", bnn.Linear(nn.Parameter(mean), null, new BayesOptions { Posterior = new MeanFieldGaussianSpecification { InitialStdDev = 0.1 } })));
        model.Prune(PruningRule.SignalToNoiseBelow(1));
        var pruned = (MeanFieldGaussian)((BayesLinear)model[0]).WeightPosterior;
        foreach (Prior prior in new Prior[] { new GaussianPrior(0.5, 2), new LaplacePrior(), new LogUniformPrior(), new LearnedGaussianPrior(dtype: ScalarType.Float64) })
        {
            using (prior)
                Assert.Equal(KlDivergences.Compute(kept, prior).item<double>(), KlDivergences.Compute(pruned, prior).item<double>(), 10);
        }

        // A prior with means of its own for each entry: those of the kept ones.
        using var perEntry = new GaussianPrior(tensor(new[,] { { 0.5, 9 }, { 9, 1.0 } }), tensor(new[] { 1.0, 2 }));
        using var ofKept = new GaussianPrior(tensor(new[] { 0.5, 1 }), tensor(new[] { 1.0, 2 }));
        Assert.Equal(KlDivergences.Compute(kept, ofKept).item<double>(), KlDivergences.Compute(pruned, perEntry).item<double>(), 10);

        // By Monte Carlo, from the same noise.
        using var prior2 = new StudentTPrior(3);
        using NoiseSource a = new(1), b = new(1);
        Assert.Equal(KlDivergences.Compute(kept, prior2, a, 10).item<double>(), KlDivergences.Compute(pruned, prior2, b, 10).item<double>(), 10);
        Assert.Equal(kept.Entropy().item<double>(), pruned.Entropy().item<double>(), 10);
        Tensor w = tensor(new[,] { { 0.9, 0 }, { 0, -2.1 } });
        Assert.Equal(kept.LogDensity(tensor(new[] { 0.9, -2.1 })).item<double>(), pruned.LogDensity(w).item<double>(), 10);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void TrainingLeavesPrunedWeightsAlone(bool local)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(2);
        var options = new BayesOptions { Estimator = local ? Estimator.LocalReparameterization : Estimator.SharedWeights, Posterior = new MeanFieldGaussianSpecification { InitialStdDev = 0.05 } };
        using var model = nn.Sequential(("a", bnn.Linear(4, 8, options: options)), ("relu", nn.ReLU()), ("b", bnn.Linear(8, 1, options: options)));
        using var likelihood = new GaussianLikelihood();
        Tensor x = randn(64, 4), y = x.sum(dim: 1, keepdim: true);
        using var trainer = new VariationalTrainer(model, likelihood, 64, new TrainerOptions { BatchSize = 16, Epochs = 2, LearningRate = 0.01 });
        trainer.Fit(new TrainingData(x, y), cancellationToken: Never);
        SparsityReport report = model.Prune(PruningRule.LowestShare(0.5));
        Assert.Equal((40, 20), (report.Weights.Total, report.Weights.Kept));
        var posterior = (MeanFieldGaussian)((BayesLinear)model[0]).WeightPosterior;
        Tensor mask = posterior.Mask!.clone();
        Dictionary<string, Tensor> before = model.state_dict().ToDictionary(entry => entry.Key, entry => entry.Value.detach().clone());

        // The same trainer goes on, compiled before or not; and a new one.
        trainer.Fit(new TrainingData(x, y), cancellationToken: Never);
        using var fresh = new VariationalTrainer(model, likelihood, 64, new TrainerOptions { BatchSize = 16, Epochs = 2, LearningRate = 0.01, Compile = true });
        fresh.Fit(new TrainingData(x, y), cancellationToken: Never);
        Assert.True(posterior.Mask!.eq(mask).all().item<bool>());
        Assert.True(posterior.Mean.masked_select(mask.eq(0)).eq(0).all().item<bool>());
        Assert.True(posterior.StdDev.masked_select(mask.eq(0)).eq(0).all().item<bool>());
        Tensor moved = model.state_dict()["a.weight.mean"].ne(before["a.weight.mean"]);
        Assert.True(moved.masked_select(mask.ne(0)).all().item<bool>());
        Assert.Equal(20, model.Sparsity().Weights.Kept);

        // Pruning again counts what is pruned.
        Assert.Equal(10, model.Prune(PruningRule.LowestShare(0.75)).Weights.Kept);
        nn.Module<Tensor, Tensor> plain = model.ToDeterministic(copy: true);
        Assert.Equal(10, plain.parameters().Where(parameter => parameter.dim() == 2).Sum(parameter => parameter.ne(0).sum().item<long>()));
        using (no_grad())
        using (model.WithEstimator(Estimator.MeanOnly))
            Assert.True(plain.call(x).allclose(model.call(x)));
    }

    [Fact]
    public void RulesAndErrors()
    {
        using var scope = NewDisposeScope();
        using var model = nn.Sequential(("a", bnn.Linear(10, 10)), ("b", bnn.Linear(10, 2)));
        Assert.Equal([50, 10, 10, 2], model.Prune(PruningRule.LowestShare(0.5, perLayer: true)).Rows.Select(row => row.Kept));
        SparsityReport all = model.Prune(PruningRule.LowestShare(1), biases: true);
        Assert.Equal(0, all.Total.Kept);
        Assert.True(double.IsInfinity(all.Total.CompressionFactor));
        Assert.Contains("a.weight", all.ToString(), StringComparison.Ordinal);
        Assert.Equal(0, model.KlDivergence().item<float>());
        Assert.Equal(0, model.call(randn(3, 10)).abs().max().item<float>(), 1e-15);

        using var plain = nn.Linear(2, 2);
        Assert.Throws<InvalidOperationException>(() => plain.Prune(PruningRule.LogAlphaAbove()));
        Assert.Throws<InvalidOperationException>(() => plain.Sparsity());
        using var laplace = bnn.Linear(2, 2, options: new BayesOptions { Posterior = new MeanFieldLaplaceSpecification(), Prior = new LaplaceUnit(), Estimator = Estimator.SharedWeights });
        Assert.Throws<InvalidOperationException>(() => laplace.Prune(PruningRule.LogAlphaAbove()));
        Assert.Throws<ArgumentOutOfRangeException>("share", () => PruningRule.LowestShare(1.1));
        Assert.Throws<ArgumentOutOfRangeException>("threshold", () => PruningRule.SignalToNoiseBelow(0));
    }

    [Fact]
    public void TypesMove()
    {
        using var scope = NewDisposeScope();
        using BayesLinear layer = bnn.Linear(4, 4);
        layer.Prune(PruningRule.LowestShare(0.5));
        layer.to(ScalarType.Float64);
        var posterior = (MeanFieldGaussian)layer.WeightPosterior;
        Assert.Equal(ScalarType.Float64, posterior.Mask!.dtype);
        Assert.Equal(8, posterior.Mean.eq(0).sum().item<long>());
        Assert.Equal(ScalarType.Float64, layer.call(randn(2, 4, dtype: ScalarType.Float64)).dtype);
    }

    [Fact]
    public void SignalToNoiseIsTheRatio()
    {
        using var scope = NewDisposeScope();
        Tensor mean = tensor(new[,] { { 2.0, -0.5 }, { 0, 1 } });
        Posterior[] posteriors = [new MeanFieldGaussian(mean, 0.5), new LowRankGaussian(mean, 0.5, 2), new MeanFieldLaplace(mean, 0.5), new VariationalDropout(mean, 0.25)];
        foreach (Posterior posterior in posteriors[..3])
            Assert.True(posterior.SignalToNoise().allclose(mean.abs() / posterior.Variance.sqrt()));
        Assert.True(posteriors[3].SignalToNoise().allclose(tensor(new[,] { { 2.0, 2 }, { 0, 2 } })));
        using var cauchy = new MeanFieldStudentT(mean, 1, 1);
        Assert.Throws<NotSupportedException>(() => cauchy.SignalToNoise());
    }

    [Fact]
    public void TheSummaryAddsUp()
    {
        using var scope = NewDisposeScope();
        using var model = nn.Sequential(("conv", bnn.Conv2d(1, 2, 3)), ("norm", nn.BatchNorm2d(2)), ("flat", nn.Flatten()), ("out", nn.Linear(8, 2)), ("head", bnn.Linear(2, 2)));
        ModelSummary summary = model.Summary();
        Assert.Equal(["conv", "norm", "out", "head"], summary.Rows.Select(row => row.Name));
        Assert.Equal(model.parameters().Sum(parameter => parameter.numel()), summary.Parameters);
        Assert.Equal(20 + 4 + 18 + 6, summary.Weights);
        Assert.Equal(model.KlDivergence().item<float>(), summary.Kl, 1e-3);
        string text = summary.ToString();
        foreach (string part in new[] { "conv2d 1 -> 2, kernel 3x3", "MeanFieldGaussian", "GaussianPrior", "BatchNorm2d", "total", "mean SNR" })
            Assert.Contains(part, text, StringComparison.Ordinal);
        Assert.Equal(summary.Rows.Count + 3, text.TrimEnd().Split('\n').Length);
    }

    [Fact]
    public void NothingLeaks()
    {
        using var model = nn.Sequential(("a", bnn.Linear(6, 6)), ("b", bnn.Linear(6, 1)));
        using var likelihood = new GaussianLikelihood();
        model.Prune(PruningRule.LowestShare(0.5));
        using Tensor x = randn(32, 6), y = randn(32, 1);
        using var trainer = new VariationalTrainer(model, likelihood, 32, new TrainerOptions { BatchSize = 32 });
        for (int i = 0; i < 10; i++)
            trainer.Step(x, y);
        long before = LiveTensors.Settled();
        for (int i = 0; i < 100; i++)
        {
            trainer.Step(x, y);
            model.Summary();
            model.Sparsity();
        }

        Assert.Equal(before, LiveTensors.Settled());
    }

    private sealed record LaplaceUnit : PriorSpecification
    {
        public override Prior Create(Tensor like) => new LaplacePrior();
    }
}
