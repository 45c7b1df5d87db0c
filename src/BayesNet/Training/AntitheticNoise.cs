using BayesNet.Estimators;

namespace BayesNet.Training;

/// <summary>
/// Pairs of samples with noise eps and -eps (Hammersley and Morton 1956): what is odd in the noise cancels in the mean of their gradients.
/// </summary>
/// <remarks>
/// The twin repeats the draws of the first sample, mirrored, and leaves the sources where the first left them. A source without a seed has one
/// for the time of a pair, so that its draws can be had again.
/// </remarks>
internal sealed class AntitheticNoise(IReadOnlyList<NoiseSource> sources) : IDisposable
{
    private readonly ((ulong Key, ulong Counter) State, byte[]? Gamma, bool Seeded)[] _starts = new ((ulong, ulong), byte[]?, bool)[sources.Count];

    /// <summary>Begins the first sample of a pair, or its twin, which lasts until the returned object, this one, is disposed.</summary>
    internal IDisposable Begin(bool twin)
    {
        for (int i = 0; i < sources.Count; i++)
        {
            NoiseSource source = sources[i];
            if (!twin)
            {
                _starts[i] = (source.State ?? (GlobalKeys.Next(), 0), source.GammaState, source.Seed is not null);
                if (_starts[i].Seeded)
                    continue;
            }

            source.State = _starts[i].State;
            source.GammaState = _starts[i].Gamma;
            source.Mirrored = twin;
        }

        return this;
    }

    /// <summary>Ends a sample.</summary>
    public void Dispose()
    {
        for (int i = 0; i < sources.Count; i++)
        {
            sources[i].Mirrored = false;
            if (!_starts[i].Seeded)
                sources[i].Seed = null;
        }
    }
}
