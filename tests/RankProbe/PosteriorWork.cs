using System.Security.Cryptography;
using System.Text;
using BayesNet.Diagnostics;
using BayesNet.Distributed;
using BayesNet.Inference;
using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.Training;
using static TorchSharp.torch;

/// <summary>Chains, fits of every method, predictions and ensembles over the ranks of a job; each rank checks what it gets against one process.</summary>
internal static class PosteriorWork
{
    public static void Run(ICollectives ranks)
    {
        random.manual_seed(1);
        Tensor x = randn(64, 3), y = x.sum(dim: 1, keepdim: true).sin();
        var data = new TrainingData(x, y);
        random.manual_seed(100 + ranks.Rank);
        Chains(ranks, data);
        Methods(ranks, data);
        Ensembles(ranks, data);
        Failures(ranks, data);
        Jobs(ranks);
        ranks.Barrier();
        Console.WriteLine($"rank {ranks.Rank} of {ranks.Size}: posterior work ok");
    }

    // Three chains and two, more or fewer than the ranks, are those of one process to the last bit, with dropout's masks and initial weights of their own.
    private static void Chains(ICollectives ranks, TrainingData data)
    {
        StochasticGradientMonteCarlo[] methods =
        [
            new Sgld { Epochs = 8, BatchSize = 16, SamplesPerChain = 4, Chains = 3, Seed = 5, Schedule = StepSizeSchedule.Constant(), Preconditioned = true },
            new Sghmc { Epochs = 8, BatchSize = 16, SamplesPerChain = 4, Chains = 2, Seed = 5, Schedule = StepSizeSchedule.Constant() },
        ];
        foreach (StochasticGradientMonteCarlo method in methods)
        {
            var told = new Told();
            using var alone = (SampledPosterior)method.Fit(Dropped, Likelihood, data);
            using SampledPosterior together = method.FitOnRanks(ranks, Dropped, Likelihood, data, progress: told);
            Require(together.Chains == method.Chains && together.Samples == 4 * method.Chains, "chains");
            foreach (string name in alone.Model.named_parameters().Select(entry => entry.name).Append("likelihood." + alone.Likelihood.named_parameters().First().name))
            {
                using Tensor expected = alone.Draws(name), found = together.Draws(name);
                Require(Print(expected) == Print(found), $"{method.Name}, draws of {name}");
                Require(Print(ChainDiagnostics.RHat(expected)) == Print(ChainDiagnostics.RHat(found)), $"{method.Name}, R-hat of {name}");
                Require(!expected[0].eq(expected[1]).all().item<bool>(), "chains of their own");
            }

            Require(Print([.. alone.Model.parameters()]) == Print([.. together.Model.parameters()]), $"{method.Name}, network");
            using Predictive a = alone.Predict(data.Inputs, 7), b = together.Predict(data.Inputs, 7, new PredictionOptions { Seed = 1 }.OnRanks(ranks));
            Require(Print(a.Mean) == Print(b.Mean) && Print(a.StdDev) == Print(b.StdDev), $"{method.Name}, prediction");
            Require(ranks.Rank == 0 ? told is { Reports: > 0, Last: 1 } : told.Reports == 0, $"progress {told.Reports}, {told.Last}");
        }
    }

    // Every other method trains over the data in parallel: all ranks have one posterior, and draw the same samples from it without a seed.
    private static void Methods(ICollectives ranks, TrainingData data)
    {
        var training = new TrainerOptions { Epochs = 2, BatchSize = 16 };
        (InferenceMethod Method, Func<nn.Module<Tensor, Tensor>> Network)[] methods =
        [
            (new VariationalInference { Training = training, Seed = 6 }, () => nn.Sequential(("hidden", bnn.Linear(3, 8)), ("tanh", nn.Tanh()), ("out", bnn.Linear(8, 1)))),
            (new MaximumAPosteriori { Training = training, Seed = 6 }, Normalised),
            (new McDropout { Training = training, Seed = 6 }, Dropped),
            (new Swag { Training = training, Snapshots = 3, Seed = 6 }, Normalised),
            (new LastLayerLaplace { Training = training, Seed = 6 }, Normalised),
        ];
        foreach ((InferenceMethod method, Func<nn.Module<Tensor, Tensor>> network) in methods)
        {
            using FittedPosterior posterior = method.FitOnRanks(ranks, network, Likelihood, data);
            var state = ((NetworkPosterior)posterior).Model.state_dict().Values.Concat(posterior.Likelihood.parameters());
            RequireOne(ranks, Print([.. state]), $"{method.Name}, network");
            using Predictive mine = posterior.Predict(data.Inputs, 5), shared = posterior.Predict(data.Inputs, 5, new PredictionOptions { Seed = 2 }.OnRanks(ranks));
            RequireOne(ranks, Print(mine.Mean, mine.StdDev), $"{method.Name}, prediction");
            RequireOne(ranks, Print(shared.Mean, shared.StdDev), $"{method.Name}, prediction over ranks");
            Require(posterior.LogLikelihood(data, 5) > -10, $"{method.Name}, log likelihood");
        }
    }

