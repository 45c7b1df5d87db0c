using System.Globalization;

namespace BayesNet.Diagnostics;

/// <summary>Which moments of the pathwise gradients of a location-scale family exist; see <see cref="TailDiagnostics"/>.</summary>
/// <param name="TailIndex">alpha of the noise.</param>
/// <param name="Growth">beta, the growth of f'.</param>
/// <param name="LocationMeanIsFinite">Whether the location's gradient has a mean: beta &lt; alpha.</param>
/// <param name="LocationVarianceIsFinite">Whether it has a variance: beta &lt; alpha / 2.</param>
/// <param name="ScaleMeanIsFinite">Whether the scale's gradient has a mean: beta + 1 &lt; alpha.</param>
/// <param name="ScaleVarianceIsFinite">Whether it has a variance: beta + 1 &lt; alpha / 2.</param>
public sealed record PathwiseGradientMoments(
    double TailIndex, double Growth, bool LocationMeanIsFinite, bool LocationVarianceIsFinite, bool ScaleMeanIsFinite, bool ScaleVarianceIsFinite)
{
    /// <summary>The finding in one sentence.</summary>
    public override string ToString()
    {
        string tail = double.IsInfinity(TailIndex) ? "light-tailed noise" : string.Create(CultureInfo.InvariantCulture, $"noise of tail index {TailIndex:G4}");
        return string.Create(
            CultureInfo.InvariantCulture,
            $"With {tail} and |f'(z)| of order |z|^{Growth:G4}, the pathwise gradient in the location has {Moments(LocationMeanIsFinite, LocationVarianceIsFinite)}, that in the scale {Moments(ScaleMeanIsFinite, ScaleVarianceIsFinite)}.");
    }

    private static string Moments(bool mean, bool variance)
        => variance ? "finite variance" : mean ? "a mean and infinite variance" : "no mean and no variance";
}
