using static TorchSharp.torch;

namespace BayesNet.Metrics;

/// <summary>
/// How well an uncertainty tells one kind of example from another: exact, with ties counted right, from the ranks of the scores.
/// </summary>
public sealed record DetectionScore
{
    private DetectionScore(double auroc, double averagePrecision, int positives, int negatives)
    {
        Auroc = auroc;
        AveragePrecision = averagePrecision;
        Positives = positives;
        Negatives = negatives;
    }

    /// <summary>
    /// The area under the receiver operating characteristic: the probability that a positive has the greater score than a negative, ties counted
    /// half (Hanley and McNeil 1982). One half for a score that tells nothing.
    /// </summary>
    public double Auroc { get; }

    /// <summary>
    /// AUPR as average precision, the sum over thresholds of (recall_n - recall_(n-1)) precision_n, without interpolation (Davis and Goadrich
    /// 2006 on why); equal scores share a threshold. The share of positives for a score that tells nothing.
    /// </summary>
    public double AveragePrecision { get; }

    /// <summary>Examples that are to have great scores.</summary>
    public int Positives { get; }

    /// <summary>Examples that are to have small scores.</summary>
    public int Negatives { get; }

    /// <summary>Of the uncertainty of examples from outside the training distribution (positives) against that of examples from inside.</summary>
    /// <param name="inside">Uncertainties, any shape; predictive entropy or mutual information say.</param>
    /// <param name="outside">Uncertainties, any shape.</param>
    /// <exception cref="ArgumentException">One of them is empty or holds NaN.</exception>
    public static DetectionScore OutOfDistribution(Tensor inside, Tensor outside)
    {
        MetricInputs.Numbers(inside);
        MetricInputs.Numbers(outside);
        double[] negatives = MetricInputs.Values(inside), positives = MetricInputs.Values(outside);
        return Of([.. negatives, .. positives], [.. negatives.Select(_ => false), .. positives.Select(_ => true)]);
    }

    /// <summary>Of the uncertainty of examples that are classified wrong (positives) against that of those classified right.</summary>
    /// <param name="uncertainty">(batch), or any shape.</param>
    /// <param name="predicted">The predicted class, shape of <paramref name="uncertainty"/>, int64.</param>
    /// <param name="target">The class that came true, shape of <paramref name="uncertainty"/>, int64.</param>
    /// <exception cref="ArgumentException">The shapes differ, or all are classified right, or all wrong.</exception>
    public static DetectionScore Misclassification(Tensor uncertainty, Tensor predicted, Tensor target)
    {
        MetricInputs.Numbers(predicted);
        MetricInputs.Numbers(uncertainty);
        MetricInputs.Numbers(target);
        MetricInputs.SameShape(predicted, uncertainty);
        MetricInputs.SameShape(target, uncertainty);
        using var scope = NewDisposeScope();
        bool[] wrong = [.. MetricInputs.Values(predicted.cpu().ne(target.cpu())).Select(value => value != 0)];
        int errors = wrong.Count(value => value);
        return errors > 0 && errors < wrong.Length
            ? Of(MetricInputs.Values(uncertainty), wrong)
            : throw new ArgumentException(
                $"Of {wrong.Length} examples {errors} are classified wrong; telling them apart needs some of both kinds.", nameof(predicted));
    }

    private static DetectionScore Of(double[] scores, bool[] isPositive)
    {
        Array.Sort(scores, isPositive);
        int total = scores.Length, positives = isPositive.Count(value => value), negatives = total - positives;
        double wins = 0, precisionSum = 0;
        for (int begin = 0, below = 0; begin < total;)
        {
            int end = SortedValues.EndOfTies(scores, begin);
            int here = isPositive.AsSpan(begin, end - begin).Count(true), against = end - begin - here;
            wins += here * (below + 0.5 * against);

            // At a threshold of this score the examples from begin on are called positive.
            int found = positives - (begin - below);
            precisionSum += here * ((double)found / (total - begin));
            below += against;
            begin = end;
        }

        return new DetectionScore(wins / positives / negatives, precisionSum / positives, positives, negatives);
    }
}
