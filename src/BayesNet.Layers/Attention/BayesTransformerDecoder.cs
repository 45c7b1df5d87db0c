using BayesNet.Runtime;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Layers;

#pragma warning disable CA1707 // The arguments have the twin's names.

/// <summary>A stack of Bayesian decoder layers: the twin of <c>nn.TransformerDecoder</c>, called as it is.</summary>
/// <remarks>State dict: the twin's names, <c>layers.0.*</c> and on, each as <see cref="BayesTransformerDecoderLayer"/> has them.</remarks>
public sealed class BayesTransformerDecoder : nn.Module<Tensor, Tensor, Tensor?, Tensor?, Tensor?, Tensor?, Tensor>
{
    [ComponentName(Name = "layers")]
    private readonly ModuleList<BayesTransformerDecoderLayer> _layers;

    /// <inheritdoc cref="BayesTransformerEncoder(BayesTransformerEncoderLayer[])"/>
    public BayesTransformerDecoder(params BayesTransformerDecoderLayer[] layers)
        : base(nameof(BayesTransformerDecoder))
    {
        _layers = new ModuleList<BayesTransformerDecoderLayer>(TransformerParts.Stack(layers, layer => layer.BatchFirst));
        RegisterComponents();
    }

    /// <summary>Creates a stack whose means start at copies of a trained stack's weights.</summary>
    /// <inheritdoc cref="BayesTransformerEncoderLayer(TransformerEncoderLayer, long, double, nn.Activations, bool, BayesOptions)"/>
    public BayesTransformerDecoder(
        TransformerDecoder trained, long heads, double dropout = 0.1, nn.Activations activation = nn.Activations.ReLU, bool batchFirst = false, BayesOptions? options = null)
        : this([.. TransformerParts.Prefixes(trained).Select((prefix, i)
            => new BayesTransformerDecoderLayer(trained, prefix, heads, dropout, activation, batchFirst, TransformerParts.Part(options, i)))])
    {
    }

    /// <summary>The layers, in the order in which they run.</summary>
    public IReadOnlyList<BayesTransformerDecoderLayer> Layers => [.. _layers];

    /// <summary>The output of the last layer, with fresh noise at every call.</summary>
    /// <inheritdoc cref="BayesTransformerDecoderLayer.forward"/>
    public override Tensor forward(
        Tensor tgt, Tensor memory, Tensor? tgt_mask, Tensor? memory_mask, Tensor? tgt_key_padding_mask, Tensor? memory_key_padding_mask)
    {
        ArgumentNullException.ThrowIfNull(tgt);
        using var scope = NewDisposeScope();
        return _layers.Aggregate(tgt, (x, layer) => layer.call(x, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask))
            .MoveToOuterDisposeScope();
    }

    /// <inheritdoc cref="forward"/>
    public new Tensor call(
        Tensor tgt, Tensor memory, Tensor? tgt_mask = null, Tensor? memory_mask = null, Tensor? tgt_key_padding_mask = null,
        Tensor? memory_key_padding_mask = null)
        => base.call(tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            this.DisposeChildren();
        base.Dispose(disposing);
    }
}
