namespace BayesNet.Training.Fitting;

/// <summary>How far a call of <c>Fit</c> has come: all that a later process needs to go on in its place.</summary>
internal sealed class RunState
{
    /// <summary>The epochs that were finished.</summary>
    public List<EpochResult> History { get; init; } = [];

    /// <summary>Steps of the trainer before the run.</summary>
    public long StepsBefore { get; init; }

    /// <summary>Whether the epoch after those has begun; the following is of that epoch.</summary>
    public bool InEpoch { get; set; }

    /// <summary>What its order of the rows follows from.</summary>
    public ulong OrderKey { get; set; }

    /// <summary>Steps done in it.</summary>
    public long Step { get; set; }

    /// <summary>Rows seen in it.</summary>
    public long Rows { get; set; }

    /// <summary>The sum of their negative log likelihoods.</summary>
    public double Sum { get; set; }

    /// <summary>Its time so far.</summary>
    public TimeSpan EpochElapsed { get; set; }

    /// <summary>Its last step.</summary>
    public StepResult Last { get; set; }

    /// <summary>Steps of an epoch, where they are known.</summary>
    public long? StepsPerEpoch { get; set; }

    /// <summary>The run's time so far.</summary>
    public TimeSpan Elapsed { get; set; }

    /// <summary>The latest score of the validation rows.</summary>
    public double? Score { get; set; }

    /// <summary>The best score, and the epoch that had it.</summary>
    public double? BestScore { get; set; }

    /// <inheritdoc cref="BestScore"/>
    public int? BestEpoch { get; set; }

    /// <summary>Scorings since the best.</summary>
    public int SinceBest { get; set; }

    /// <summary>Whether it stopped for want of progress.</summary>
    public bool StoppedEarly { get; set; }

    /// <summary>The epoch whose parameters were put back.</summary>
    public int? RestoredEpoch { get; set; }

    /// <summary>Whether it has ended.</summary>
    public bool Completed { get; set; }
}