    // An ensemble is that of one process: networks, chains, and closed forms with noise levels of their own; more members than ranks, or fewer.
    private static void Ensembles(ICollectives ranks, TrainingData data)
    {
        (InferenceMethod Member, int Count)[] members =
        [
            (new MaximumAPosteriori { Training = new TrainerOptions { Epochs = 2 } }, 3),
            (new LastLayerLaplace { Training = new TrainerOptions { Epochs = 2 } }, 2),
            (new Sgld { Epochs = 4, BatchSize = 16, SamplesPerChain = 3, Schedule = StepSizeSchedule.Constant() }, 2),
        ];
        foreach ((InferenceMethod member, int count) in members)
        {
            var method = new DeepEnsemble(member) { Members = count, Seed = 4 };
            using FittedPosterior alone = method.Fit(Plain, Likelihood, data), together = ((InferenceMethod)method).FitOnRanks(ranks, Plain, Likelihood, data);
            Require(together is RankedEnsemble ensemble && ensemble.Count == count && together.Method == alone.Method && together.SamplesUsed(7) == alone.SamplesUsed(7), "an ensemble");
            Require(Print([.. together.Likelihood.parameters()]) == Print([.. alone.Likelihood.parameters()]), "likelihood of the first member");

            // A seed of the call draws the same samples, on the members' own ranks.
            var options = new PredictionOptions { Seed = 8 };
            using Tensor outputs = alone.SampleOutputs(data.Inputs, 7, options), found = together.SampleOutputs(data.Inputs, 7, options);
            Require(Print(outputs) == Print(found), $"{method.Name}, outputs");
            foreach (bool keep in new[] { true, false })
            {
                using Predictive a = alone.Predict(data.Inputs, 7, options with { KeepSamples = keep }), b = together.Predict(data.Inputs, 7, options with { KeepSamples = keep });
                Require(a.Samples == b.Samples && a.HasSamples == b.HasSamples, $"{method.Name}, samples");

                // float32, of order 1: some roundings.
                Require((a.Mean - b.Mean).abs().max().item<float>() < 1e-6 && (a.StdDev - b.StdDev).abs().max().item<float>() < 1e-6, $"{method.Name}, moments");
            }

            Require(Math.Abs(alone.LogLikelihood(data, 7, options) - together.LogLikelihood(data, 7, options)) < 1e-6, $"{method.Name}, log likelihood");
        }
    }

    // What fails, or is cancelled, on one rank ends on all of them, which go on together.
    private static void Failures(ICollectives ranks, TrainingData data)
    {
        int last = ranks.Size - 1;
        var method = new Sgld { Epochs = 2, BatchSize = 16, SamplesPerChain = 1, Chains = ranks.Size, Seed = 5, Schedule = StepSizeSchedule.Constant() };
        Require(Thrown(() => method.FitOnRanks(ranks, Plain, () => ranks.Rank == last ? throw new ArithmeticException("no one") : Likelihood(), data))
            is { } error && (ranks.Size == 1 ? error is ArithmeticException : error.Message == $"Rank {last} failed: no one"), "failure");
        using var stop = new CancellationTokenSource();
        if (ranks.Rank == last)
            stop.Cancel();
        Require(Thrown(() => method.FitOnRanks(ranks, Plain, Likelihood, data, cancellationToken: stop.Token)) is OperationCanceledException, "cancelled chains");
        Require(Thrown(() => new MaximumAPosteriori { Seed = 1 }.FitOnRanks(ranks, Plain, Likelihood, data, cancellationToken: stop.Token)) is OperationCanceledException, "cancelled fit");
        Require(Thrown(() => new DeepEnsemble { Seed = 1 }.FitOnRanks(ranks, Plain, Likelihood, data, cancellationToken: stop.Token)) is OperationCanceledException, "cancelled ensemble");
        Require(Thrown(() => new Sgld().FitOnRanks(ranks, Plain, Likelihood, data)) is ArgumentException, "no seed");

        static Exception? Thrown(Func<FittedPosterior> fit)
        {
            try
            {
                fit().Dispose();
                return null;
            }
            catch (Exception error) when (error is not InvalidOperationException)
            {
                return error;
            }
        }
    }

    private static void Jobs(ICollectives ranks)
    {
        (string Name, double Rate)[] settings = [("a", 0.5), ("b", 2), ("c", 1), ("d", -1)];
        IReadOnlyList<Trial<(string Name, double Rate)>> trials = ranks.Search(settings, setting => setting.Rate < 0 ? throw new ArithmeticException("none") : setting.Rate);
        Require(string.Concat(trials.Select(trial => trial.Setting.Name)) == "bcad" && trials[^1].Failure == "none", "search");
    }

    private static nn.Module<Tensor, Tensor> Plain() => nn.Sequential(("hidden", nn.Linear(3, 8)), ("tanh", nn.Tanh()), ("out", nn.Linear(8, 1)));

    private static nn.Module<Tensor, Tensor> Dropped() => nn.Sequential(("hidden", nn.Linear(3, 8)), ("tanh", nn.Tanh()), ("dropout", nn.Dropout(0.1)), ("out", nn.Linear(8, 1)));

    private static nn.Module<Tensor, Tensor> Normalised() => nn.Sequential(("hidden", nn.Linear(3, 8)), ("norm", nn.BatchNorm1d(8)), ("tanh", nn.Tanh()), ("out", nn.Linear(8, 1)));

    private static Likelihood Likelihood() => new GaussianLikelihood();

    private static void RequireOne(ICollectives ranks, string print, string what)
        => Require(ranks.AllGather(Encoding.UTF8.GetBytes(print)).Select(Encoding.UTF8.GetString).Distinct().Count() == 1, what);

    private static string Print(params Tensor[] tensors)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (Tensor tensor in tensors)
            hash.AppendData(tensor.detach().contiguous().bytes);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void Require(bool condition, string what)
    {
        if (!condition)
            throw new InvalidOperationException($"Not as expected: {what}.");
    }

    private sealed class Told : IProgress<TrainingProgress>
    {
        public int Reports { get; private set; }

        public double Last { get; private set; }

        public void Report(TrainingProgress value) => (Reports, Last) = (Reports + 1, value.Fraction);
    }
}
