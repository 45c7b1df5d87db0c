using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Inference;

/// <summary>
/// The processes that a method fits one posterior on, which all of them then have: it trains by the rows' gradients of all, or spreads chains over them.
/// All make the same calls in the same order.
/// </summary>
internal interface IFitPeers
{
    /// <summary>This process, from 0.</summary>
    int Rank { get; }

    /// <summary>How many there are.</summary>
    int Size { get; }

    /// <summary>The options of a trainer whose steps all take together.</summary>
    TrainerOptions OnAll(TrainerOptions options);

    /// <summary>Does what one process does by itself; where one fails, all throw.</summary>
    /// <param name="own">Its part, which must not call these processes.</param>
    void Together(Action own);

    /// <summary>Replaces a tensor, or values, by those of one process.</summary>
    void Broadcast(Tensor tensor, int root = 0);

    /// <inheritdoc cref="Broadcast(Tensor, int)"/>
    void Broadcast(Span<long> values, int root = 0);
}

/// <summary>What all processes do after a fit, or around its parts.</summary>
internal static class FitPeers
{
    /// <summary>Gives every process the first one's parameters and buffers, and its place in the sequences of noise.</summary>
    internal static void Share(this IFitPeers peers, params nn.Module[] modules)
    {
        using var _ = no_grad();
        foreach (nn.Module module in modules)
        {
            foreach (Tensor tensor in module.parameters().Concat(module.buffers()))
                peers.Broadcast(tensor);
            foreach (IBayesianModule layer in module.BayesianModules().Select(entry => entry.Module))
            {
                long[] state = layer.Noise.State is { } own ? [1, unchecked((long)own.Key), unchecked((long)own.Counter)] : [0, 0, 0];
                peers.Broadcast(state);
                if (peers.Rank > 0)
                    layer.Noise.State = state[0] == 0 ? null : (unchecked((ulong)state[1]), unchecked((ulong)state[2]));
            }
        }
    }
}
