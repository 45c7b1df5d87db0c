using BayesNet.Runtime;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Layers;

#pragma warning disable CA1707 // The arguments have the twin's names.

/// <summary>A stack of Bayesian encoder layers: the twin of <c>nn.TransformerEncoder</c>, called as it is.</summary>
/// <remarks>State dict: the twin's names, <c>layers.0.*</c> and on, each as <see cref="BayesTransformerEncoderLayer"/> has them.</remarks>
public sealed class BayesTransformerEncoder : nn.Module<Tensor, Tensor?, Tensor?, Tensor>, nn.IModule<Tensor, Tensor?, Tensor>, nn.IModule<Tensor, Tensor>
{
    [ComponentName(Name = "layers")]
    private readonly ModuleList<BayesTransformerEncoderLayer> _layers;

    /// <summary>Creates a stack; the layers become its own.</summary>
    /// <exception cref="ArgumentException">There is none, or some take the batch first and others not.</exception>
    public BayesTransformerEncoder(params BayesTransformerEncoderLayer[] layers)
        : base(nameof(BayesTransformerEncoder))
    {
        _layers = new ModuleList<BayesTransformerEncoderLayer>(TransformerParts.Stack(layers, layer => layer.BatchFirst));
        RegisterComponents();
    }

    /// <summary>Creates a stack whose means start at copies of a trained stack's weights.</summary>
    /// <inheritdoc cref="BayesTransformerEncoderLayer(TransformerEncoderLayer, long, double, nn.Activations, bool, BayesOptions)"/>
    public BayesTransformerEncoder(
        TransformerEncoder trained, long heads, double dropout = 0.1, nn.Activations activation = nn.Activations.ReLU, bool batchFirst = false, BayesOptions? options = null)
        : this([.. TransformerParts.Prefixes(trained).Select((prefix, i)
            => new BayesTransformerEncoderLayer(trained, prefix, heads, dropout, activation, batchFirst, TransformerParts.Part(options, i)))])
    {
    }

    /// <summary>The layers, in the order in which they run.</summary>
    public IReadOnlyList<BayesTransformerEncoderLayer> Layers => [.. _layers];

    /// <summary>The output of the last layer, with fresh noise at every call.</summary>
    /// <inheritdoc cref="BayesTransformerEncoderLayer.call(Tensor, Tensor?, Tensor?)"/>
    public override Tensor forward(Tensor src, Tensor? src_mask, Tensor? src_key_padding_mask)
    {
        ArgumentNullException.ThrowIfNull(src);
        using var scope = NewDisposeScope();
        return _layers.Aggregate(src, (x, layer) => layer.call(x, src_mask, src_key_padding_mask)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc cref="forward"/>
    public Tensor call(Tensor src) => base.call(src, null, null);

    /// <inheritdoc cref="forward"/>
    public Tensor call(Tensor src, Tensor? src_mask) => base.call(src, src_mask, null);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            this.DisposeChildren();
        base.Dispose(disposing);
    }
}
