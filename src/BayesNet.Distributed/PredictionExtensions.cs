using BayesNet.Prediction;

namespace BayesNet.Distributed;

/// <summary>Predictions whose samples several processes compute.</summary>
public static class PredictionExtensions
{
    /// <summary>
    /// The same options for predictions whose samples the ranks share: of S samples each computes every S / ranks, and all get the whole answer. On one rank, the
    /// options as they are.
    /// </summary>
    /// <remarks>
    /// <para>
    /// Every rank makes the same calls, in the same order, with the same model, inputs, targets and number of samples: <see cref="Predictor"/>'s, functions
    /// drawn by <see cref="Predictor.DrawFunctions"/>, a trainer's and those of every fitted posterior, ensembles too. A call that fails on one rank
    /// throws on all.
    /// </para>
    /// <para>
    /// The samples are those of the posterior, drawn by each rank from a seed of its own: another number of ranks draws others. What is stored, the samples of chains,
    /// is what one process would use. With <see cref="PredictionOptions.KeepSamples"/> every rank gets every sample's output; moments alone, and log densities, are
    /// merged, and take a few numbers a row and output.
    /// </para>
    /// </remarks>
    /// <param name="options">How to predict. <see cref="PredictionOptions.Seed"/> must be set.</param>
    /// <param name="ranks">The processes, exchanging memory of the CPU; they stay the caller's, and live as long as the options are used.</param>
    /// <exception cref="ArgumentException">There is no seed.</exception>
    public static PredictionOptions OnRanks(this PredictionOptions options, ICollectives ranks)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(ranks);
        SamplesOnRanks.SeedOf(options);
        return ranks.Size == 1 ? options : options with { Peers = new SamplesOnRanks(ranks, splits: true) };
    }
}
