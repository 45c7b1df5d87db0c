using System.Globalization;
using BayesNet.Estimators;
using BayesNet.Inference;
using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Training;
using Microsoft.ML.Runtime;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.ML.Fitting;

/// <summary>Trains networks of linear layers on standardised rows and draws from their posterior.</summary>
/// <remarks>
/// Priors, initial scales and schedule are those of the benchmarks' report on UCI sets: weights N(0, 1 / fan-in), those of the output N(0, 4 / fan-in),
/// hidden units that start where their prior would have them, small posterior scales, a KL term that warms up over a tenth of the run.
/// </remarks>
internal static class NetworkFit
{
    // Initial weights come from libtorch's global generator, one sequence for the process: trainings on several threads take turns.
    private static readonly Lock Turn = new();

    // A pass of less than about a tenth of a millisecond.
    private const long MostProductsOfOneThread = 1 << 21;

    private const int Steps = 10_000;
    private const int Scorings = 100;
    private const double OutputScale = 2, InitialScale = 0.05, Warmup = 0.1;

    /// <summary>Trains.</summary>
    /// <param name="options">Architecture, method and training.</param>
    /// <param name="outputs">Outputs of a network.</param>
    /// <param name="likelihood">Makes a likelihood of them.</param>
    /// <param name="data">Standardised features, and targets as the likelihood takes them.</param>
    /// <param name="validation">The same; null for no early stopping.</param>
    /// <param name="seed">Seeds everything.</param>
    /// <param name="channel">Told of the progress.</param>
    internal static PosteriorSample Fit(
        BayesianNetworkOptions options, int outputs, Func<Likelihood> likelihood, TrainingData data, TrainingData? validation, ulong seed, IChannel channel)
    {
        int inputs = (int)data.Inputs.size(1);
        long batches = (data.Count + options.BatchSize - 1) / options.BatchSize;
        int epochs = options.Epochs ?? (int)((Steps + batches - 1) / batches);
        var training = new TrainerOptions
        {
            Epochs = epochs,
            BatchSize = options.BatchSize,
            LearningRate = options.LearningRate,
            Scheduler = optimizer => optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs, options.LearningRate / 100),
            KlSchedule = KlSchedule.Warmup(Warmup * epochs),
            EarlyStopping = validation is null ? null : new EarlyStopping { Patience = options.Patience },
            ValidationInterval = Math.Max(1, epochs / Scorings),
            Callbacks = [new ChannelProgress(channel, epochs)],
        };
        bool isVariational = options.Method == PosteriorMethod.VariationalInference;
        InferenceMethod method = isVariational
            ? new VariationalInference { Training = training, Seed = seed }
            : new DeepEnsemble(new MaximumAPosteriori { Training = training }) { Members = options.Members, Seed = seed };
        lock (Turn)
        {
            using IDisposable threads = ThreadsFor(inputs, options, outputs);
            using FittedPosterior posterior = method.Fit(() => Network(inputs, options, outputs, isVariational), likelihood, data, validation);
            return PosteriorSample.Of(posterior, options.Samples, options.Activation, Seeds.Derive(seed, 1)!.Value);
        }
    }

    /// <summary>
    /// One thread while a small network is trained, until the returned object is disposed: more would wait for each other in every operation, and longest where
    /// another process has a core.
    /// </summary>
    private static ThreadScope ThreadsFor(int inputs, BayesianNetworkOptions options, int outputs)
    {
        int[] widths = [inputs, .. options.HiddenUnits, outputs];
        long products = options.BatchSize * widths.Zip(widths.Skip(1), (from, to) => (long)from * to).Sum();
        int before = get_num_threads();
        if (products < MostProductsOfOneThread)
            set_num_threads(1);
        return new ThreadScope(before);
    }

    private static Sequential Network(int inputs, BayesianNetworkOptions options, int outputs, bool isBayesian)
    {
        using var scope = NewDisposeScope();
        var layers = new List<(string Name, nn.Module<Tensor, Tensor> Layer)>();
        int width = inputs;
        foreach (int units in options.HiddenUnits)
        {
            string number = (layers.Count / 2 + 1).ToString(CultureInfo.InvariantCulture);
            layers.Add(($"hidden{number}", isBayesian ? Hidden(width, units) : nn.Linear(width, units)));
            layers.Add(($"activation{number}", options.Activation == HiddenActivation.Relu ? nn.ReLU() : nn.Tanh()));
            width = units;
        }

        layers.Add(("output", isBayesian ? bnn.Linear(width, outputs, options: Layer(OutputScale)) : nn.Linear(width, outputs)));
        return nn.Sequential(layers);
    }

    private static BayesLinear Hidden(int inputs, int units)
    {
        using Scalar scale = 1 / Math.Sqrt(inputs);
        return new BayesLinear(randn(units, inputs).mul(scale), randn(units), Layer(1));
    }

    private static BayesOptions Layer(double gain) => new()
    {
        Prior = GaussianPrior.ByFanIn(gain),
        BiasPrior = GaussianPrior.WithStdDev(1),
        Posterior = new MeanFieldGaussianSpecification { InitialShareOfPrior = InitialScale },
    };

    private sealed class ThreadScope(int before) : IDisposable
    {
        public void Dispose() => set_num_threads(before);
    }

    /// <summary>Tells ML.NET's log, ten times in a run.</summary>
    private sealed class ChannelProgress(IChannel channel, int epochs) : ITrainingCallback
    {
        public void EpochCompleted(TrainingContext context, EpochResult result)
        {
            if (result.Epoch != epochs && result.Epoch % Math.Max(1, epochs / 10) != 0)
                return;
            channel.Info(
                MessageSensitivity.None,
                "Epoch {0} of {1}: negative log likelihood {2:F4} nats a row, KL divergence {3:F1} nats",
                result.Epoch,
                epochs,
                result.NegativeLogLikelihood,
                result.KlDivergence);
        }

        public void FitCompleted(TrainingContext context, FitResult result)
        {
            if (result.StoppedEarly)
                channel.Info(MessageSensitivity.None, "Stopped for want of progress on the validation rows; the best was epoch {0}.", result.BestEpoch!);
        }
    }
}
