using BayesNet.Estimators;
using BayesNet.Inference;
using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.TestKit;
using BayesNet.Training;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Distributed.Tests;

/// <summary>Predictions whose samples ranks share, against what the samples of all give on one process.</summary>
public sealed class PredictionTests : IDisposable
{
    private static readonly PredictionOptions Options = new() { Seed = 3 };
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly Tensor _x, _y;

    public PredictionTests()
    {
        using var generator = new Generator(4, CPU);
        _x = randn([6, 3], dtype: ScalarType.Float64, generator: generator);
        _y = _x.sum(dim: 1, keepdim: true).sin();
    }

    public static TheoryData<string, int, int> Likelihoods => new()
    {
        { "gaussian", 2, 7 },
        { "heteroscedastic", 3, 7 },
        { "laplace", 2, 5 },
        { "student-t", 3, 2 },
        { "cauchy", 2, 5 },
        { "classes", 3, 7 },
        { "labels", 2, 4 },
        { "counts", 4, 6 },
        { "dispersed counts", 5, 3 },
    };

    public void Dispose() => _scope.Dispose();

    /// <summary>
    /// Kept samples, moments and log densities on every rank are those of the outputs of all ranks, in float64 to 1e-12: only the order of the sums differs. Fewer
    /// samples than ranks leave some without any.
    /// </summary>
    [Theory]
    [MemberData(nameof(Likelihoods))]
    public void EveryAnswerIsThatOfTheOutputsOfAllRanks(string name, int size, int samples)
    {
        double[][] all = ThreadCollectives.Run(size, ranks =>
        {
            using var own = NewDisposeScope();
            PredictionOptions options = Options.OnRanks(ranks);
            (Likelihood likelihood, long outputs, Tensor targets) = Of(name);
            using nn.Module<Tensor, Tensor> model = Network(outputs);
            Tensor drawn = Predictor.SampleOutputs(model, _x, samples, options);
            Assert.Equal([samples, 6, outputs], drawn.shape);
            using Predictive expected = likelihood.Predict(drawn), kept = Predictor.Predict(model, likelihood, _x, samples, options);
            using Predictive moments = Predictor.Predict(model, likelihood, _x, samples, options with { KeepSamples = false });
            Tensor density = Predictor.LogDensity(model, likelihood, _x, targets, samples, options);
            Assert.False(moments.HasSamples);
            foreach (Predictive found in new[] { kept, moments })
            {
                Assert.Equal(expected.GetType(), found.GetType());
                Assert.Equal(samples, found.Samples);
                Near(expected.Mean, found.Mean);
                Near(expected.Epistemic, found.Epistemic);
                Near(expected.Aleatoric, found.Aleatoric);
                Assert.All(expected.Averages.Zip(found.Averages), pair => Near(pair.First, pair.Second));
            }

            Near(expected.LogDensity(targets), kept.LogDensity(targets));
            Near(expected.LogDensity(targets), density);
            Near(expected.Quantile(0.3), kept.Quantile(0.3));
            likelihood.Dispose();
            return new[] { drawn, moments.Mean, moments.Epistemic, density }.SelectMany(tensor => tensor.data<double>().ToArray()).ToArray();
        });
        Assert.All(all, rank => Assert.Equal(all[0], rank));
    }

    /// <summary>Each rank's samples are those of one process with a seed of the rank's own, in the order of the ranks.</summary>
    [Fact]
    public void TheNoiseOfARankFollowsFromSeedAndRank()
    {
        Tensor together = ThreadCollectives.Run(3, ranks =>
        {
            using nn.Module<Tensor, Tensor> model = Network(1);
            return Predictor.SampleOutputs(model, _x, 8, Options.OnRanks(ranks)).DetachFromDisposeScope();
        })[0];
        using nn.Module<Tensor, Tensor> alone = Network(1);
        Tensor[] parts = [.. new[] { 3, 3, 2 }.Select((count, rank) => Predictor.SampleOutputs(alone, _x, count, Options with { Seed = Seeds.Derive(3, rank) }))];
        Assert.True(together.eq(cat(parts, 0)).all().item<bool>());
    }

