using System.Diagnostics;
using BayesNet.Inference;
using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.Samples.Regression.Data;
using BayesNet.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Samples.Regression.Modelling;

/// <summary>
/// The same network of deterministic layers, given a posterior by a method of the library. Fixed factors stand in front of its layers, so that
/// the method's prior N(0, 1) is on every weight what <see cref="VariationalModel"/> has for one.
/// </summary>
internal sealed class PosteriorModel : FittedModel
{
    // Of the units in front of the output.
    private const double DropoutRate = 0.1;

    private readonly FittedPosterior _posterior;

    public PosteriorModel(
        Preparation data, Settings settings, InferenceMethod method, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken)
        : base(data, settings)
    {
        using var scope = NewDisposeScope();
        long started = Stopwatch.GetTimestamp();
        _posterior = method.Fit(
            () => Network(data.Training.Columns, settings), () => new HeteroscedasticGaussianLikelihood(LeastNoise), data.TrainingTensors(), progress: progress,
            cancellationToken: cancellationToken);
        Duration = Stopwatch.GetElapsedTime(started);
    }

    public override TimeSpan Duration { get; }

    public override void Dispose() => _posterior.Dispose();

    private protected override GaussianPredictive PredictStandardised(Tensor inputs) => (GaussianPredictive)_posterior.Predict(inputs, Settings.Samples);

    private static Sequential Network(int inputs, Settings settings)
    {
        using var scope = NewDisposeScope();
        float hidden = (float)(settings.HiddenWeightScale / Math.Sqrt(inputs)), output = (float)(settings.OutputScale / Math.Sqrt(settings.Hidden));
        Linear units = nn.Linear(inputs + 1, settings.Hidden, hasBias: false);
        nn.init.normal_(units.weight);
        List<(string, nn.Module<Tensor, Tensor>)> layers =
        [
            ("inputs", new Scaled([.. Enumerable.Repeat(hidden, inputs), (float)settings.HiddenBiasScale], constant: true)),
            ("hidden", units),
            ("bump", new Bump()),
            ("features", new Scaled([output])),
            ("output", nn.Linear(settings.Hidden, 2)),
        ];
        if (settings.Method == Method.Dropout)
            layers.Insert(layers.Count - 1, ("dropout", nn.Dropout(DropoutRate)));
        return nn.Sequential(layers);
    }

    /// <summary>Multiplies columns by fixed factors, after a column of ones was added where it is to be.</summary>
    private sealed class Scaled : nn.Module<Tensor, Tensor>
    {
        private readonly Tensor _factors;
        private readonly bool _constant;

        public Scaled(float[] factors, bool constant = false)
            : base(nameof(Scaled))
        {
            _factors = tensor(factors).DetachFromDisposeScope();
            _constant = constant;
            register_buffer("factors", _factors);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input)
        {
            using var scope = NewDisposeScope();
            return (_constant ? nn.functional.pad(input, [0, 1], PaddingModes.Constant, 1) : input).mul(_factors).MoveToOuterDisposeScope();
        }
    }
}
