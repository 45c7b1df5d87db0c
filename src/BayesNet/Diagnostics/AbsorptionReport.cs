using System.Globalization;
using System.Text;
using static TorchSharp.torch;

namespace BayesNet.Diagnostics;

/// <summary>A number as the formula gives it and as it was measured.</summary>
/// <param name="Predicted">By the formula.</param>
/// <param name="Measured">On draws.</param>
/// <param name="StandardError">The standard error of <paramref name="Measured"/>.</param>
public readonly record struct MeasuredValue(double Predicted, double Measured, double StandardError);

/// <summary>Absorption in one posterior.</summary>
/// <param name="Name">The posterior's name in the model: the layer, then weight or bias.</param>
/// <param name="Estimator">The layer's estimator; only those that sample weights form the sum that absorbs.</param>
/// <param name="Count">Weights.</param>
/// <param name="AbsorbedShare">The share of draws with fl(mu + sigma eps) = mu, the mean over the weights.</param>
/// <param name="VarianceRatio">E[(fl(mu + sigma eps) - mu)^2] / sigma^2, the mean over the weights; 1 where rounding does not matter.</param>
/// <param name="SubnormalVarianceShare">
/// The share of weights whose sigma^2 is below the least normal number of the type, where it loses digits: in float16 for sigma below
/// 2^-7 = 7.8e-3.
/// </param>
public sealed record AbsorptionEntry(
    string Name, string Estimator, long Count, MeasuredValue AbsorbedShare, MeasuredValue VarianceRatio, double SubnormalVarianceShare);

/// <summary>What <see cref="AbsorptionDiagnostics.Absorption"/> found.</summary>
/// <param name="Dtype">The type of the arithmetic.</param>
/// <param name="Draws">Noise draws a weight.</param>
/// <param name="Posteriors">An entry for each mean-field Gaussian posterior, in the model's order.</param>
/// <param name="Skipped">The names of posteriors of other families.</param>
public sealed record AbsorptionReport(ScalarType Dtype, int Draws, IReadOnlyList<AbsorptionEntry> Posteriors, IReadOnlyList<string> Skipped)
{
    private const double NotableShare = 0.01;

    /// <summary>All weights together.</summary>
    public AbsorptionEntry Total { get; } = Sum(Posteriors);

    /// <summary>A table with a row a posterior and the total, and the remedies where more than 1 % of the noise is lost.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        int width = Math.Max(9, Posteriors.Max(entry => entry.Name.Length));
        text.Append(CultureInfo.InvariantCulture, $"Noise absorbed in {Dtype}, {Draws} draws a weight; predicted | measured (standard error)\n");
        foreach (AbsorptionEntry entry in Posteriors.Append(Total))
        {
            text.Append(
                CultureInfo.InvariantCulture,
                $"{entry.Name.PadRight(width)}  {entry.Count,9} weights  absorbed {Format(entry.AbsorbedShare)}  variance ratio {Format(entry.VarianceRatio)}\n");
        }

        if (Skipped.Count > 0)
            text.Append(CultureInfo.InvariantCulture, $"Not mean-field Gaussian, skipped: {string.Join(", ", Skipped)}.\n");
        if (Total.SubnormalVarianceShare > 0)
        {
            text.Append(
                CultureInfo.InvariantCulture,
                $"sigma^2 is subnormal in {Dtype} for {Total.SubnormalVarianceShare:P1} of the weights; keep variances in float32.\n");
        }

        if (Posteriors.Any(entry => entry.AbsorbedShare.Predicted > NotableShare))
        {
            text.Append(
                "Remedies: keep the layers in float64; or do not form mu + sigma eps, by Estimator.Flipout or Estimator.LocalReparameterization, which "
                + "add the noise to the outputs and help where those are small beside the terms they are summed of; or raise sigma. A fused multiply-add or a "
                + "rescaling of the weights does not help.\n");
        }

        return text.ToString();
    }

    private static string Format(MeasuredValue value)
        => string.Create(CultureInfo.InvariantCulture, $"{value.Predicted:F4} | {value.Measured:F4} ({value.StandardError:F4})");

    private static AbsorptionEntry Sum(IReadOnlyList<AbsorptionEntry> entries)
    {
        double count = entries.Sum(entry => entry.Count);
        return new AbsorptionEntry(
            "total", string.Join(", ", entries.Select(entry => entry.Estimator).Distinct()), (long)count,
            Combine(entry => entry.AbsorbedShare), Combine(entry => entry.VarianceRatio), Weighted(entry => entry.SubnormalVarianceShare));

        double Weighted(Func<AbsorptionEntry, double> value) => entries.Sum(entry => entry.Count / count * value(entry));

        MeasuredValue Combine(Func<AbsorptionEntry, MeasuredValue> value) => new(
            Weighted(entry => value(entry).Predicted),
            Weighted(entry => value(entry).Measured),
            Math.Sqrt(entries.Sum(entry => Math.Pow(entry.Count / count * value(entry).StandardError, 2))));
    }
}
