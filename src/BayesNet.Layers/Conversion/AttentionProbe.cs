using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Layers.Conversion;

/// <summary>What TorchSharp does not tell of attention and transformer layers.</summary>
internal readonly record struct AttentionSettings(long Heads, bool AddsZero, nn.Activations Activation)
{
    /// <summary>All that a layer of so many features may have been made with.</summary>
    internal static AttentionSettings[] Candidates(LayerHints hints, long features, bool mayAddZero, bool hasActivation)
    {
        if (hints.Heads is { } said && (said < 1 || features % said != 0))
            throw new ArgumentException($"LayerHints.Heads is {said}, which does not divide the {features} features; give the number of heads that the layer was made with.", nameof(hints));
        return [.. from heads in hints.Heads is { } given ? [given] : Enumerable.Range(1, (int)features).Select(i => (long)i).Where(i => features % i == 0)
            from zero in !mayAddZero ? [false] : hints.AddsZeroAttention is { } known ? new[] { known } : [false, true]
            from activation in !hasActivation ? [nn.Activations.ReLU] : hints.Activation is { } one ? new[] { one } : [nn.Activations.ReLU, nn.Activations.GELU]
            select new AttentionSettings(heads, zero, activation)];
    }
}

/// <summary>Attention and transformer layers in plain operations, in the order in which libtorch's modules draw what they drop.</summary>
/// <param name="layer">The layer, or a stack of them.</param>
internal sealed class AttentionProbe(nn.Module layer)
{
    private readonly Dictionary<string, Tensor> _parameters = layer.named_parameters().ToDictionary(entry => entry.name, entry => (Tensor)entry.parameter);

    /// <summary>The attention under a prefix of names: (positions, batch, features).</summary>
    internal Tensor Attend(string prefix, Tensor query, Tensor key, Tensor value, AttentionSettings settings, double dropout)
    {
        AttentionWeights weights = AttentionWeights.Of(layer, prefix)();
        Tensor q = Project(query, weights.Query, null), k = Project(key, weights.Key, weights.BiasKey), v = Project(value, weights.Value, weights.BiasValue);
        if (settings.AddsZero)
            (k, v) = (WithZero(k), WithZero(v));
        Tensor mixed = nn.functional.scaled_dot_product_attention(Heads(q), Heads(k), Heads(v), null!, dropout);
        return nn.functional.linear(mixed.permute(2, 0, 1, 3).reshape(q.shape), weights.Output.Weight, weights.Output.Bias);

        Tensor Heads(Tensor x) => x.reshape(x.size(0), x.size(1), settings.Heads, x.size(2) / settings.Heads).permute(1, 2, 0, 3);

        static Tensor WithZero(Tensor x) => cat([x, zeros([1, .. x.shape.AsSpan(1)], dtype: x.dtype, device: x.device)]);
    }

    /// <summary>An encoder layer.</summary>
    internal Tensor Encode(string prefix, Tensor x, AttentionSettings settings, double dropout)
    {
        x = Norm(prefix + "norm1", x.Plus(TransformerParts.Drop(Attend(prefix + "self_attn.", x, x, x, settings, dropout), dropout)));
        return Norm(prefix + "norm2", x.Plus(FeedForward(prefix, x, settings, dropout)));
    }

    /// <summary>A decoder layer.</summary>
    internal Tensor Decode(string prefix, Tensor x, Tensor memory, AttentionSettings settings, double dropout)
    {
        x = Norm(prefix + "norm1", x.Plus(TransformerParts.Drop(Attend(prefix + "self_attn.", x, x, x, settings, dropout), dropout)));
        x = Norm(prefix + "norm2", x.Plus(TransformerParts.Drop(Attend(prefix + "multihead_attn.", x, memory, memory, settings, dropout), dropout)));
        return Norm(prefix + "norm3", x.Plus(FeedForward(prefix, x, settings, dropout)));
    }

    private static Tensor Project(Tensor input, (Tensor Weight, Tensor? Bias) by, Tensor? learned)
    {
        Tensor projected = nn.functional.linear(input, by.Weight, by.Bias);
        return learned is null ? projected : cat([projected, learned.expand(1, projected.size(1), projected.size(2))]);
    }

    private Tensor FeedForward(string prefix, Tensor x, AttentionSettings settings, double dropout)
    {
        Tensor hidden = TransformerParts.Drop(TransformerParts.Activate(Linear(prefix + "linear1", x), settings.Activation), dropout);
        return TransformerParts.Drop(Linear(prefix + "linear2", hidden), dropout);
    }

    private Tensor Linear(string name, Tensor x) => nn.functional.linear(x, _parameters[name + ".weight"], _parameters.GetValueOrDefault(name + ".bias"));

    private Tensor Norm(string name, Tensor x)
        => nn.functional.layer_norm(x, [x.size(-1)], _parameters[name + ".weight"], _parameters[name + ".bias"]);
}
