using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.Runtime;
using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Inference;

/// <summary>
/// What an <see cref="InferenceMethod"/> made of data: a distribution over networks that predicts, whatever the method. Networks are as they were
/// after every call.
/// </summary>
/// <remarks>Not thread safe: a posterior predicts for one caller at a time.</remarks>
public abstract class FittedPosterior : IDisposable
{
    private protected FittedPosterior(string method) => Method = method;

    /// <summary>The name of the method.</summary>
    public string Method { get; }

    /// <summary>How targets are distributed around a network's output, with what was learned; of an ensemble, its first member's.</summary>
    public abstract Likelihood Likelihood { get; }

    /// <summary>
    /// How many samples a call uses that is asked for so many: as many, but where there are only so many (one network, the stored samples of a
    /// chain), or where members of an ensemble share them evenly.
    /// </summary>
    /// <param name="samples">The samples asked for.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="samples"/> is below 1.</exception>
    public int SamplesUsed(int samples) => Used((int)Guard.AtLeastOne(samples));

    /// <summary>The predictive distribution of a batch.</summary>
    /// <param name="inputs">(batch, ...) as the network takes it; moved to its device.</param>
    /// <param name="samples">Posterior samples S; see <see cref="SamplesUsed"/>.</param>
    /// <param name="options">Memory, and whether samples are kept; null for <see cref="PredictionOptions.Default"/>.</param>
    /// <returns>The equal-weight mixture over the samples; the caller's to dispose.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="samples"/> is below 1.</exception>
    public Predictive Predict(Tensor inputs, int samples = 100, PredictionOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        int used = SamplesUsed(samples);
        using var scope = NewDisposeScope();
        return (options ?? PredictionOptions.Default).Predict(used, (range, own) => PredictCore(inputs, range, own), Peers);
    }

    /// <summary>The log predictive density of targets in nats, ln (1/S) sum_s p(y | f_s), without ever holding the outputs of all samples.</summary>
    /// <param name="inputs">(batch, ...) as the network takes it; moved to its device.</param>
    /// <param name="targets">(batch, ...) as the likelihood takes them; moved to the network's device.</param>
    /// <param name="samples">Posterior samples S; see <see cref="SamplesUsed"/>.</param>
    /// <param name="options">Memory; null for <see cref="PredictionOptions.Default"/>.</param>
    /// <returns>Shape (batch), without gradients.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="samples"/> is below 1.</exception>
    /// <exception cref="ArgumentException">Targets and inputs have different numbers of rows, or the targets do not fit the network's output.</exception>
    public Tensor LogDensity(Tensor inputs, Tensor targets, int samples = 100, PredictionOptions? options = null)
    {
        int used = SamplesUsed(samples);
        using var scope = NewDisposeScope();
        Tensor density = (options ?? PredictionOptions.Default).LogDensity(
            used,
            (range, own) =>
            {
                SampleRunExtensions.RequireRows(inputs, targets);
                return LogDensityCore(inputs, targets, range, own);
            },
            Peers);
        return density.MoveToOuterDisposeScope();
    }

    /// <summary>The mean log predictive density of data in nats an example; <see cref="LogDensity"/> averaged over the rows.</summary>
    /// <param name="data">The data to score.</param>
    /// <param name="samples">Posterior samples S; see <see cref="SamplesUsed"/>.</param>
    /// <param name="options">Memory; null for <see cref="PredictionOptions.Default"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="samples"/> is below 1.</exception>
    public double LogLikelihood(TrainingData data, int samples = 100, PredictionOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(data);
        using var scope = NewDisposeScope();
        return LogDensity(data.Inputs, data.Targets, samples, options).mean([0], type: ScalarType.Float64).item<double>();
    }

    /// <summary>The networks' outputs under posterior samples, (samples, batch, ...), without gradients.</summary>
    /// <inheritdoc cref="Predict"/>
    public Tensor SampleOutputs(Tensor inputs, int samples = 100, PredictionOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        int used = SamplesUsed(samples);
        using var scope = NewDisposeScope();
        return (options ?? PredictionOptions.Default).Outputs(used, (range, own) => OutputsCore(inputs, range, own), Peers).MoveToOuterDisposeScope();
    }

    /// <summary>Frees the networks and likelihoods that the method made, and what it keeps of the posterior.</summary>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    internal abstract int Used(int samples);

    /// <summary>The processes that answer every question together, whatever the options say; null for those of the options.</summary>
    internal virtual IPredictionPeers? Peers => null;

    /// <summary>What some of the samples predict; null where they predict nothing of their own.</summary>
    internal abstract Predictive? PredictCore(Tensor inputs, SampleRange samples, PredictionOptions options);

    /// <summary>The log mean density under some of the samples.</summary>
    internal abstract SampledLogDensity? LogDensityCore(Tensor inputs, Tensor targets, SampleRange samples, PredictionOptions options);

    /// <summary>The networks' outputs under some of the samples.</summary>
    internal abstract Tensor? OutputsCore(Tensor inputs, SampleRange samples, PredictionOptions options);

    /// <summary>Frees what the posterior owns.</summary>
    private protected abstract void Dispose(bool disposing);
}
