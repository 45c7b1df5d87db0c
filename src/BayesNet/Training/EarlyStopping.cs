using BayesNet.Runtime;

namespace BayesNet.Training;

/// <summary>When to stop for want of progress: by the predictive log likelihood of validation rows, which are never trained on.</summary>
/// <remarks>
/// The score is the mean log predictive density of <see cref="VariationalTrainer.LogLikelihood"/>, of the mixture over posterior samples. Choose
/// validation rows from the training rows: a score on test rows would have chosen the epoch by them.
/// </remarks>
public sealed record EarlyStopping
{
    /// <summary>Scorings without an improvement after which the run stops; 10 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int Patience { get; init => field = (int)Guard.AtLeastOne(value, nameof(Patience)); } = 10;

    /// <summary>What a score must be better by, in nats an example, to count as an improvement; 0 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Negative or not finite.</exception>
    public double MinDelta
    {
        get;
        init => field = Guard.Finite(value, nameof(MinDelta)) >= 0 ? value : throw new ArgumentOutOfRangeException(nameof(MinDelta), value, "MinDelta must not be negative.");
    }

    /// <summary>
    /// Whether the run ends with the parameters and buffers of the best epoch, those of the likelihood included, in place of the last; true by
    /// default. A cancelled run keeps its last.
    /// </summary>
    public bool RestoreBest { get; init; } = true;
}
