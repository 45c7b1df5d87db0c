using BayesNet.Benchmarks.Reporting;

namespace BayesNet.Benchmarks.Sparsity;

/// <summary>A network with part of its weights pruned.</summary>
/// <param name="Rule">Which weights are pruned.</param>
/// <param name="Pruned">The share of them, in percent; biases do not count.</param>
/// <param name="Compression">All weights over those that are left.</param>
/// <param name="Error">Test error of the mean network, in percent.</param>
internal sealed record SparsityPoint(string Rule, double Pruned, double Compression, double Error);

/// <summary>How far a network was on the way.</summary>
/// <param name="Epoch">Epochs done.</param>
/// <param name="Compression">What pruning at ln alpha > 3 would give.</param>
/// <param name="Error">Test error before pruning, in percent.</param>
internal sealed record SparsityEpoch(int Epoch, double Compression, double Error);

/// <summary>What one way of training gave.</summary>
internal sealed record SparsityResult
{
    public required string Method { get; init; }
    public required RunIdentity Identity { get; init; }
    public required int Epochs { get; init; }

    /// <summary>Test error of the mean network before pruning, in percent.</summary>
    public required double Error { get; init; }

    /// <summary>By how much is pruned, ascending; empty of a deterministic network.</summary>
    public required SparsityPoint[] Points { get; init; }

    /// <summary>Empty where it was not looked at.</summary>
    public required SparsityEpoch[] History { get; init; }
}
