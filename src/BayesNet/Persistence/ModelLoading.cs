using BayesNet.Runtime;

namespace BayesNet.Persistence;

/// <summary>How a safetensors file is read into a model. Immutable.</summary>
public sealed record ModelLoading
{
    /// <summary>
    /// Whether every tensor of the file has to have a place in the model and every tensor of the model one in the file; true by default. Shapes
    /// and types have to fit where both have one, strict or not.
    /// </summary>
    public bool Strict { get; init; } = true;

    /// <summary>The name in the model of a tensor that the file has by another; null from it leaves the tensor out. Null, the default, for the same names.</summary>
    public Func<string, string?>? Rename { get; init; }

    /// <summary>
    /// delta, where a file of deterministic weights w is to make posteriors around them: standard deviations delta |w| of mean-field Gaussian
    /// posteriors, and means w of priors that have a mean for each entry (MOPED; Krishnan, Subedar and Tickoo 2020). Null, the default, sets the means
    /// of the posteriors and leaves the rest.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double? MopedDelta { get; init => field = value is { } delta ? Guard.Positive(delta, nameof(MopedDelta)) : null; }

    /// <summary>The least standard deviation that <see cref="MopedDelta"/> makes; 1e-4 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double MopedFloor { get; init => field = Guard.Positive(value, nameof(MopedFloor)); } = 1e-4;
}

/// <summary>What of a file and a model found no counterpart.</summary>
/// <param name="Missing">Tensors of the model that the file does not have; they are as they were.</param>
/// <param name="Unexpected">Tensors of the file that the model has no place for.</param>
public sealed record ModelLoadResult(IReadOnlyList<string> Missing, IReadOnlyList<string> Unexpected);
