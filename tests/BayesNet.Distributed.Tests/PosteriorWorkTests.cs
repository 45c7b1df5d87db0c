using Xunit;

namespace BayesNet.Distributed.Tests;

/// <summary>Chains, fits, predictions, ensembles and searches over real processes; skipped by name where mpirun is missing.</summary>
public sealed class PosteriorWorkTests
{
    private const string Done = "posterior work ok";

    /// <summary>Each rank compares what it gets with one process; with three, one has no member of some ensembles, and no chain.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void RanksGetWhatOneProcessGets(int ranks)
    {
        using Job job = Job.Start(ranks, "posterior");
        job.EndWell(ranks, Done);
    }

    [Fact]
    public void OneProcessIsRankZeroOfOne()
    {
        using Job job = Job.StartAlone("posterior");
        job.EndWell(1, Done);
    }
}
