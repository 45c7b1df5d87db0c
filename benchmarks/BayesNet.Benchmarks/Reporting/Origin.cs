namespace BayesNet.Benchmarks.Reporting;

/// <summary>What the measurements of two runs must agree in to stand in one report, the commit aside where <c>--any-commit</c> says so.</summary>
/// <param name="Commit">The commit.</param>
/// <param name="Cpu">The processor.</param>
/// <param name="Seed">The seed of all noise.</param>
/// <param name="Short">Whether it was measured in short.</param>
internal sealed record RunIdentity(string Commit, string Cpu, ulong Seed, bool Short);

/// <summary>Which measurements of an earlier run a run keeps.</summary>
internal enum Resumption
{
    /// <summary>None: all is measured.</summary>
    None,

    /// <summary>Those of the same commit.</summary>
    SameCommit,

    /// <summary>Those of any commit; the report says which.</summary>
    AnyCommit,
}

/// <summary>Where and when a part of a report was measured.</summary>
internal sealed record Origin
{
    public required string Date { get; init; }
    public required string Commit { get; init; }

    /// <summary>The command that measures it again.</summary>
    public required string Command { get; init; }
    public required string Cpu { get; init; }
    public required ulong Seed { get; init; }
    public required bool Short { get; init; }
    public double? LoadAtStart { get; init; }
    public double? LoadAtEnd { get; init; }
    public double Minutes { get; init; }
}