    /// <summary>The variance of a linear model with independent Gaussian weights is sum x^2 sigma^2 + sigma_b^2; the estimate's standard error is sqrt(2 / S) of it.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ALinearModelHasItsVariance(bool keep)
    {
        const int Samples = 6000;
        (double[] Found, double[] Expected)[] all = ThreadCollectives.Run(3, ranks =>
        {
            using var own = NewDisposeScope();
            using nn.Module<Tensor, Tensor> model = Build(() =>
            {
                random.manual_seed(2);
                return nn.Sequential(("only", bnn.Linear(3, 1, dtype: ScalarType.Float64)));
            });
            using var likelihood = new GaussianLikelihood(dtype: ScalarType.Float64);
            Dictionary<string, Tensor> parameters = model.named_parameters().ToDictionary(entry => entry.name, entry => (Tensor)entry.parameter);
            Tensor weight = parameters.Single(entry => entry.Key.Contains("weight") && !entry.Key.EndsWith("mean", StringComparison.Ordinal)).Value.exp();
            Tensor bias = parameters.Single(entry => entry.Key.Contains("bias") && !entry.Key.EndsWith("mean", StringComparison.Ordinal)).Value.exp();
            Tensor variance = _x.square().mm(weight.square().t()) + bias.square();
            using Predictive predictive = Predictor.Predict(model, likelihood, _x, Samples, Options.OnRanks(ranks) with { KeepSamples = keep });
            return (predictive.Epistemic.square().data<double>().ToArray(), variance.detach().data<double>().ToArray());
        });
        Assert.All(all, rank => Assert.All(rank.Found.Zip(rank.Expected), pair => Assert.Equal(pair.Second, pair.First, 5 * Math.Sqrt(2.0 / Samples) * pair.Second)));
    }

    /// <summary>A function has one weight for all rows, and is the same however often it is evaluated.</summary>
    [Fact]
    public void FunctionsAreDrawnOverRanks()
    {
        Tensor[] all = ThreadCollectives.Run(2, ranks =>
        {
            using nn.Module<Tensor, Tensor> model = Network(2);
            PosteriorFunctions functions = Predictor.DrawFunctions(model, 5, options: Options.OnRanks(ranks));
            Tensor once = functions.Evaluate(_x), again = functions.Evaluate(cat([_x, _x], 0));
            Near(once, again[.., 6..]);
            Near(once, again[.., ..6]);
            return once.DetachFromDisposeScope();
        });
        Assert.Equal([5, 6, 2], all[0].shape);
        Assert.True(all[0].eq(all[1]).all().item<bool>());
        Assert.Equal(5, Enumerable.Range(0, 5).Select(i => all[0][i, 0, 0].item<double>()).Distinct().Count());
    }

    [Fact]
    public void BatchesArePredictedOverRanks()
    {
        double[][] all = ThreadCollectives.Run(2, ranks =>
        {
            using nn.Module<Tensor, Tensor> model = Network(1);
            using var likelihood = new GaussianLikelihood(dtype: ScalarType.Float64);
            return Predictor.PredictBatches(model, likelihood, [_x[..2], _x[2..]], 4, Options.OnRanks(ranks)).SelectMany(batch => batch.Mean.data<double>().ToArray()).ToArray();
        });
        Assert.Equal(6, all[0].Length);
        Assert.Equal(all[0], all[1]);
    }

    /// <summary>
    /// The samples of chains are stored: on any number of ranks a prediction uses those that one process uses, and puts the network back. Each rank has other
    /// samples of the noise level, which go with its own components.
    /// </summary>
    [Theory]
    [InlineData(2, 10)]
    [InlineData(3, 7)]
    [InlineData(4, 2)]
    public void StoredSamplesAreThoseOfOneProcess(int size, int samples)
    {
        using FittedPosterior alone = Chains();
        Tensor expected = alone.SampleOutputs(_x, samples);
        using Predictive predicted = alone.Predict(_x, samples);
        (Tensor mean, Tensor stdDev, Tensor density) = (predicted.Mean, predicted.StdDev, predicted.LogDensity(_y));
        double logLikelihood = alone.LogLikelihood(new TrainingData(_x, _y), samples);
        ThreadCollectives.Run(size, ranks =>
        {
            using var own = NewDisposeScope();
            using FittedPosterior posterior = Chains();
            PredictionOptions options = Options.OnRanks(ranks);
            Assert.True(expected.eq(posterior.SampleOutputs(_x, samples, options)).all().item<bool>());
            using Predictive kept = posterior.Predict(_x, samples, options), moments = posterior.Predict(_x, samples, options with { KeepSamples = false });
            Assert.True(stdDev.eq(kept.StdDev).all().item<bool>());
            Near(mean, moments.Mean);
            Near(stdDev, moments.StdDev);
            Near(density, posterior.LogDensity(_x, _y, samples, options));
            Assert.Equal(logLikelihood, posterior.LogLikelihood(new TrainingData(_x, _y), samples, options), 1e-12);
            return 0;
        });
    }

