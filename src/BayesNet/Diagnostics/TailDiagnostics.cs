using BayesNet.Reparameterization;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Diagnostics;

/// <summary>How heavy the tail of a sample is, and what a heavy tail of the noise does to pathwise gradients.</summary>
public static class TailDiagnostics
{
    /// <summary>The fewest values, zeros not counted, that a tail is estimated from.</summary>
    public const int MinimumCount = 100;

    private const int LeastOrderStatistics = 20;
    private const double CriticalTrend = 1.25;
    private const double Normal975 = 1.959963984540054;

    /// <summary>
    /// Estimates the tail index alpha of |x|, P(|x| > t) ~ t^-alpha, or reports that there is no sign of a power tail.
    /// </summary>
    /// <param name="sample">Independent values, any shape, of gradients say. Zeros are left out.</param>
    /// <remarks>
    /// <para>
    /// Three steps. (1) The number k of upper order statistics: under an exact power tail the scaled log spacings
    /// i ln(X_(i) / X_(i+1)), i up to k, are independent exponentials with one mean, so a trend in them says that k reaches into the body
    /// of the law. k is the largest number up to which the smoothed trend statistic of Guillou and Hall (2001, Journal of the Royal
    /// Statistical Society B 63) stays below their 1.25. Minimising a Kolmogorov-Smirnov distance (Clauset, Shalizi and Newman 2009) is
    /// the better known rule; it picks a k that varies widely even where the tail is exact (Drees, Janssen, Resnick and Wang 2020).
    /// </para>
    /// <para>
    /// (2) Whether the tail is heavy: Hill's estimator (1975) is positive for any sample, a normal one too. The moment estimator of the
    /// extreme-value index gamma (Dekkers, Einmahl and de Haan 1989), gamma = 1/alpha for a power tail and at most 0 for a light one, is
    /// consistent for both. The tail is called heavy where the 95 % interval of gamma lies above zero.
    /// </para>
    /// <para>
    /// (3) Its index: Hill's estimator, whose variance gamma^2/k is far below the (1 + gamma^2)/k of the moment estimator, on k/4 order
    /// statistics, since at k itself the bias is as large as the standard error. What the estimate moved between k and k/4 is a measure of
    /// the bias that is left, and the 95 % interval is widened by it, on that side.
    /// </para>
    /// <para>
    /// Limits: a log-normal tail looks like a power over any range that a sample covers. A power with an index above about 5 needs
    /// some ten thousand values to be told from a light tail; its index is then found too small, by a bias that the widening understates, and
    /// the interval holds alpha less often than 95 times in 100. The values must be independent. Subtract the median where the
    /// sample is centred far from zero.
    /// </para>
    /// </remarks>
    /// <exception cref="ArgumentException">There are fewer than <see cref="MinimumCount"/> values other than zero, or some are not finite.</exception>
    public static TailReport Estimate(Tensor sample)
    {
        ArgumentNullException.ThrowIfNull(sample);
        Guard.AllFinite(sample);
        double[] logs = DescendingLogs(sample);
        if (logs.Length < MinimumCount)
        {
            throw new ArgumentException(
                $"sample holds {logs.Length} values other than zero; a tail is estimated from at least {MinimumCount}.", nameof(sample));
        }

        double[] hill = new double[logs.Length / 2 + 1];
        int k = LargestWithoutTrend(logs, hill);
        (double gamma, double gammaError) = MomentEstimate(logs, k);
        int few = Math.Max(LeastOrderStatistics, k / 4);
        double index = 1 / hill[few];
        double half = Normal975 * hill[few] / Math.Sqrt(few);
        double drift = hill[k] - hill[few];
        bool heavy = gamma - Normal975 * gammaError > 0;
        (double least, double largest) = heavy
            ? (hill[few] - half - Math.Max(0, drift), hill[few] + half + Math.Max(0, -drift))
            : (0, gamma + Normal975 * gammaError);
        return new TailReport
        {
            Count = logs.Length,
            OrderStatistics = k,
            ExtremeValueIndex = gamma,
            ExtremeValueIndexStandardError = gammaError,
            HillOrderStatistics = few,
            HillIndex = index,
            HillStandardError = index / Math.Sqrt(few),
            IsHeavy = heavy,
            Lower = Index(largest),
            Upper = Index(least),
        };

        static double Index(double gamma) => gamma > 0 ? 1 / gamma : double.PositiveInfinity;
    }

