using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Metrics;

/// <summary>What makes a class strange to a prediction.</summary>
public enum ConformalSetScore
{
    /// <summary>
    /// 1 - p_class, least ambiguous sets (Sadinle, Lei and Wasserman 2019): the smallest sets on average, which may be empty where no class is
    /// probable enough, and too small where the problem is hard.
    /// </summary>
    LeastAmbiguous,

    /// <summary>
    /// The probability of all classes down to this one, adaptive sets (Romano, Sesia and Candes 2020), without their randomisation: larger sets,
    /// whose coverage is more even between easy and hard examples. The least probable class has a score of 1 by itself, so ties at 1 can make
    /// the coverage greater than level + 1/(n + 1).
    /// </summary>
    Adaptive,
}

/// <summary>
/// Split conformal sets of classes: those no stranger than held-out classes were. With the guarantee of <see cref="ConformalIntervals"/>: a set
/// holds a new example's class with probability at least the level, if held-out and new examples are exchangeable and the model saw neither.
/// </summary>
/// <remarks>Below n = level / (1 - level) held-out examples sets hold every class: <see cref="IsInfinite"/>.</remarks>
public sealed class ConformalSets
{
    private ConformalSets(ConformalSetScore score, double level, long count, double quantile)
    {
        Score = score;
        Level = level;
        Count = count;
        Quantile = quantile;
    }

    /// <summary>What was scored.</summary>
    public ConformalSetScore Score { get; }

    /// <summary>1 - alpha.</summary>
    public double Level { get; }

    /// <summary>n, the number of held-out examples.</summary>
    public long Count { get; }

    /// <summary>The quantile of the held-out scores; a class belongs to a set where its score is at most this.</summary>
    public double Quantile { get; }

    /// <summary>Whether there were too few held-out examples, so that every set holds every class.</summary>
    public bool IsInfinite => double.IsPositiveInfinity(Quantile);

    /// <summary>Fits the quantile to held-out examples.</summary>
    /// <param name="probabilities">(n, classes).</param>
    /// <param name="target">Class indices, (n), int64.</param>
    /// <param name="level">1 - alpha, strictly between 0 and 1.</param>
    /// <param name="score">Least ambiguous or adaptive.</param>
    /// <exception cref="ArgumentException">The rows are not probabilities, or the target does not fit.</exception>
    public static ConformalSets Fit(
        Tensor probabilities, Tensor target, double level = 0.95, ConformalSetScore score = ConformalSetScore.LeastAmbiguous)
    {
        Guard.OpenUnitInterval(level);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor classes = MetricInputs.Classes(probabilities, target);
        Tensor own = ClassificationMetrics.OfTarget(Scores(probabilities, score), classes);
        return new ConformalSets(score, level, own.size(0), ConformalScores.Quantiles(own.unsqueeze(1), level)[0]);
    }

    /// <summary>The sets of new examples.</summary>
    /// <param name="probabilities">(batch, classes).</param>
    /// <returns>Whether a class belongs to the set, (batch, classes), bool; the caller's to dispose.</returns>
    /// <exception cref="ArgumentException">The rows are not probabilities.</exception>
    public Tensor Sets(Tensor probabilities)
    {
        MetricInputs.Probabilities(probabilities);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using Scalar quantile = Quantile;
        return Scores(probabilities, Score).le(quantile).MoveToOuterDisposeScope();
    }

    private static Tensor Scores(Tensor probabilities, ConformalSetScore score)
    {
        Tensor p = MetricInputs.Double(probabilities);
        if (score == ConformalSetScore.LeastAmbiguous)
            return p.neg().Plus(1.0);
        (Tensor descending, Tensor order) = p.sort(1, descending: true);
        return empty_like(p).scatter_(1, order, descending.cumsum(1));
    }
}
