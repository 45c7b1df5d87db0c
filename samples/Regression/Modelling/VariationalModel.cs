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

/// <summary>A network of Bayesian layers, trained by the variational trainer.</summary>
internal sealed class VariationalModel : FittedModel
{
    // The target is standardised: its mean is 0, and the logarithm of its noise lies below 0 by a few at most.
    private const double OutputBiasScale = 1;

    private readonly nn.Module<Tensor, Tensor> _network;
    private readonly HeteroscedasticGaussianLikelihood _likelihood = new(LeastNoise);

    public VariationalModel(Preparation data, Settings settings, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken)
        : base(data, settings)
    {
        _network = Network(data.Training.Columns, settings);
        using var scope = NewDisposeScope();
        TrainingData training = data.TrainingTensors();
        using var trainer = new VariationalTrainer(_network, _likelihood, training.Count, settings.Training with
        {
            KlSchedule = KlSchedule.Warmup(settings.Warmup * settings.Epochs),
            Seed = settings.Seed,
        });
        Fit = trainer.Fit(training, progress: progress, cancellationToken: cancellationToken);
    }

    public override FitResult Fit { get; }

    public override TimeSpan Duration => Fit.Duration;

    public override void Dispose()
    {
        _network.Dispose();
        _likelihood.Dispose();
    }

    // A posterior sample is one draw of the weights for all rows, whatever estimator trained them: each is a function of the inputs. The
    // distribution of a single row is the same by every estimator.
    private protected override GaussianPredictive PredictStandardised(Tensor inputs)
    {
        using IDisposable functions = _network.WithEstimator(Estimator.SharedWeights);
        return (GaussianPredictive)Predictor.Predict(_network, _likelihood, inputs, Settings.Samples);
    }

    private static nn.Module<Tensor, Tensor> Network(int inputs, Settings settings)
    {
        random.manual_seed(unchecked((long)settings.Seed));
        using var scope = NewDisposeScope();
        double hidden = settings.HiddenWeightScale / Math.Sqrt(inputs), fanIn = Math.Sqrt(settings.Hidden);
        Tensor output = tensor(new[] { settings.OutputScale / fanIn, settings.NoiseScale / fanIn }).unsqueeze(1);

        var share = new MeanFieldGaussianSpecification { InitialShareOfPrior = settings.InitialStdDev };
        var narrow = new MeanFieldGaussianSpecification { InitialStdDev = settings.InitialStdDev * output.min().item<double>() };

        // The hidden units start as the prior would draw them, not as a deterministic network's: spread over the inputs, and beyond.
        var weight = new Parameter(randn(settings.Hidden, inputs).mul(hidden));
        var bias = new Parameter(randn(settings.Hidden).mul(settings.HiddenBiasScale));
        return nn.Sequential(
            ("hidden", bnn.Linear(weight, bias, Layer(GaussianPrior.ByFanIn(settings.HiddenWeightScale), settings.HiddenBiasScale, share))),
            ("bump", new Bump()),
            ("output", bnn.Linear(settings.Hidden, 2, options: Layer(GaussianPrior.With(zeros_like(output), output), OutputBiasScale, narrow))));

        BayesOptions Layer(PriorSpecification prior, double biasScale, PosteriorSpecification posterior) => new()
        {
            Prior = prior,
            BiasPrior = GaussianPrior.WithStdDev(biasScale),
            Posterior = posterior,
            BiasPosterior = share,
            Estimator = settings.Estimator,
        };
    }
}
