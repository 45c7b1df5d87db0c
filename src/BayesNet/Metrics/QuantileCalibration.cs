using BayesNet.Prediction;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Metrics;

/// <summary>
/// How often targets lie below the quantiles they were given: at each level p, the share of targets whose distribution function is at most p,
/// which is p where the predictive is calibrated (Kuleshov, Fenner and Ermon 2018, "Accurate uncertainties for deep learning").
/// </summary>
public sealed class QuantileCalibration
{
    private static readonly double[] DefaultLevels = [.. Enumerable.Range(1, 19).Select(i => i / 20.0)];

    private QuantileCalibration(double[] levels, double[] frequencies, int count)
    {
        Count = count;
        Levels = levels;
        Frequencies = frequencies;
        double[] gaps = [.. levels.Zip(frequencies, (level, frequency) => level - frequency)];
        SquaredError = gaps.Average(gap => gap * gap);
        AbsoluteError = gaps.Average(Math.Abs);
    }

    /// <summary>The number of targets.</summary>
    public int Count { get; }

    /// <summary>The levels p_j.</summary>
    public IReadOnlyList<double> Levels { get; }

    /// <summary>The observed frequency at each level.</summary>
    public IReadOnlyList<double> Frequencies { get; }

    /// <summary>The calibration error, the mean over levels of (p_j - frequency_j)^2: that of Kuleshov et al. with equal weights.</summary>
    public double SquaredError { get; }

    /// <summary>The mean over levels of |p_j - frequency_j|, in units of probability.</summary>
    public double AbsoluteError { get; }

    /// <summary>Of a Gaussian mixture's own quantiles.</summary>
    /// <param name="predictive">With its samples.</param>
    /// <param name="target">Shape of the predictive's mean; all outputs are pooled.</param>
    /// <param name="levels">Strictly between 0 and 1; null for 0.05, 0.10, ..., 0.95.</param>
    /// <exception cref="InvalidOperationException">The samples were not kept.</exception>
    /// <exception cref="ArgumentException">The shapes differ, some entries are not finite, or there are no levels.</exception>
    public static QuantileCalibration Of(ContinuousPredictive predictive, Tensor target, IReadOnlyList<double>? levels = null)
    {
        using Tensor transform = RegressionMetrics.ProbabilityIntegralTransform(predictive, target);
        return Of(transform, levels);
    }

    /// <summary>Of probability integral transforms.</summary>
    /// <param name="transform">F(y) of each target, any shape.</param>
    /// <param name="levels">Strictly between 0 and 1; null for 0.05, 0.10, ..., 0.95.</param>
    /// <exception cref="ArgumentException">There are no entries or no levels, or some entries are outside [0, 1].</exception>
    public static QuantileCalibration Of(Tensor transform, IReadOnlyList<double>? levels = null)
    {
        MetricInputs.Finite(transform);
        double[] values = MetricInputs.Values(transform);
        Array.Sort(values);
        if (values[0] < 0 || values[^1] > 1)
            throw new ArgumentException("transform has entries outside [0, 1]; it must hold values of a distribution function.", nameof(transform));
        double[] checkedLevels = [.. levels ?? DefaultLevels];
        if (checkedLevels.Length == 0)
            throw new ArgumentException("levels is empty; leave it out for 0.05, 0.10, ..., 0.95.", nameof(levels));
        foreach (double level in checkedLevels)
            Guard.OpenUnitInterval(level, nameof(levels));
        return new QuantileCalibration(checkedLevels, [.. checkedLevels.Select(level => (double)SortedValues.CountUpTo(values, level) / values.Length)], values.Length);
    }
}
