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

    // Of the training rows, one in five calibrates the conformal intervals; where a temperature is to be chosen, half of them choose it first.
    private const int HeldShare = 5;

    public required string Set { get; init; }
    public required int Heads { get; init; }
    public required int Split { get; init; }
    public required RunIdentity Identity { get; init; }
    public required string Settings { get; init; }
    public required int TestRows { get; init; }

    /// <summary>The weight of the KL term: the only one, or what validation rows of the training part favoured.</summary>
    public required double Temperature { get; init; }

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

    /// <summary><see cref="Rmse"/> of the network at temperature 1.</summary>
    public required double UntemperedRmse { get; init; }

    /// <summary><see cref="LogLikelihood"/> of the network at temperature 1.</summary>
    public required double UntemperedLogLikelihood { get; init; }

    /// <summary>Training and scoring of one network on the whole training part, on one thread; those that choose and calibrate are left out.</summary>
    public required double Seconds { get; init; }

    /// <summary>Trains on the training part of a division and scores its test part, on this process's one thread.</summary>
    public static UciSplit Run(UciSet set, int heads, int split, UciSettings settings, RunIdentity identity)
    {
        using var scope = NewDisposeScope();
        (UciRows training, UciRows test) = set.Split(split);
        Tensor target = Column(test);
        ulong own = unchecked(identity.Seed * 1_000_003 + (ulong)split);

        int[] order = [.. Enumerable.Range(0, training.Count)];
        new Random(unchecked((int)own)).Shuffle(order);
        IReadOnlyList<double> temperatures = settings.EachTemperature();
        int held = training.Count / HeldShare, choosing = temperatures.Count > 1 ? held / 2 : 0;
        UciRows validation = training.Select(order[..choosing]), calibration = training.Select(order[choosing..held]), rest = training.Select(order[held..]);
        (double temperature, UciModel restModel) = Choose(rest, validation);
        using UciModel chosen = restModel;
        using GaussianPredictive calibrating = chosen.Predict(calibration), unseen = chosen.Predict(test);
        Tensor calibrationTarget = Column(calibration);

        var clock = Stopwatch.StartNew();
        (double rmse, double logLikelihood, double[] coverage) = Score(temperature);
        double seconds = clock.Elapsed.TotalSeconds;
        (double untemperedRmse, double untemperedLogLikelihood, _) = temperature == 1 ? (rmse, logLikelihood, coverage) : Score(1);
        return new UciSplit
        {
            Set = set.Name,
            Heads = heads,
            Split = split,
            Identity = identity,
            Settings = settings.ToString(),
            TestRows = test.Count,
            Temperature = temperature,
            Rmse = rmse,
            LogLikelihood = logLikelihood,
            Coverage = coverage,
            ConformalCoverage = [.. Levels.Select(level => Covered(ConformalIntervals.Normalised(calibrating, calibrationTarget, level).Interval(unseen)))],
            CalibrationRows = calibration.Count,
            UntemperedRmse = untemperedRmse,
            UntemperedLogLikelihood = untemperedLogLikelihood,
            Seconds = seconds,
        };

        UciModel Train(UciRows rows, double temperature) => new(rows, set.Hidden, heads, settings, temperature, own);

        (double Temperature, UciModel Model) Choose(UciRows rows, UciRows validation)
        {
            if (temperatures is [double only])
                return (only, Train(rows, only));
            (double Temperature, UciModel Model, double Loss)? best = null;
            Tensor validationTarget = Column(validation);
            foreach (double temperature in temperatures)
            {
                UciModel model = Train(rows, temperature);
                using GaussianPredictive predictive = model.Predict(validation);
                double loss = RegressionMetrics.NegativeLogLikelihood(predictive, validationTarget);
                bool better = best is null || loss < best.Value.Loss;
                (better ? best?.Model : model)?.Dispose();
                if (better)
                    best = (temperature, model, loss);
            }

            return (best!.Value.Temperature, best.Value.Model);
        }

        (double Rmse, double LogLikelihood, double[] Coverage) Score(double temperature)
        {
            using UciModel model = Train(training, temperature);
            using GaussianPredictive predictive = model.Predict(test);
            return (
                RegressionMetrics.Rmse(predictive.Mean, target),
                -RegressionMetrics.NegativeLogLikelihood(predictive, target),
                [.. Levels.Select(level => Covered(predictive.Interval(level)))]);
        }

        double Covered((Tensor Lower, Tensor Upper) interval) => RegressionMetrics.IntervalCoverage(interval.Lower, interval.Upper, target);

        static Tensor Column(UciRows rows) => tensor(rows.Targets, rows.Count, 1);
    }
}
