using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Layers.Conversion;

/// <summary>
/// What TorchSharp does not tell of a layer that it was made with. All null by default: a conversion then finds it by what the layer computes, where
/// that tells. What is given here wins, and is not looked for. Immutable.
/// </summary>
public sealed record LayerHints
{
    /// <summary>Heads of attention and transformer layers.</summary>
    public long? Heads { get; init; }

    /// <summary>The share of entries that attention, transformer and recurrent layers drop in training mode.</summary>
    public double? Dropout { get; init; }

    /// <summary>Whether an attention layer adds a key and value of zeros (<c>add_zero_attn</c>).</summary>
    public bool? AddsZeroAttention { get; init; }

    /// <summary>The activation of a transformer layer's feed-forward network.</summary>
    public nn.Activations? Activation { get; init; }

    /// <summary>The nonlinearity of an <c>nn.RNN</c>.</summary>
    public nn.NonLinearities? NonLinearity { get; init; }

    /// <summary>What an embedding bag makes of its rows.</summary>
    public EmbeddingBagMode? Mode { get; init; }

    /// <summary>
    /// The padding row of an embedding or a bag; negative from the end. Where it is not given, the padding row of an embedding, and that of a bag of
    /// sums where it is zero, become rows like the others: nothing that the layer computes tells them from one.
    /// </summary>
    public long? PaddingIndex { get; init; }
}