    /// <summary>Which moments of the pathwise gradients exist, by the law of the noise.</summary>
    /// <inheritdoc cref="PathwiseGradientVariance(double, double)"/>
    public static PathwiseGradientMoments PathwiseGradientVariance(BaseNoise noise, double growth)
    {
        ArgumentNullException.ThrowIfNull(noise);
        return PathwiseGradientVariance(noise.TailIndex, growth);
    }

    /// <summary>
    /// Which moments of the pathwise gradients f'(z) in the location and f'(z) eps in the scale of z = location + scale * eps exist.
    /// </summary>
    /// <param name="tailIndex">alpha with P(|eps| > t) ~ t^-alpha; infinite for light tails, where every moment is finite.</param>
    /// <param name="growth">beta with |f'(z)| ~ |z|^beta for large |z|; 1 for a squared loss.</param>
    /// <remarks>
    /// |eps|^alpha has no mean, so E|eps|^p is finite if and only if p &lt; alpha: the location's gradient, of order |eps|^beta, has a mean
    /// where beta &lt; alpha and a variance where 2 beta &lt; alpha; the scale's, of order |eps|^(beta + 1), has beta + 1 in place of beta.
    /// </remarks>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="tailIndex"/> is not above zero, or <paramref name="growth"/> is not finite.</exception>
    public static PathwiseGradientMoments PathwiseGradientVariance(double tailIndex, double growth)
    {
        if (!(tailIndex > 0))
            throw new ArgumentOutOfRangeException(nameof(tailIndex), tailIndex, "tailIndex must be above zero; it is infinite for light tails.");
        Guard.Finite(growth);
        return new PathwiseGradientMoments(
            tailIndex, growth, growth < tailIndex, 2 * growth < tailIndex, growth + 1 < tailIndex, 2 * (growth + 1) < tailIndex);
    }

    private static double[] DescendingLogs(Tensor sample)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        double[] logs = [.. sample.detach().flatten().to(ScalarType.Float64).abs().cpu().log().data<double>().Where(double.IsFinite)];
        Array.Sort(logs);
        Array.Reverse(logs);
        return logs;
    }

    /// <summary>Guillou and Hall's choice, searched up to half of the sample; fills <paramref name="hill"/>, the estimate of 1/alpha at every k.</summary>
    private static int LargestWithoutTrend(double[] logs, double[] hill)
    {
        int last = hill.Length - 1;
        var squares = new double[last + 1];
        double sum = 0, weighted = 0;
        for (int k = 1; k <= last; k++)
        {
            double spacing = k * (logs[k - 1] - logs[k]);
            sum += spacing;
            weighted += k * spacing;
            hill[k] = sum / k;
            double trend = sum > 0 ? Math.Sqrt(3 / Math.Pow(k, 3)) * ((k + 1) * sum - 2 * weighted) / hill[k] : 0;
            squares[k] = squares[k - 1] + trend * trend;
        }

        int chosen = LeastOrderStatistics;
        for (int k = LeastOrderStatistics; k + k / 2 <= last; k++)
        {
            int half = k / 2;
            double smoothed = (squares[k + half] - squares[k - half - 1]) / (2 * half + 1);
            if (smoothed < CriticalTrend * CriticalTrend)
                chosen = k;
        }

        return chosen;
    }

    private static (double Gamma, double StandardError) MomentEstimate(double[] logs, int k)
    {
        double first = 0, second = 0;
        for (int i = 0; i < k; i++)
        {
            double excess = logs[i] - logs[k];
            first += excess / k;
            second += excess * excess / k;
        }

        // The k largest values are one and the same: the law ends there.
        if (second == 0)
            return (double.NegativeInfinity, 0);
        double ratio = first * first / second;
        double gamma = first + 1 - 0.5 / (1 - ratio);
        double variance = gamma >= 0
            ? 1 + gamma * gamma
            : (1 - gamma) * (1 - gamma) * (1 - 2 * gamma)
                * (4 - 8 * (1 - 2 * gamma) / (1 - 3 * gamma) + (5 - 11 * gamma) * (1 - 2 * gamma) / ((1 - 3 * gamma) * (1 - 4 * gamma)));
        return (gamma, Math.Sqrt(variance / k));
    }
}
