namespace BayesNet.Benchmarks.Ranks;

/// <summary>
/// The time of a ring all-reduce of n bytes over K ranks, 2 (K - 1) alpha + 2 (K - 1)/K n beta (Patarasuk and Yuan 2009): alpha seconds a message,
/// beta seconds a byte.
/// </summary>
internal sealed record RingModel(double Alpha, double Beta)
{
    /// <summary>Fits times of two ranks, 2 alpha + n beta: beta by the two largest tensors, alpha by the smallest.</summary>
    public static RingModel OfTwoRanks(IReadOnlyList<ReduceRow> rows)
    {
        ReduceRow small = rows[0], large = rows[^1], next = rows[^2];
        double beta = (large.Seconds - next.Seconds) / (large.Bytes - next.Bytes);
        return new RingModel(Math.Max(0, (small.Seconds - small.Bytes * beta) / 2), beta);
    }

    /// <summary>Seconds.</summary>
    public double Seconds(int ranks, double bytes) => 2.0 * (ranks - 1) * Alpha + 2.0 * (ranks - 1) / ranks * bytes * Beta;
}
