using System.Diagnostics;
using System.Globalization;
using Xunit;

namespace BayesNet.Layers.Tests.Persistence;

/// <summary>A process that trains a network, or fine-tunes a converted one, is killed at a random moment and started again.</summary>
public sealed class KillTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("bayesnet-tests-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>240 steps, or 80 of a converted network, with a checkpoint every seventh; the step that it is killed after is in the message.</summary>
    [Theory]
    [InlineData("plain")]
    [InlineData("cnn")]
    [InlineData("lstm")]
    public void WhatIsLearnedIsThatOfARunThatWasNeverKilled(string network)
    {
        string whole = Path.Combine(_folder, "whole"), pieces = Path.Combine(_folder, "pieces"), checkpoint = Path.Combine(_folder, "checkpoint");
        Assert.Equal(0, Run(network, Path.Combine(_folder, "other"), whole, killAt: null));
        int step = Random.Shared.Next(10, network == "plain" ? 200 : 70);
        Assert.NotEqual(0, Run(network, checkpoint, pieces, step));
        Assert.False(File.Exists(pieces));
        Assert.True(File.Exists(checkpoint));
        Assert.Equal(0, Run(network, checkpoint, pieces, killAt: null));
        Assert.True(File.ReadAllBytes(whole).AsSpan().SequenceEqual(File.ReadAllBytes(pieces)), $"Killed after step {step}, it learned something else.");
    }

    /// <summary>Runs it to its end, or until it says a step and then some microseconds: in the middle of a step, or of a checkpoint.</summary>
    private static int Run(string network, string checkpoint, string result, int? killAt)
    {
        var start = new ProcessStartInfo(TrainProbe.Host, [TrainProbe.Path, network, checkpoint, result]) { RedirectStandardOutput = true, UseShellExecute = false };
        start.Environment["OMP_NUM_THREADS"] = "1";
        start.Environment["DOTNET_EnableDiagnostics"] = "0";
        using Process process = Process.Start(start)!;
        using var timeout = new Timer(_ => process.Kill(), null, TimeSpan.FromMinutes(1), Timeout.InfiniteTimeSpan);
        while (process.StandardOutput.ReadLine() is { } line)
        {
            if (killAt is not { } step || int.Parse(line, CultureInfo.InvariantCulture) < step)
                continue;
            Thread.SpinWait(Random.Shared.Next(20_000));
            process.Kill();
            break;
        }

        process.WaitForExit();
        return process.ExitCode;
    }
}
