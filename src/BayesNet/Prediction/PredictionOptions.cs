using BayesNet.Runtime;

namespace BayesNet.Prediction;

/// <summary>How a <see cref="Predictor"/> goes about it. No option changes the distribution of what it returns.</summary>
public sealed record PredictionOptions
{
    /// <summary>The options used where none are given.</summary>
    public static PredictionOptions Default { get; } = new();

    /// <summary>
    /// Whether the predictive keeps every sample's output, (samples, batch, outputs); true by default. Without them it holds moments alone,
    /// (batch, outputs) each, gathered as the samples come: <see cref="Predictive.Mean"/>, <see cref="Predictive.Epistemic"/>,
    /// <see cref="Predictive.Aleatoric"/>, <see cref="Predictive.StdDev"/> and, for classes, the entropies. Quantiles, intervals and
    /// <see cref="Predictive.LogDensity"/> need the samples; <see cref="Predictor.LogDensity"/> has densities without keeping them.
    /// </summary>
    public bool KeepSamples { get; init; } = true;

    /// <summary>
    /// Bytes that the network's activations may take at a time, about; 32 MiB by default. Samples and rows are computed in blocks of that
    /// size, which are large matrix products and still fit the allocator's and the processor's caches; a larger budget is seldom faster. The
    /// activations of one row are measured by a pass of the network at its means. What is returned, and the weights, come on top.
    /// </summary>
    /// <remarks>
    /// Not honoured by models that can be computed only a whole batch at a time: see <see cref="RowsAreIndependent"/>, and flipout, whose rows
    /// share one deviation.
    /// </remarks>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public long MemoryBudget { get; init => field = Guard.AtLeastOne(value, nameof(MemoryBudget)); } = 32L << 20;

    /// <summary>
    /// Whether, in evaluation mode, each row of the network's output depends on its own row of the input alone, so that rows may be computed in
    /// any grouping. Null, the default, looks: true for a <c>Sequential</c> of Bayesian layers and TorchSharp layers known for it, else false.
    /// Say true for a module of your own that computes row by row, from its input and the noise of Bayesian layers alone; predictions are then
    /// several times faster.
    /// </summary>
    public bool? RowsAreIndependent { get; init; }

    /// <summary>
    /// Seeds the noise of the call alone, that of the layers or of an inference method: the same seed gives the same samples, and the sequence that the
    /// call would have drawn from goes on afterwards as if the call had not been. Null, the default, draws from that sequence.
    /// </summary>
    public ulong? Seed { get; init; }

    /// <summary>The processes that compute the samples together; null, the default, for this one alone.</summary>
    internal IPredictionPeers? Peers { get; init; }
}
