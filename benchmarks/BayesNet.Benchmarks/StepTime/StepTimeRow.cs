using System.Globalization;
using System.Text.Json.Serialization;
using BayesNet.Benchmarks.Reporting;

namespace BayesNet.Benchmarks.StepTime;

/// <summary>One measured row, as step-time.json has it; what it was measured with is in it, so that runs can go on and be joined.</summary>
internal sealed record StepTimeRow
{
    public required string Shape { get; init; }
    public required long Batch { get; init; }
    public required int Threads { get; init; }
    public required string Device { get; init; }
    public required string Dtype { get; init; }
    public required string Estimator { get; init; }
    public required string Phase { get; init; }
    public required string Optimizer { get; init; }
    public required double MedianMs { get; init; }

    /// <summary>To the deterministic network in the same phase with the same optimizer.</summary>
    public required double Ratio { get; init; }

    /// <summary>Megabytes (2^20 bytes) of network, optimizer, data and step at their peak; null where it was not measured.</summary>
    public double? PeakMb { get; init; }

    /// <summary>The same of the whole process, runtime and libtorch included.</summary>
    public double? ProcessPeakMb { get; init; }

    /// <summary>The first and third quartiles of the steps' times.</summary>
    public required double LowerQuartileMs { get; init; }
    public required double UpperQuartileMs { get; init; }
    public required int TimedSteps { get; init; }
    public required StepTimeSettings Settings { get; init; }

    /// <summary>The day it was measured; null where an older run did not say.</summary>
    public string? Date { get; init; }

    public bool IsOf(StepTimePoint point)
        => (Shape, Batch, Threads, Device, Dtype, Settings with { Commit = "" })
            == (point.Shape.Name, point.Shape.Batch, point.Threads, point.Place.DeviceName, point.Place.DtypeName, point.Settings with { Commit = "" });
}

/// <summary>What rows must agree in to stand in one table.</summary>
internal sealed record StepTimeSettings
{
    public required string Commit { get; init; }
    public required string Cpu { get; init; }
    public required ulong Seed { get; init; }
    public required bool Short { get; init; }

    /// <summary>What was measured beside the deterministic rows, joined by commas; all of it takes turns.</summary>
    public required string Estimators { get; init; }
    public required bool KeepMemory { get; init; }

    /// <summary>The optimizers, joined by commas.</summary>
    public string Optimizers { get; init; } = string.Join(',', Names.Optimizers);

    [JsonIgnore]
    public RunIdentity Identity => new(Commit, Cpu, Seed, Short);
}

/// <summary>A shape at one place, on a number of threads: what takes turns in one process.</summary>
internal sealed record StepTimePoint(StepTimeShape Shape, Place Place, int Threads, StepTimeSettings Settings)
{
    public override string ToString()
        => string.Create(CultureInfo.InvariantCulture, $"{Shape.Name}, batch {Shape.Batch}, {Threads} thread{(Threads == 1 ? "" : "s")}, {Place.DeviceName}, {Place.DtypeName}");
}

/// <summary>A row that was not measured, and why.</summary>
internal sealed record StepTimeGap(string Shape, long Batch, int Threads, string Estimator, string Optimizer, string Reason);
