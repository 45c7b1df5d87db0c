using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Xunit;

namespace BayesNet.Distributed.Tests;

/// <summary>Jobs of real processes under mpirun; skipped by name where that is missing.</summary>
public sealed partial class MpiTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("bayesnet-tests-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void EveryOperationIsRightOnEveryRank(int ranks)
    {
        using Job job = Job.Start(ranks, "collectives");
        (string[] lines, int code, string error) = job.End();
        Assert.True(code == 0, error);
        Assert.Equal([.. Enumerable.Range(0, ranks).Select(rank => $"rank {rank} of {ranks}: ok")], lines.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void AProcessThatNoLauncherStartedIsRankZeroOfOne()
    {
        using Job job = Job.StartAlone("collectives");
        (string[] lines, int code, string error) = job.End();
        Assert.True(code == 0, error);
        Assert.Equal(["rank 0 of 1: ok"], lines);
    }

    /// <summary>100 steps from different initial weights, compiled and through autograd: parameters and history are those of all ranks.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void AllRanksLearnTheSameToTheLastBit(int ranks)
    {
        using Job job = Job.Start(ranks, "steps", "100");
        (string[] lines, int code, string error) = job.End();
        Assert.True(code == 0, error);
        Assert.Equal(2 * ranks, lines.Length);
        Assert.Equal(2, lines.Select(line => line[..line.IndexOf(" of rank ", StringComparison.Ordinal)]).Distinct().Count());
    }

    /// <summary>kill -9 of one rank in mid-epoch: mpirun ends the job and names the rank; one rank, or more, finish the run from the checkpoint.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void AJobWhoseRankIsKilledResumes(int ranksAfter)
    {
        string checkpoint = Path.Combine(_folder, "checkpoint");
        using (Job job = Job.Start(2, "fit", checkpoint))
        {
            while (job.ReadLine() is { } line)
            {
                Match said = Step().Match(line);
                if (!said.Success || said.Groups[2].Value != "1" || int.Parse(said.Groups[1].Value, CultureInfo.InvariantCulture) < 30)
                    continue;
                Process.GetProcessById(int.Parse(said.Groups[3].Value, CultureInfo.InvariantCulture)).Kill();
                break;
            }

            (_, int code, string error) = job.End();
            Assert.NotEqual(0, code);
            Assert.Contains("process rank 1", error, StringComparison.Ordinal);
            Assert.Contains("signal 9", error, StringComparison.Ordinal);
        }

        Assert.True(File.Exists(checkpoint));
        using Job after = ranksAfter == 1 ? Job.StartAlone("fit", checkpoint) : Job.Start(ranksAfter, "fit", checkpoint);
        (string[] lines, int end, string message) = after.End();
        Assert.True(end == 0, message);

        // Not from the start: a checkpoint of the 28th step or later was there. To the end: 50 epochs of 4 steps.
        Assert.True(lines.Where(line => Step().IsMatch(line)).Min(line => int.Parse(Step().Match(line).Groups[1].Value, CultureInfo.InvariantCulture)) > 28);
        Assert.Contains(lines, line => line.StartsWith("finished 50 epochs", StringComparison.Ordinal));
    }

    /// <summary>A rank that hangs, or has ended while the others wait for it, ends the job with a message that names it.</summary>
    [Theory]
    [InlineData(2, "hang")]
    [InlineData(3, "hang")]
    [InlineData(3, "stray")]
    public void AMissingRankIsNamed(int ranks, string how)
    {
        using Job job = Job.Start(ranks, how);
        (_, int code, string error) = job.End();
        Assert.NotEqual(0, code);
        Assert.Matches($"BayesNet: rank {ranks - 1} \\(process \\d+ on .+\\).* did not come to barrier \\d+ within 2 s", error);
    }

    [GeneratedRegex(@"^step (\d+) rank (\d+) process (\d+)")]
    private static partial Regex Step();
}
