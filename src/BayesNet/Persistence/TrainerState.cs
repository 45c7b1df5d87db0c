using BayesNet.Training.Fitting;

namespace BayesNet.Persistence;

/// <summary>What a trainer is, besides tensors and bytes; JSON in a checkpoint.</summary>
internal sealed record TrainerState
{
    /// <summary>What has to be equal for training to go on as it would have.</summary>
    public required Dictionary<string, string> Options { get; init; }

    /// <summary>Steps taken.</summary>
    public required long Steps { get; init; }

    /// <summary>Orders of the rows drawn.</summary>
    public required long Orders { get; init; }

    /// <summary>What the learning-rate scheduler was told, step by step.</summary>
    public required double?[] Schedule { get; init; }

    /// <summary>Key and counter of each layer's noise; null where it comes from the global generator.</summary>
    public required Dictionary<string, NoiseState?> Noise { get; init; }

    /// <summary>The priors with their settings, which are no tensors; null in files from before they were kept.</summary>
    public string? Priors { get; init; }

    /// <summary>The run under way, or the last one where it did not end.</summary>
    public RunState? Run { get; init; }
}

/// <summary>The state of a seeded source of noise.</summary>
internal sealed record NoiseState(ulong Key, ulong Counter);
