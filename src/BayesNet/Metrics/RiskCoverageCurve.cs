using static TorchSharp.torch;

namespace BayesNet.Metrics;

/// <summary>
/// What a predictor that may abstain would lose: the mean loss of the share of examples it is surest of, for every share (El-Yaniv and Wiener
/// 2010; Geifman, Uziel and El-Yaniv 2019).
/// </summary>
/// <remarks>Examples of equal uncertainty come in random order, of which this is the expectation.</remarks>
public sealed class RiskCoverageCurve
{
    private RiskCoverageCurve(double[] coverages, double[] risks, double optimum)
    {
        Coverages = coverages;
        Risks = risks;
        Area = risks.Average();
        ExcessArea = Area - optimum;
    }

    /// <summary>k/n for k = 1, ..., n.</summary>
    public IReadOnlyList<double> Coverages { get; }

    /// <summary>The mean loss of the k examples of least uncertainty, in units of the loss.</summary>
    public IReadOnlyList<double> Risks { get; }

    /// <summary>AURC, the mean of the risks over all coverages; smaller is better.</summary>
    public double Area { get; }

    /// <summary>E-AURC: the area less that of the best order of these losses, 0 where uncertainty sorts them perfectly.</summary>
    public double ExcessArea { get; }

    /// <summary>The curve of an uncertainty and a loss.</summary>
    /// <param name="uncertainty">Any shape, an entry for each example.</param>
    /// <param name="loss">Shape of <paramref name="uncertainty"/>: 1 where an example is classified wrong, its squared error, or any other.</param>
    /// <exception cref="ArgumentException">The shapes differ, there are no entries, or some are NaN (a loss: not finite).</exception>
    public static RiskCoverageCurve Of(Tensor uncertainty, Tensor loss)
    {
        MetricInputs.Finite(loss);
        MetricInputs.Numbers(uncertainty);
        MetricInputs.SameShape(loss, uncertainty);
        double[] order = MetricInputs.Values(uncertainty), losses = MetricInputs.Values(loss);
        Array.Sort(order, losses);
        double[] coverages = [.. Enumerable.Range(1, order.Length).Select(k => (double)k / order.Length)];
        double[] risks = Risk(order, losses);
        Array.Sort(losses);
        return new RiskCoverageCurve(coverages, risks, Risk(losses, losses).Average());
    }

    private static double[] Risk(double[] order, double[] losses)
    {
        var risks = new double[order.Length];
        double sum = 0;
        for (int begin = 0; begin < order.Length;)
        {
            int end = SortedValues.EndOfTies(order, begin);
            double mean = losses[begin..end].Average();
            for (int k = begin; k < end; k++)
            {
                sum += mean;
                risks[k] = sum / (k + 1);
            }

            begin = end;
        }

        return risks;
    }
}
