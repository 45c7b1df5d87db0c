using System.CommandLine;

namespace BayesNet.Samples.Gallery;

/// <summary>One sample: a command that ends in a picture and a few lines that say what to look at.</summary>
internal abstract class Sample
{
    /// <summary>The command.</summary>
    public abstract string Name { get; }

    /// <summary>What it shows, in one sentence.</summary>
    public abstract string Description { get; }

    /// <summary>How many threads an operation may take; one where operations are so small that a second costs more than it does.</summary>
    public virtual int? Threads => null;

    /// <summary>Options of its own.</summary>
    public virtual IReadOnlyList<Option> Options => [];

    /// <summary>Runs it.</summary>
    /// <returns>The figures that it ends with, by name.</returns>
    public abstract IReadOnlyDictionary<string, double> Run(SampleRun run);
}
