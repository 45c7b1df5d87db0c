namespace BayesNet.Training;

/// <summary>One optimisation step. All values are from before the update.</summary>
/// <param name="NegativeLogLikelihood">-ln p(y | f) in nats an example: the mean over the minibatch and the noise samples.</param>
/// <param name="KlDivergence">KL(q || p) in nats, summed over the model's weights; not scaled by the data set's size or the schedule.</param>
/// <param name="KlWeight">The schedule's weight of the KL term.</param>
/// <param name="Loss">What was minimised, in nats an example: NegativeLogLikelihood + KlWeight * (KlDivergence + PointPenalty) / N.</param>
/// <param name="Elbo">
/// The estimate of the evidence lower bound of the whole training set in nats, whatever the schedule's weight:
/// -(N * NegativeLogLikelihood + KlDivergence). Parameters that are point estimates are given in it, so that their prior has no part in it.
/// </param>
public readonly record struct StepResult(double NegativeLogLikelihood, double KlDivergence, double KlWeight, double Loss, double Elbo)
{
    /// <summary>
    /// |w|^2 / (2 s^2) in nats over the deterministic parameters: minus the logarithm of their prior's density, up to its constant. Zero without
    /// <see cref="TrainerOptions.PointPrior"/>.
    /// </summary>
    public double PointPenalty { get; init; }

    /// <summary>The norm of all gradients together before they were clipped; null without <see cref="TrainerOptions.MaxGradientNorm"/>.</summary>
    public double? GradientNorm { get; init; }
}

/// <summary>One epoch.</summary>
/// <param name="Epoch">Its number, from 1.</param>
/// <param name="NegativeLogLikelihood">In nats an example, averaged over the epoch's rows.</param>
/// <param name="KlDivergence">In nats, at the epoch's last step.</param>
/// <param name="KlWeight">The schedule's weight at the epoch's last step.</param>
/// <param name="Elbo">-(N * NegativeLogLikelihood + KlDivergence), in nats.</param>
/// <param name="ValidationLogLikelihood">The mean log predictive density of the validation rows, in nats; null where they were not scored.</param>
/// <param name="Duration">The wall-clock time of the epoch, validation included.</param>
public sealed record EpochResult(
    int Epoch,
    double NegativeLogLikelihood,
    double KlDivergence,
    double KlWeight,
    double Elbo,
    double? ValidationLogLikelihood,
    TimeSpan Duration);

/// <summary>A training run.</summary>
/// <param name="History">The epochs that were finished, in order; of a run that went on from a checkpoint, those before it too.</param>
/// <param name="Steps">The optimisation steps taken, those of an unfinished epoch included.</param>
/// <param name="Cancelled">Whether the run was cancelled; the model is as the last step left it.</param>
/// <param name="Duration">The wall-clock time, that before a checkpoint included.</param>
public sealed record FitResult(IReadOnlyList<EpochResult> History, long Steps, bool Cancelled, TimeSpan Duration)
{
    /// <summary>The epoch with the best score on the validation rows; null where they were never scored.</summary>
    public int? BestEpoch { get; init; }

    /// <summary>Whether the run stopped for want of progress (<see cref="EarlyStopping"/>).</summary>
    public bool StoppedEarly { get; init; }

    /// <summary>The epoch whose parameters the model has: <see cref="BestEpoch"/> where the best were put back; null for those of the last step.</summary>
    public int? RestoredEpoch { get; init; }
}

/// <summary>Where a training run stands.</summary>
public sealed record TrainingProgress
{
    /// <summary>The current epoch, from 1.</summary>
    public required int Epoch { get; init; }

    /// <summary>The epochs of the run.</summary>
    public required int Epochs { get; init; }

    /// <summary>Steps done in the current epoch.</summary>
    public required long Step { get; init; }

    /// <summary>Steps of an epoch; null in the first epoch over a loader of unknown length.</summary>
    public required long? StepsPerEpoch { get; init; }

    /// <summary>-ln p(y | f) in nats an example, averaged over the current epoch's rows so far.</summary>
    public required double NegativeLogLikelihood { get; init; }

    /// <summary>KL(q || p) in nats at the last step.</summary>
    public required double KlDivergence { get; init; }

    /// <summary>The schedule's weight of the KL term at the last step.</summary>
    public required double KlWeight { get; init; }

    /// <summary>-(N * NegativeLogLikelihood + KlDivergence), in nats.</summary>
    public required double Elbo { get; init; }

    /// <summary>The latest score of the validation rows: mean log predictive density in nats; null before the first.</summary>
    public double? ValidationLogLikelihood { get; init; }

    /// <summary>Time since the run began.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>The share of the run that is done, 0 to 1.</summary>
    public required double Fraction { get; init; }

    /// <summary>The time that the rest takes at the pace so far; null before a first step.</summary>
    public TimeSpan? Remaining => Fraction > 0 ? Elapsed * ((1 - Fraction) / Fraction) : null;
}

/// <summary>A loss was NaN or infinite. Training stopped before the step was taken, so the parameters are those of the step before.</summary>
public sealed class NonFiniteLossException : ArithmeticException
{
    /// <summary>Creates the exception.</summary>
    public NonFiniteLossException()
        : base("The loss is not finite.")
    {
    }

    /// <summary>Creates the exception.</summary>
    public NonFiniteLossException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception.</summary>
    public NonFiniteLossException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>The first parameter that holds a value that is not finite, by its name in the model; null where all are finite.</summary>
    public string? ParameterName { get; init; }
}
