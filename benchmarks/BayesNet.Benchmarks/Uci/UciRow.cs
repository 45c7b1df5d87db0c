namespace BayesNet.Benchmarks.Uci;

/// <summary>One set with one number of heads: means over the divisions, and the standard error of the mean.</summary>
internal sealed record UciRow
{
    public required string Set { get; init; }
    public required int Heads { get; init; }

    /// <summary>The number of divisions.</summary>
    public required int Splits { get; init; }
    public required double Rmse { get; init; }
    public required double RmseSe { get; init; }
    public required double LogLikelihood { get; init; }
    public required double LogLikelihoodSe { get; init; }
    public required double Coverage95 { get; init; }

    /// <summary>The mean temperature that the divisions chose.</summary>
    public required double Temperature { get; init; }

    /// <summary>The figures of the networks at temperature 1, the evidence lower bound.</summary>
    public required double UntemperedRmse { get; init; }
    public required double UntemperedLogLikelihood { get; init; }
    public required double UntemperedLogLikelihoodSe { get; init; }

    /// <summary>Training and scoring of a network a division on one thread; those that choose a temperature and calibrate intervals are left out.</summary>
    public required double Seconds { get; init; }

    /// <summary>At <see cref="UciSplit.Levels"/>.</summary>
    public required Estimate[] Coverage { get; init; }

    /// <summary>The same of conformal intervals.</summary>
    public required Estimate[] ConformalCoverage { get; init; }

    public static IReadOnlyList<UciRow> Of(IEnumerable<UciSplit> splits) =>
    [
        .. from split in splits
           group split by (split.Set, split.Heads) into own
           orderby own.Key.Set, own.Key.Heads
           let rmse = Estimate.Of(own.Select(split => split.Rmse))
           let logLikelihood = Estimate.Of(own.Select(split => split.LogLikelihood))
           let untempered = Estimate.Of(own.Select(split => split.UntemperedLogLikelihood))
           let coverage = Levels(own, split => split.Coverage)
           select new UciRow
           {
               Set = own.Key.Set,
               Heads = own.Key.Heads,
               Splits = own.Count(),
               Rmse = rmse.Mean,
               RmseSe = rmse.StandardError,
               LogLikelihood = logLikelihood.Mean,
               LogLikelihoodSe = logLikelihood.StandardError,
               Temperature = own.Average(split => split.Temperature),
               UntemperedRmse = own.Average(split => split.UntemperedRmse),
               UntemperedLogLikelihood = untempered.Mean,
               UntemperedLogLikelihoodSe = untempered.StandardError,
               Coverage95 = coverage[^1].Mean,
               Seconds = own.Sum(split => split.Seconds),
               Coverage = coverage,
               ConformalCoverage = Levels(own, split => split.ConformalCoverage),
           },
    ];

    private static Estimate[] Levels(IEnumerable<UciSplit> splits, Func<UciSplit, double[]> coverage)
        => [.. UciSplit.Levels.Select((_, level) => Estimate.Of(splits.Select(split => coverage(split)[level])))];
}

/// <summary>A mean over divisions; the standard error is 0 of a single one.</summary>
internal readonly record struct Estimate(double Mean, double StandardError)
{
    public static Estimate Of(IEnumerable<double> values)
    {
        double[] all = [.. values];
        double mean = all.Average();
        return new Estimate(mean, all.Length < 2 ? 0 : Math.Sqrt(all.Sum(value => (value - mean) * (value - mean)) / (all.Length - 1) / all.Length));
    }
}
