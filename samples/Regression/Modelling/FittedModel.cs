using BayesNet.Prediction;
using BayesNet.Samples.Regression.Data;
using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Samples.Regression.Modelling;

/// <summary>A posterior over two-layer networks with a mean and a noise level as outputs, fitted to the training part of a table.</summary>
internal abstract class FittedModel(Preparation data, Settings settings) : IDisposable
{
    // In standard deviations of the target. It keeps the density finite where a table's target is an exact function of its inputs.
    private protected const double LeastNoise = 1e-3;

    /// <summary>What it was fitted to, and the units of its inputs and its target.</summary>
    public Preparation Data { get; } = data;

    /// <summary>How it was fitted.</summary>
    public Settings Settings { get; } = settings;

    /// <summary>The wall-clock time of the fit.</summary>
    public abstract TimeSpan Duration { get; }

    /// <summary>How the variational training went; null for other methods.</summary>
    public virtual FitResult? Fit => null;

    /// <summary>Fits a model. Where the run is cancelled, what variational training has learned until then is the result.</summary>
    /// <exception cref="OperationCanceledException">The run was cancelled, and the method has nothing until its end.</exception>
    public static FittedModel Train(
        Preparation data, Settings settings, IProgress<TrainingProgress>? progress = null, CancellationToken cancellationToken = default)
        => settings.Method.Inference is { } inference
            ? new PosteriorModel(data, settings, inference(settings) with { Seed = settings.Seed }, progress, cancellationToken)
            : new VariationalModel(data, settings, progress, cancellationToken);

    /// <summary>The predictive distribution of the target in its own units, (rows, 1), float64; the caller's to dispose.</summary>
    /// <param name="inputs">[row][column], in the units of the table.</param>
    public GaussianPredictive Predict(IReadOnlyList<double[]> inputs)
    {
        using var scope = NewDisposeScope();
        using GaussianPredictive standardised = PredictStandardised(Data.InputTensor(inputs));
        return standardised.Rescale(Data.Target.StdDev, Data.Target.Mean);
    }

    public abstract void Dispose();

    private protected abstract GaussianPredictive PredictStandardised(Tensor inputs);
}