    /// <summary>Members that use one sample each are spread over the ranks: none of three computes more than two of five.</summary>
    [Fact]
    public void MembersOfAnEnsembleAreSpread()
    {
        using FittedPosterior alone = Ensemble();
        Tensor expected = alone.SampleOutputs(_x, 5);
        using Predictive predicted = alone.Predict(_x, 5);
        (Tensor mean, Tensor stdDev, Tensor density) = (predicted.Mean, predicted.StdDev, alone.LogDensity(_x, _y, 5));
        int[] passes = ThreadCollectives.Run(3, ranks =>
        {
            using var own = NewDisposeScope();
            using FittedPosterior posterior = Ensemble();
            PredictionOptions options = Options.OnRanks(ranks);
            int used = 0;
            foreach (FittedPosterior member in ((EnsemblePosterior)posterior).Members)
            {
                bool counted = false;
                ((NetworkPosterior)member).Model.register_forward_hook((_, _, output) =>
                {
                    used += counted ? 0 : 1;
                    counted = true;
                    return output;
                });
            }

            Assert.True(expected.eq(posterior.SampleOutputs(_x, 5, options)).all().item<bool>());
            int done = used;
            using Predictive kept = posterior.Predict(_x, 5, options), moments = posterior.Predict(_x, 5, options with { KeepSamples = false });
            Near(mean, kept.Mean);
            Near(stdDev, moments.StdDev);
            Near(density, posterior.LogDensity(_x, _y, 5, options));
            return done;
        });
        Assert.Equal([2, 2, 1], passes);

        FittedPosterior Ensemble() => Fitted(new DeepEnsemble(new MaximumAPosteriori { Training = new TrainerOptions { Epochs = 2 } }) { Members = 5, Seed = 1 });
    }

    /// <summary>A posterior in closed form counts once, whichever ranks have shares of its samples: alone, and as a member whose samples two ranks share.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void AClosedFormCountsOnce(int members)
    {
        using FittedPosterior alone = Posterior();
        using Predictive predicted = alone.Predict(_x, 30);
        (Tensor mean, Tensor stdDev, Tensor quantile, Tensor density) = (predicted.Mean, predicted.StdDev, predicted.Quantile(0.1), alone.LogDensity(_x, _y, 30));
        ThreadCollectives.Run(2, ranks =>
        {
            using var own = NewDisposeScope();
            using FittedPosterior posterior = Posterior();
            PredictionOptions options = Options.OnRanks(ranks);
            using Predictive found = posterior.Predict(_x, 30, options);
            Assert.Equal(predicted.Samples, found.Samples);
            Near(mean, found.Mean);
            Near(stdDev, found.StdDev);
            Near(quantile, found.Quantile(0.1));
            Near(density, posterior.LogDensity(_x, _y, 30, options));
            return 0;
        });

        FittedPosterior Posterior()
        {
            var method = new LastLayerLaplace { Training = new TrainerOptions { Epochs = 2 }, PriorPrecision = 1, Seed = 1 };
            return Fitted(members == 1 ? method : new DeepEnsemble(method) { Members = members, Seed = 1 }, learnNoise: false);
        }
    }

    /// <summary>One rank's bad input is an exception of all, which names it; everyone's is that of one process.</summary>
    [Fact]
    public void WhatOneRankCannotComputeFailsOnAll()
    {
        Exception[] all = ThreadCollectives.Run(3, ranks =>
        {
            using var own = NewDisposeScope();
            PredictionOptions options = Options.OnRanks(ranks);
            using nn.Module<Tensor, Tensor> model = Network(1);
            using var likelihood = new GaussianLikelihood(dtype: ScalarType.Float64);
            Exception everyone = Record.Exception(() => Predictor.LogDensity(model, likelihood, _x, _y[..2], 4, options))!;
            Assert.IsType<ArgumentException>(everyone);
            Exception error = Record.Exception(() => Predictor.Predict(model, likelihood, ranks.Rank == 1 ? _x[.., ..2] : _x, 6, options))!;

            // The ranks go on together.
            Predictor.Predict(model, likelihood, _x, 2, options).Dispose();
            return error;
        });
        Assert.All(all, error => Assert.StartsWith("Rank 1 failed: ", Assert.IsType<CollectiveException>(error).Message, StringComparison.Ordinal));
        Assert.NotNull(all[1].InnerException);
    }

    [Fact]
    public void WithoutASeedRanksAreRefused()
    {
        using var one = new SingleProcess();
        Assert.Contains("Seed", Assert.Throws<ArgumentException>(() => new PredictionOptions().OnRanks(one)).Message, StringComparison.Ordinal);
        Assert.Same(Options, Options.OnRanks(one));
        ThreadCollectives.Run(2, ranks =>
        {
            using nn.Module<Tensor, Tensor> model = Network(1);
            return Assert.Throws<ArgumentException>(() => Predictor.SampleOutputs(model, _x, 4, Options.OnRanks(ranks) with { Seed = null }));
        });
    }

