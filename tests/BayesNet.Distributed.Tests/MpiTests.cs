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

    /// <summary>
    /// Every collective; the gradient of a step against that of one process; and 100 steps from different initial weights, compiled and through
    /// autograd, after which parameters and history are those of all ranks to the last bit.
    /// </summary>
    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void RanksComputeWhatTheyShouldAndLearnTheSame(int ranks)
    {
        using Job job = Job.Start(ranks, "all");
        Examine(job, ranks);
    }

    [Fact]
    public void AProcessThatNoLauncherStartedIsRankZeroOfOne()
    {
        using Job job = Job.StartAlone("all");
        Examine(job, 1);
    }

    /// <summary>kill -9 of one rank in mid-epoch: mpirun ends the job and names the rank; a process by itself finishes the run from the checkpoint.</summary>
    [Fact]
    public void AJobWhoseRankIsKilledResumes()
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
        using Job after = Job.StartAlone("fit", checkpoint);
        (string[] lines, int end, string message) = after.End();
        Assert.True(end == 0, message);

        // Not from the start: a checkpoint of the 28th step or later was there. To the end: 50 epochs of 4 steps.
        Assert.True(lines.Where(line => Step().IsMatch(line)).Min(line => int.Parse(Step().Match(line).Groups[1].Value, CultureInfo.InvariantCulture)) > 28);
        Assert.Contains(lines, line => line.StartsWith("finished 50 epochs", StringComparison.Ordinal));
    }

    /// <summary>A rank that hangs, or has ended while the others wait for it, ends the job with a message that names it.</summary>
    [Theory]
    [InlineData(3, "hang")]
    [InlineData(3, "stray")]
    public void AMissingRankIsNamed(int ranks, string how)
    {
        using Job job = Job.Start(ranks, how);
        (_, int code, string error) = job.End();
        Assert.NotEqual(0, code);
        Assert.Matches($"BayesNet: rank {ranks - 1} \\(process \\d+ on .+\\).* did not come to barrier \\d+ within 1 s", error);
    }

    /// <summary>A rank that is stopped within a reduction that all have come to ends the job as well; which it was, nobody can tell.</summary>
    [Fact]
    public void ARankThatStopsWithinAReductionEndsTheJob()
    {
        using Job job = Job.Start(2, "stop");
        (_, int code, string error) = job.End();
        Assert.NotEqual(0, code);
        Assert.Matches(@"BayesNet: rank \d \(process \d+ on .+\) (has been in all-reduce \d+ for 1 s|.*did not come to barrier \d+ within 1 s)", error);
    }

    private static void Examine(Job job, int ranks)
    {
        string[] lines = job.EndWell(ranks, "ok");
        foreach (string how in new[] { "compiled", "autograd" })
        {
            string[] prints = [.. lines.Where(line => line.StartsWith(how, StringComparison.Ordinal))];
            Assert.Equal(ranks, prints.Length);
            Assert.Single(prints.Select(line => line[..line.IndexOf(" of rank ", StringComparison.Ordinal)]).Distinct());
        }
    }

    [GeneratedRegex(@"^step (\d+) rank (\d+) process (\d+)")]
    private static partial Regex Step();
}
