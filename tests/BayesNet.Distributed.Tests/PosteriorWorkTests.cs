using Xunit;

namespace BayesNet.Distributed.Tests;

/// <summary>Chains, fits, predictions, ensembles and searches over real processes; skipped by name where mpirun is missing.</summary>
public sealed class PosteriorWorkTests
{
    /// <summary>Each rank compares what it gets with one process; with three, one has no member of some ensembles, and no chain.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void RanksGetWhatOneProcessGets(int ranks)
    {
        using Job job = Job.Start(ranks, "posterior");
        Examine(job, ranks);
    }

    [Fact]
    public void OneProcessIsRankZeroOfOne()
    {
        using Job job = Job.StartAlone("posterior");
        Examine(job, 1);
    }

    private static void Examine(Job job, int ranks)
    {
        (string[] lines, int code, string error) = job.End();
        Assert.True(code == 0, error);
        Assert.Equal([.. Enumerable.Range(0, ranks).Select(rank => $"rank {rank} of {ranks}: posterior work ok")], lines.Where(line => line.StartsWith("rank", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
    }
}
