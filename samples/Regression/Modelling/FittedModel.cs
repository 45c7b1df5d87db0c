using BayesNet.Estimators;
using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Posteriors;
using BayesNet.Prediction;
using BayesNet.Priors;
using BayesNet.Samples.Regression.Data;
using BayesNet.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Samples.Regression.Modelling;

/// <summary>A two-layer Bayesian network with a mean and a noise level as outputs, trained on the training part of a table.</summary>
internal sealed class FittedModel : IDisposable
{
    // In standard deviations of the target. It keeps the density finite where a table's target is an exact function of its inputs.
    private const double LeastNoise = 1e-3;

    // The target is standardised: its mean is 0, and the logarithm of its noise lies below 0 by a few at most.
    private const double OutputBiasScale = 1;

    private readonly nn.Module<Tensor, Tensor> _network;
    private readonly HeteroscedasticGaussianLikelihood _likelihood = new(LeastNoise);
    private readonly Settings _settings;

    private FittedModel(Preparation data, Settings settings, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken)
    {
        (Data, _settings) = (data, settings);
        _network = Network(data.Training.Columns, settings);
        using var scope = NewDisposeScope();
        var training = new TrainingData(data.InputTensor(data.Training.Inputs), data.TargetTensor(data.Training.Targets));
        using var trainer = new VariationalTrainer(_network, _likelihood, training.Count, new TrainerOptions
        {
            Epochs = settings.Epochs,
            BatchSize = settings.BatchSize,
            LearningRate = settings.LearningRate,

            // Along a half cosine to a hundredth, so that the noise of the steps dies away.
            Scheduler = optimizer => optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.Epochs, settings.LearningRate / 100),
            KlSchedule = KlSchedule.Warmup(settings.Warmup * settings.Epochs),
            Seed = settings.Seed,
        });
        Fit = trainer.Fit(training, progress: progress, cancellationToken: cancellationToken);
    }

    /// <summary>What it was trained on, and the units of its inputs and its target.</summary>
    public Preparation Data { get; }

    /// <summary>How the training went.</summary>
    public FitResult Fit { get; }

    /// <summary>Trains a network; where the run is cancelled, what was learned until then is the result.</summary>
    public static FittedModel Train(
        Preparation data, Settings settings, IProgress<TrainingProgress>? progress = null, CancellationToken cancellationToken = default)
        => new(data, settings, progress, cancellationToken);

    /// <summary>The predictive distribution of the target in its own units, (rows, 1), float64; the caller's to dispose.</summary>
    /// <remarks>
    /// A posterior sample is one draw of the weights for all rows, whatever estimator trained them: each is a function of the inputs. The
    /// distribution of a single row is the same by every estimator.
    /// </remarks>
    /// <param name="inputs">[row][column], in the units of the table.</param>
    public GaussianPredictive Predict(IReadOnlyList<double[]> inputs)
    {
        using var scope = NewDisposeScope();
        using IDisposable functions = _network.WithEstimator(Estimator.SharedWeights);
        using var standardised = (GaussianPredictive)Predictor.Predict(_network, _likelihood, Data.InputTensor(inputs), _settings.Samples);
        return standardised.Rescale(Data.Target.StdDev, Data.Target.Mean);
    }

    public void Dispose()
    {
        _network.Dispose();
        _likelihood.Dispose();
    }

    private static nn.Module<Tensor, Tensor> Network(int inputs, Settings settings)
    {
        random.manual_seed(unchecked((long)settings.Seed));
        using var scope = NewDisposeScope();
        double hidden = settings.HiddenWeightScale / Math.Sqrt(inputs), fanIn = Math.Sqrt(settings.Hidden);
        Tensor output = tensor(new[] { settings.OutputScale / fanIn, settings.NoiseScale / fanIn }).unsqueeze(1);

        // The hidden units start as the prior would draw them, not as a deterministic network's: spread over the inputs, and beyond.
        var weight = new Parameter(randn(settings.Hidden, inputs).mul(hidden));
        var bias = new Parameter(randn(settings.Hidden).mul(settings.HiddenBiasScale));
        return nn.Sequential(
            ("hidden", bnn.Linear(weight, bias, Layer(GaussianPrior.WithStdDev(hidden), hidden, settings.HiddenBiasScale))),
            ("bump", new Bump()),
            ("output", bnn.Linear(settings.Hidden, 2, options: Layer(GaussianPrior.With(zeros_like(output), output), output.min().item<double>(), OutputBiasScale))));

        BayesOptions Layer(PriorSpecification prior, double weightScale, double biasScale) => new()
        {
            Prior = prior,
            BiasPrior = GaussianPrior.WithStdDev(biasScale),
            Posterior = new MeanFieldGaussianSpecification { InitialStdDev = settings.InitialStdDev * weightScale },
            BiasPosterior = new MeanFieldGaussianSpecification { InitialStdDev = settings.InitialStdDev * biasScale },
            Estimator = settings.Estimator,
        };
    }
}
