namespace BayesNet.Training;

/// <summary>
/// What a <see cref="VariationalTrainer"/> calls in the course of a run, on the thread that trains. Every method does nothing unless it is
/// implemented; an exception in one ends the run.
/// </summary>
public interface ITrainingCallback
{
    /// <summary>A run begins, or goes on from a checkpoint.</summary>
    void FitStarted(TrainingContext context)
    {
    }

    /// <summary>An epoch begins; not called for one that goes on from a checkpoint.</summary>
    void EpochStarted(TrainingContext context)
    {
    }

    /// <summary>A step is about to be taken: the minibatch is there, nothing has been computed.</summary>
    void StepStarting(TrainingContext context)
    {
    }

    /// <summary>A step has been taken.</summary>
    void StepCompleted(TrainingContext context, StepResult result)
    {
    }

    /// <summary>The validation rows have been scored.</summary>
    /// <param name="context">Where the run stands.</param>
    /// <param name="logLikelihood">Their mean log predictive density in nats.</param>
    /// <param name="isBest">Whether it is the best so far.</param>
    void Validated(TrainingContext context, double logLikelihood, bool isBest)
    {
    }

    /// <summary>An epoch has ended.</summary>
    void EpochCompleted(TrainingContext context, EpochResult result)
    {
    }

    /// <summary>A checkpoint has been written.</summary>
    void CheckpointSaved(TrainingContext context, string path)
    {
    }

    /// <summary>The run has ended or was cancelled; not called after an exception.</summary>
    void FitCompleted(TrainingContext context, FitResult result)
    {
    }
}

/// <summary>Where a run stands, for an <see cref="ITrainingCallback"/>; one object for the whole run.</summary>
public sealed class TrainingContext
{
    internal TrainingContext(VariationalTrainer trainer) => Trainer = trainer;

    /// <summary>The trainer.</summary>
    public VariationalTrainer Trainer { get; }

    /// <summary>The current epoch of the run, from 1.</summary>
    public int Epoch { get; internal set; }

    /// <summary>Steps done in the current epoch.</summary>
    public long Step { get; internal set; }

    /// <summary>Steps of an epoch; null in the first epoch over a loader of unknown length.</summary>
    public long? StepsPerEpoch { get; internal set; }

    /// <summary>Whether <see cref="Stop"/> was called.</summary>
    public bool IsStopping { get; private set; }

    /// <summary>Ends the run after the step under way, as a cancelled token does.</summary>
    public void Stop() => IsStopping = true;
}
