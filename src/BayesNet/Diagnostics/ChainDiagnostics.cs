using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Diagnostics;

/// <summary>
/// Whether Markov chains have mixed, and how many independent draws theirs are worth (Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021,
/// "Rank-normalization, folding, and localization: an improved R-hat").
/// </summary>
/// <remarks>
/// Draws are (chains, draws of a chain), or (chains, draws, ...) for several quantities at once: the result then has one entry for each, of the shape behind
/// the second dimension. At least one chain and four draws. Each chain is split into halves, so that a trend within a chain shows; an odd number of
/// draws leaves out the middle one.
/// </remarks>
public static class ChainDiagnostics
{
    /// <summary>
    /// R-hat: the greater of the rank-normalised split R-hat and that of the folded draws |x - median| (equations 13 to 16), 1 for chains of one
    /// distribution. Above 1.01 the draws are not to be relied on.
    /// </summary>
    /// <param name="draws">(chains, draws, ...).</param>
    /// <returns>float64, of the shape behind the draws; NaN where a quantity never changes.</returns>
    /// <exception cref="ArgumentException">There are fewer than four draws a chain, or some are not finite.</exception>
    public static Tensor RHat(Tensor draws) => ForEach(draws, static chains =>
    {
        double median = Median(chains);
        double[][] folded = [.. chains.Select(chain => chain.Select(x => Math.Abs(x - median)).ToArray())];
        return Math.Max(Ratio(RankNormalised(chains)), Ratio(RankNormalised(folded)));
    });

    /// <summary>
    /// The bulk effective sample size: the number of independent draws whose mean is as exact as that of the rank-normalised ones (section 3.2; Geyer's
    /// initial monotone sequence over the chains together). Below 100 a chain R-hat itself is not to be relied on.
    /// </summary>
    /// <inheritdoc cref="RHat"/>
    public static Tensor BulkEffectiveSampleSize(Tensor draws) => ForEach(draws, static chains => Effective(RankNormalised(chains)));

    /// <summary>
    /// The effective sample size of the mean of the draws as they are, without ranks: mean's standard error = standard deviation / its root.
    /// </summary>
    /// <inheritdoc cref="RHat"/>
    public static Tensor EffectiveSampleSize(Tensor draws) => ForEach(draws, Effective);

    private static Tensor ForEach(Tensor draws, Func<double[][], double> statistic)
    {
        ArgumentNullException.ThrowIfNull(draws);
        if (draws.dim() < 2 || draws.size(0) < 1 || draws.size(1) < 4)
        {
            throw new ArgumentException(
                $"draws have shape {Guard.Format(draws.shape)}; they must be (chains, draws, ...) with at least one chain of four draws. Use unsqueeze(0) for one chain.",
                nameof(draws));
        }

        Guard.AllFinite(draws);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        (int chains, int length) = ((int)draws.size(0), (int)draws.size(1));
        long[] rest = draws.shape[2..];
        Tensor flat = draws.detach().reshape(chains, length, -1).permute(2, 0, 1).to(ScalarType.Float64).cpu().contiguous();
        double[] values = flat.data<double>().ToArray();
        var results = new double[flat.size(0)];
        for (int q = 0; q < results.Length; q++)
        {
            int half = length / 2;
            var split = new double[2 * chains][];
            for (int chain = 0; chain < chains; chain++)
            {
                ReadOnlySpan<double> one = values.AsSpan((q * chains + chain) * length, length);
                (split[2 * chain], split[2 * chain + 1]) = (one[..half].ToArray(), one[^half..].ToArray());
            }

            results[q] = statistic(split);
        }

        return tensor(results).reshape(rest).MoveToOuterDisposeScope();
    }

    /// <summary>sqrt of the pooled variance's estimate over the mean of the variances within the chains (equations 1 to 4).</summary>
    private static double Ratio(double[][] chains)
    {
        int n = chains[0].Length;
        double within = chains.Average(Variance), between = Variance([.. chains.Select(chain => chain.Average())]);
        return within == 0 && between == 0 ? double.NaN : Math.Sqrt((double)(n - 1) / n + between / within);
    }

    /// <summary>
    /// M N / tau with tau from autocorrelations of all chains together (equations 10 and 11), summed in pairs as long as these are positive, and made
    /// to fall (Geyer 1992).
    /// </summary>
    private static double Effective(double[][] chains)
    {
        int m = chains.Length, n = chains[0].Length;
        double within = chains.Average(Variance);
        double pooled = within * (n - 1) / n + Variance([.. chains.Select(chain => chain.Average())]);
        if (pooled == 0)
            return double.NaN;
        double[][] centred = [.. chains.Select(chain => { double mean = chain.Average(); return chain.Select(x => x - mean).ToArray(); })];
        double tau = -1, least = double.PositiveInfinity;
        for (int lag = 0; lag + 1 < n; lag += 2)
        {
            double pair = Correlation(lag) + Correlation(lag + 1);
            if (lag > 0 && pair <= 0)
                break;
            least = Math.Min(least, pair);
            tau += 2 * least;
        }

        // As Stan has it: antithetic chains are credited with no more than a factor of log10 of the draws.
        double total = (double)m * n;
        return total / Math.Max(tau, 1 / Math.Log10(total));

        // Autocovariances are divided by n, which damps the noise of long lags.
        double Correlation(int lag)
        {
            if (lag == 0)
                return 1;
            double sum = 0;
            foreach (double[] x in centred)
            {
                double products = 0;
                for (int i = 0; i + lag < n; i++)
                    products += x[i] * x[i + lag];
                sum += products / n;
            }

            return 1 - (within - sum / m) / pooled;
        }
    }

    /// <summary>Normal scores of the ranks over all chains, Phi^-1((rank - 3/8) / (S + 1/4)); ties share their mean rank (equation 14).</summary>
    private static double[][] RankNormalised(double[][] chains)
    {
        int n = chains[0].Length, total = chains.Length * n;
        double[] all = [.. chains.SelectMany(chain => chain)];
        int[] order = [.. Enumerable.Range(0, total)];
        Array.Sort([.. all], order);
        var ranks = new double[total];
        for (int first = 0; first < total;)
        {
            int end = first + 1;
            while (end < total && all[order[end]] == all[order[first]])
                end++;
            for (int i = first; i < end; i++)
                ranks[order[i]] = 0.5 * (first + 1 + end);
            first = end;
        }

        using var scope = NewDisposeScope();
        using Tensor probabilities = tensor(ranks).Plus(-0.375).Times(1 / (total + 0.25));
        double[] scores = special.ndtri(probabilities).data<double>().ToArray();
        return [.. Enumerable.Range(0, chains.Length).Select(chain => scores[(chain * n)..((chain + 1) * n)])];
    }

    private static double Median(double[][] chains)
    {
        double[] all = [.. chains.SelectMany(chain => chain).Order()];
        return 0.5 * (all[(all.Length - 1) / 2] + all[all.Length / 2]);
    }

    private static double Variance(double[] x)
    {
        double mean = x.Average();
        return x.Sum(value => (value - mean) * (value - mean)) / (x.Length - 1);
    }
}
