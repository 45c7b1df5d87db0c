using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Posteriors;
using BayesNet.Prediction;
using BayesNet.Priors;
using BayesNet.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Uci;

/// <summary>
/// A network of one hidden ReLU layer under a Gaussian likelihood, with one learned noise level (one head) or a noise level that it predicts (two
/// heads), trained by local reparameterization, the KL term weighted by a temperature.
/// </summary>
internal sealed class UciModel : IDisposable
{
    // In standard deviations of the target: keeps the density finite where a target is an exact function of its inputs.
    private const double LeastNoise = 1e-3;

    private readonly UciUnits _units;
    private readonly UciSettings _settings;
    private readonly nn.Module<Tensor, Tensor> _network;
    private readonly Likelihood _likelihood;

    public UciModel(UciRows rows, int hidden, int heads, UciSettings settings, double temperature, ulong seed)
    {
        (_units, _settings) = (new UciUnits(rows), settings);
        random.manual_seed(unchecked((long)seed));
        using var scope = NewDisposeScope();
        int inputs = rows.Inputs[0].Length;

        // Hidden units start as the prior would draw them: spread over the inputs.
        double scale = settings.Hidden / Math.Sqrt(inputs);
        _network = nn.Sequential(
            ("hidden", bnn.Linear(new Parameter(randn(hidden, inputs).mul(scale)), new Parameter(randn(hidden).mul(settings.Bias)), Layer(settings.Hidden, settings.Bias))),
            ("relu", nn.ReLU()),
            ("output", bnn.Linear(hidden, heads, options: Layer(settings.Output, 1))));
        _likelihood = heads == 1 ? new GaussianLikelihood(learnNoise: true) : new HeteroscedasticGaussianLikelihood(LeastNoise);

        var data = new TrainingData(_units.Inputs(rows), _units.Targets(rows));
        int epochs = (int)Math.Ceiling(settings.Steps / Math.Ceiling((double)rows.Count / settings.Batch));
        using var trainer = new VariationalTrainer(_network, _likelihood, rows.Count, new TrainerOptions
        {
            Epochs = epochs,
            BatchSize = settings.Batch,
            LearningRate = settings.Rate,
            Scheduler = optimizer => optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs, settings.Rate / 100),
            KlSchedule = KlSchedule.Tempered(temperature, KlSchedule.Warmup(settings.Warmup * epochs)),
            Seed = seed,
        });
        trainer.Fit(data);

        BayesOptions Layer(double gain, double bias) => new()
        {
            Prior = GaussianPrior.ByFanIn(gain),
            BiasPrior = GaussianPrior.WithStdDev(bias),
            Posterior = new MeanFieldGaussianSpecification { InitialShareOfPrior = settings.Start },
        };
    }

    /// <summary>The predictive of rows in the target's own units; the caller's to dispose.</summary>
    public GaussianPredictive Predict(UciRows rows)
    {
        using var scope = NewDisposeScope();
        using var standardised = (GaussianPredictive)Predictor.Predict(_network, _likelihood, _units.Inputs(rows), _settings.Samples);
        return standardised.Rescale(_units.Target.StdDev, _units.Target.Mean);
    }

    public void Dispose()
    {
        _network.Dispose();
        _likelihood.Dispose();
    }
}
