using System.Diagnostics;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Metrics;
using BayesNet.Prediction;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Uci;

/// <summary>One division of one set, trained and scored.</summary>
internal sealed record UciSplit
{
    /// <summary>The nominal levels of the intervals that are checked.</summary>
    public static IReadOnlyList<double> Levels { get; } = [0.5, 0.8, 0.9, 0.95];

    // One row in five of the training part calibrates the conformal intervals of a network trained on the others.
    private const int CalibrationShare = 5;

    public required string Set { get; init; }
    public required int Heads { get; init; }
    public required int Split { get; init; }
    public required RunIdentity Identity { get; init; }
    public required string Settings { get; init; }
    public required int TestRows { get; init; }

    /// <summary>In units of the target.</summary>
    public required double Rmse { get; init; }

    /// <summary>The mean log predictive density of the test rows, nats, in units of the target.</summary>
    public required double LogLikelihood { get; init; }

    /// <summary>The share of test targets within the central interval of each level.</summary>
    public required double[] Coverage { get; init; }

    /// <summary>The same with split conformal intervals, of a network trained without the rows that calibrate them.</summary>
    public required double[] ConformalCoverage { get; init; }

    /// <summary>The rows that calibrated them.</summary>
    public required int CalibrationRows { get; init; }

    /// <summary>Training and scoring, on one thread, the conformal network left out.</summary>
    public required double Seconds { get; init; }

    /// <summary>Trains on the training part of a division and scores its test part, on this process's one thread.</summary>
    public static UciSplit Run(UciSet set, int heads, int split, UciSettings settings, RunIdentity identity)
    {
        using var scope = NewDisposeScope();
        (UciRows training, UciRows test) = set.Split(split);
        Tensor target = Column(test);
        ulong own = unchecked(identity.Seed * 1_000_003 + (ulong)split);
        var clock = Stopwatch.StartNew();
        using var model = new UciModel(training, set.Hidden, heads, settings, own);
        using GaussianPredictive predictive = model.Predict(test);
        double rmse = RegressionMetrics.Rmse(predictive.Mean, target), negative = RegressionMetrics.NegativeLogLikelihood(predictive, target);
        double[] coverage = [.. Levels.Select(level => Covered(predictive.Interval(level)))];
        double seconds = clock.Elapsed.TotalSeconds;

        int[] order = [.. Enumerable.Range(0, training.Count)];
        new Random(unchecked((int)own)).Shuffle(order);
        UciRows calibration = training.Select(order[..(training.Count / CalibrationShare)]), rest = training.Select(order[calibration.Count..]);
        using var conformalModel = new UciModel(rest, set.Hidden, heads, settings, own);
        using GaussianPredictive held = conformalModel.Predict(calibration), unseen = conformalModel.Predict(test);
        Tensor calibrationTarget = Column(calibration);
        return new UciSplit
        {
            Set = set.Name,
            Heads = heads,
            Split = split,
            Identity = identity,
            Settings = settings.ToString(),
            TestRows = test.Count,
            Rmse = rmse,
            LogLikelihood = -negative,
            Coverage = coverage,
            ConformalCoverage = [.. Levels.Select(level => Covered(ConformalIntervals.Normalised(held, calibrationTarget, level).Interval(unseen)))],
            CalibrationRows = calibration.Count,
            Seconds = seconds,
        };

        double Covered((Tensor Lower, Tensor Upper) interval) => RegressionMetrics.IntervalCoverage(interval.Lower, interval.Upper, target);

        static Tensor Column(UciRows rows) => tensor(rows.Targets, rows.Count, 1);
    }
}
