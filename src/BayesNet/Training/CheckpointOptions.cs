using BayesNet.Runtime;

namespace BayesNet.Training;

/// <summary>When a <see cref="VariationalTrainer"/> writes a checkpoint by itself, and where.</summary>
/// <remarks>
/// Each takes the place of the one before at once, by a rename: a reader, and whoever starts after a crash, finds the one or the other, whole.
/// One is written when a run ends or is cancelled, too.
/// </remarks>
public sealed record CheckpointOptions
{
    /// <summary>Names the file.</summary>
    /// <param name="path">The file; its folder must exist when the first is written.</param>
    /// <exception cref="ArgumentException"><paramref name="path"/> is empty.</exception>
    public CheckpointOptions(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        Path = System.IO.Path.GetFullPath(path);
    }

    /// <summary>The file, with its folder.</summary>
    public string Path { get; }

    /// <summary>Steps from one checkpoint to the next; null, the default, for none by steps.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public long? EverySteps { get; init => field = value is { } steps ? Guard.AtLeastOne(steps, nameof(EverySteps)) : null; }

    /// <summary>The least time from one checkpoint to the next; null, the default, for none by the clock.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not above zero.</exception>
    public TimeSpan? Every
    {
        get;
        init => field = value is not { } time || time > TimeSpan.Zero ? value : throw new ArgumentOutOfRangeException(nameof(Every), value, "Every must be above zero.");
    }
}
