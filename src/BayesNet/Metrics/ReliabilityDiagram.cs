using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Metrics;

/// <summary>How probabilities are put into bins.</summary>
public enum Binning
{
    /// <summary>(0, 1/m], (1/m, 2/m], ..., and 0 in the first.</summary>
    EqualWidth,

    /// <summary>
    /// As many examples in each as ties admit: equal probabilities are never parted, so that the order of the examples does not matter.
    /// </summary>
    EqualMass,
}

/// <summary>A bin that holds examples.</summary>
/// <param name="Lower">Where the bin begins; with equal mass, its least probability.</param>
/// <param name="Upper">Where it ends; with equal mass, its greatest probability.</param>
/// <param name="Count">Examples in it.</param>
/// <param name="Confidence">Their mean predicted probability.</param>
/// <param name="Frequency">The share of them for which the event came true.</param>
public sealed record ReliabilityBin(double Lower, double Upper, int Count, double Confidence, double Frequency)
{
    /// <summary>|Confidence - Frequency|.</summary>
    public double Gap => Math.Abs(Confidence - Frequency);
}

/// <summary>
/// Predicted probability against observed frequency, in bins (Guo, Pleiss, Sun and Weinberger 2017, "On calibration of modern neural
/// networks").
/// </summary>
/// <remarks>
/// Errors from bins depend on their number, and are biased upwards where bins hold few examples (Kumar, Liang and Ma 2019): compare methods on
/// the same examples and bins.
/// </remarks>
public sealed class ReliabilityDiagram
{
    private ReliabilityDiagram(IReadOnlyList<ReliabilityBin> bins)
    {
        Bins = bins;
        Count = bins.Sum(bin => bin.Count);
    }

    /// <summary>The bins that hold examples, in ascending order.</summary>
    public IReadOnlyList<ReliabilityBin> Bins { get; }

    /// <summary>The number of examples.</summary>
    public int Count { get; }

    /// <summary>ECE: the mean over examples of the gap of their bin (Guo et al. 2017, equation 3).</summary>
    public double ExpectedCalibrationError => Bins.Sum(bin => bin.Count * bin.Gap) / Count;

    /// <summary>MCE: the greatest gap of a bin (Guo et al. 2017, equation 5).</summary>
    public double MaximumCalibrationError => Bins.Max(bin => bin.Gap);

    /// <summary>Of the greatest probability of each example, against whether that class is right.</summary>
    /// <param name="probabilities">(batch, classes).</param>
    /// <param name="target">Class indices, (batch), int64.</param>
    /// <param name="bins">The most bins there may be.</param>
    /// <param name="binning">How they are laid.</param>
    /// <exception cref="ArgumentException">The rows are not probabilities, or the target does not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="bins"/> is below 1.</exception>
    public static ReliabilityDiagram OfTopClass(
        Tensor probabilities, Tensor target, int bins = 15, Binning binning = Binning.EqualWidth)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor classes = MetricInputs.Classes(probabilities, target);
        (Tensor top, Tensor predicted) = probabilities.max(1);
        return Of(MetricInputs.Values(top), MetricInputs.Values(predicted.cpu().eq(classes)), bins, binning);
    }

    /// <summary>Of the probability of one class, against whether it is that class.</summary>
    /// <param name="probabilities">(batch, classes).</param>
    /// <param name="target">Class indices, (batch), int64.</param>
    /// <param name="classIndex">Which.</param>
    /// <param name="bins">The most bins there may be.</param>
    /// <param name="binning">How they are laid.</param>
    /// <exception cref="ArgumentException">The rows are not probabilities, or the target does not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="bins"/> is below 1, or there is no such class.</exception>
    public static ReliabilityDiagram OfClass(
        Tensor probabilities, Tensor target, int classIndex, int bins = 15, Binning binning = Binning.EqualWidth)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor classes = MetricInputs.Classes(probabilities, target);
        if (classIndex < 0 || classIndex >= probabilities.size(1))
        {
            throw new ArgumentOutOfRangeException(
                nameof(classIndex), classIndex, $"The classes are 0 to {probabilities.size(1) - 1}.");
        }

        (double[] confidence, double[] outcome) = Column(probabilities, classes, classIndex);
        return Of(confidence, outcome, bins, binning);
    }

    /// <summary>The probability of a class and whether each example is of it.</summary>
    internal static (double[] Confidence, double[] Outcome) Column(Tensor probabilities, Tensor classes, int classIndex)
    {
        using var scope = NewDisposeScope();
        return (MetricInputs.Values(probabilities.select(1, classIndex)), MetricInputs.Values(classes.eq(tensor((long)classIndex))));
    }

    /// <summary>Sorts its arguments.</summary>
    internal static ReliabilityDiagram Of(double[] confidence, double[] outcome, int bins, Binning binning)
    {
        List<ReliabilityBin> filled = [];
        foreach ((double lower, double upper, Range range) in Cut(confidence, outcome, bins, binning))
            filled.Add(new(lower, upper, confidence[range].Length, confidence[range].Average(), outcome[range].Average()));
        return new ReliabilityDiagram(filled);
    }

    /// <summary>Sorts the examples by confidence and cuts them into bins, none of which is empty.</summary>
    internal static IEnumerable<(double Lower, double Upper, Range Examples)> Cut(double[] confidence, double[] outcome, int bins, Binning binning)
    {
        Guard.AtLeastOne(bins);
        Array.Sort(confidence, outcome);
        int count = confidence.Length;
        for (int bin = 0, begin = 0; bin < bins && begin < count; bin++)
        {
            double edge = (bin + 1.0) / bins;
            int end = bin == bins - 1 ? count
                : binning == Binning.EqualWidth ? SortedValues.CountUpTo(confidence, edge)
                : (int)Math.Max(begin, (bin + 1L) * count / bins);
            if (end == begin)
                continue;
            if (binning == Binning.EqualMass)
                end = SortedValues.EndOfTies(confidence, end - 1);
            yield return binning == Binning.EqualWidth
                ? ((double)bin / bins, edge, begin..end)
                : (confidence[begin], confidence[end - 1], begin..end);
            begin = end;
        }
    }
}
