using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Metrics;

/// <summary>The quantile of held-out scores that split conformal prediction takes.</summary>
internal static class ConformalScores
{
    /// <summary>
    /// The ceil((n + 1) level)-th smallest of n scores, the (1 - alpha)(1 + 1/n) empirical quantile, column by column; infinite where n is too
    /// small for there to be one.
    /// </summary>
    /// <param name="scores">(n, columns), float64.</param>
    /// <param name="level">1 - alpha.</param>
    internal static double[] Quantiles(Tensor scores, double level)
    {
        long rank = Rank(scores.size(0), level);
        if (rank > scores.size(0))
            return [.. Enumerable.Repeat(double.PositiveInfinity, (int)scores.size(1))];
        using var scope = NewDisposeScope();
        return MetricInputs.Values(scores.sort(0).Values.select(0, rank - 1));
    }

    /// <summary>ceil((n + 1) level), where a product that is an integer but for rounding is that integer.</summary>
    internal static long Rank(long count, double level)
    {
        const double Rounding = 1e-12;
        return Math.Max(1, (long)Math.Ceiling((count + 1) * Guard.OpenUnitInterval(level) * (1 - Rounding)));
    }

    /// <summary>Quantiles as a tensor that broadcasts over (batch, ...) predictions, whose outputs they are in row-major order.</summary>
    internal static Tensor Broadcast(IReadOnlyList<double> quantiles, Tensor prediction)
    {
        long[] shape = [1, .. prediction.shape.AsSpan(1)];
        long outputs = prediction.size(0) == 0 ? quantiles.Count : prediction.numel() / prediction.size(0);
        return outputs == quantiles.Count
            ? tensor(quantiles.ToArray(), ScalarType.Float64, prediction.device).reshape(shape)
            : throw new ArgumentException(
                $"The prediction has shape {Guard.Format(prediction.shape)}, {outputs} outputs an example; this was fitted for {quantiles.Count}.",
                nameof(prediction));
    }
}