    [Fact]
    public void PredictionsOverRanksLeaveNoTensorsBehind()
    {
        long[] counts = ThreadCollectives.Run(2, ranks =>
        {
            PredictionOptions options = Options.OnRanks(ranks);
            using nn.Module<Tensor, Tensor> model = Network(1);
            using var likelihood = new GaussianLikelihood(dtype: ScalarType.Float64);
            Ask();
            ranks.Barrier();
            long before = ranks.Rank == 0 ? LiveTensors.Settled() : 0;
            ranks.Barrier();
            for (int i = 0; i < 20; i++)
                Ask();
            ranks.Barrier();
            long after = ranks.Rank == 0 ? LiveTensors.Settled() : 0;
            ranks.Barrier();
            return after - before;

            void Ask()
            {
                Predictor.Predict(model, likelihood, _x, 5, options).Dispose();
                Predictor.Predict(model, likelihood, _x, 5, options with { KeepSamples = false }).Dispose();
                Predictor.LogDensity(model, likelihood, _x, _y, 5, options).Dispose();
                Predictor.SampleOutputs(model, _x, 1, options).Dispose();
                Assert.Throws<ArgumentException>(() => Predictor.LogDensity(model, likelihood, _x, _y[..2], 4, options));
            }
        });
        Assert.Equal([0, 0], counts);
    }

    private FittedPosterior Chains() => Fitted(new Sghmc { Epochs = 20, BatchSize = 3, SamplesPerChain = 5, Chains = 2, Seed = 1, Schedule = StepSizeSchedule.Constant() });

    private FittedPosterior Fitted(InferenceMethod method, bool learnNoise = true) => Build(() => method.Fit(
        () => nn.Sequential(("hidden", nn.Linear(3, 5, dtype: ScalarType.Float64)), ("tanh", nn.Tanh()), ("out", nn.Linear(5, 1, dtype: ScalarType.Float64))),
        () => new GaussianLikelihood(learnNoise, dtype: ScalarType.Float64),
        new TrainingData(_x, _y)));

    private static Sequential Network(long outputs) => Build(() =>
    {
        random.manual_seed(2);
        return nn.Sequential(
            ("hidden", bnn.Linear(3, 8, dtype: ScalarType.Float64, options: new BayesOptions { Estimator = Estimator.LocalReparameterization })),
            ("tanh", nn.Tanh()),
            ("out", bnn.Linear(8, outputs, dtype: ScalarType.Float64)));
    });

    /// <summary>Ranks that are threads share libtorch's generator, with those of other tests too.</summary>
    private static T Build<T>(Func<T> make)
    {
        lock (typeof(DataParallelTests))
            return make();
    }

    private (Likelihood Likelihood, long Outputs, Tensor Targets) Of(string name)
    {
        Tensor whole = _x[.., ..2].mul(3).round().abs();
        return name switch
        {
            "gaussian" => (new GaussianLikelihood(dtype: ScalarType.Float64), 1, _y),
            "heteroscedastic" => (new HeteroscedasticGaussianLikelihood(), 2, _y),
            "laplace" => (new LaplaceLikelihood(dtype: ScalarType.Float64), 1, _y),
            "student-t" => (new StudentTLikelihood(degreesOfFreedom: 4, dtype: ScalarType.Float64), 1, _y),
            "cauchy" => (new StudentTLikelihood(degreesOfFreedom: 1, minDegreesOfFreedom: 0.5, dtype: ScalarType.Float64), 1, _y),
            "classes" => (new CategoricalLikelihood(), 3, whole.select(1, 0).clamp_max(2).to(ScalarType.Int64)),
            "labels" => (new BernoulliLikelihood(), 2, whole.clamp_max(1)),
            "counts" => (new PoissonLikelihood(), 2, whole),
            _ => (new NegativeBinomialLikelihood(dtype: ScalarType.Float64), 2, whole),
        };
    }

    private static void Near(Tensor expected, Tensor found)
    {
        Assert.Equal(expected.shape, found.shape);
        Assert.Equal(expected.dtype, found.dtype);
        double[] e = [.. expected.cpu().contiguous().data<double>()], f = [.. found.cpu().contiguous().data<double>()];
        for (int i = 0; i < e.Length; i++)
            Assert.True(e[i].Equals(f[i]) || Math.Abs(e[i] - f[i]) <= 1e-12 * Math.Max(1, Math.Abs(e[i])), $"{e[i]} and {f[i]}");
    }
}
