namespace BayesNet.Metrics;

/// <summary>
/// The parts of a Brier score by bins of the predicted probability, summed over the classes: reliability - resolution + uncertainty (Murphy
/// 1973), and what bins leave, the variance of the probabilities within them less twice their covariance with the outcome (Stephenson, Coelho
/// and Jolliffe 2008). The four add up to the score.
/// </summary>
/// <param name="Reliability">The mean squared gap of a bin: 0 for calibrated probabilities.</param>
/// <param name="Resolution">The variance of the observed frequency between bins: what the probabilities tell apart. Greater is better.</param>
/// <param name="Uncertainty">That of the classes themselves, sum of f (1 - f) over their frequencies f: no forecast changes it.</param>
/// <param name="WithinBins">Variance less twice the covariance within bins; 0 where each bin holds one probability.</param>
public sealed record BrierDecomposition(double Reliability, double Resolution, double Uncertainty, double WithinBins)
{
    /// <summary>The Brier score.</summary>
    public double Score => Reliability - Resolution + Uncertainty + WithinBins;

    /// <summary>Of one event; sorts its arguments.</summary>
    internal static BrierDecomposition Of(double[] confidence, double[] outcome, int bins, Binning binning)
    {
        double count = outcome.Length, frequency = outcome.Average();
        double reliability = 0, resolution = 0, within = 0;
        foreach ((_, _, Range range) in ReliabilityDiagram.Cut(confidence, outcome, bins, binning))
        {
            (double[] p, double[] o) = (confidence[range], outcome[range]);
            (double meanP, double meanO) = (p.Average(), o.Average());
            reliability += p.Length * (meanP - meanO) * (meanP - meanO);
            resolution += p.Length * (meanO - frequency) * (meanO - frequency);
            for (int i = 0; i < p.Length; i++)
                within += (p[i] - meanP) * (p[i] - meanP - 2 * (o[i] - meanO));
        }

        return new(reliability / count, resolution / count, frequency * (1 - frequency), within / count);
    }

    internal BrierDecomposition Plus(BrierDecomposition other)
        => new(Reliability + other.Reliability, Resolution + other.Resolution, Uncertainty + other.Uncertainty, WithinBins + other.WithinBins);
}
