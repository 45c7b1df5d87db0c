namespace BayesNet.Estimators;

/// <summary>Seeds made from a seed, by SplitMix64 (Steele, Lea and Flood 2014): neighbouring seeds give unrelated streams.</summary>
internal static class Seeds
{
    private const ulong Gamma = 0x9E3779B97F4A7C15;

    /// <summary>The next seed of a sequence, which goes on.</summary>
    internal static ulong Next(ref ulong state)
    {
        ulong z = state = unchecked(state + Gamma);
        z = unchecked((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9);
        z = unchecked((z ^ (z >> 27)) * 0x94D049BB133111EB);
        return z ^ (z >> 31);
    }

    /// <summary>A seed of its own for each part of something seeded; null where there is no seed.</summary>
    internal static ulong? Derive(ulong? seed, int part)
    {
        if (seed is not { } state)
            return null;
        state = unchecked(state + (ulong)part * Gamma);
        return Next(ref state);
    }
}
