using BayesNet.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Layers;

#pragma warning disable CA1707 // The arguments have the twin's names.

/// <summary>
/// A Bayesian <c>nn.TransformerDecoderLayer</c> (Vaswani et al. 2017, section 3.1): attention over the target, attention from the target to a memory,
/// and a feed-forward network, each with a residual connection and a deterministic normalisation behind it; <see cref="bnn"/> has its factories.
/// </summary>
/// <remarks>
/// State dict: <c>self_attn.*</c>, <c>multihead_attn.*</c>, <c>linear1.*</c>, <c>linear2.*</c> as <see cref="BayesMultiheadAttention"/> and
/// <see cref="BayesLinear"/> have them, and <c>norm1.*</c>, <c>norm2.*</c>, <c>norm3.*</c> as they are.
/// </remarks>
public sealed class BayesTransformerDecoderLayer : nn.Module<Tensor, Tensor, Tensor?, Tensor?, Tensor?, Tensor?, Tensor>
{
    // By the twin's names.
#pragma warning disable IDE1006
    private readonly BayesMultiheadAttention self_attn;
    private readonly BayesMultiheadAttention multihead_attn;
    private readonly BayesLinear linear1;
    private readonly BayesLinear linear2;
    private readonly LayerNorm norm1;
    private readonly LayerNorm norm2;
    private readonly LayerNorm norm3;
#pragma warning restore IDE1006

    private readonly double _dropout;
    private readonly nn.Activations _activation;

    /// <inheritdoc cref="BayesTransformerEncoderLayer(long, long, long, double, nn.Activations, bool, Device, ScalarType?, BayesOptions)"/>
    public BayesTransformerDecoderLayer(
        long modelSize = 512, long heads = 8, long feedForwardSize = 2048, double dropout = 0.1, nn.Activations activation = nn.Activations.ReLU,
        bool batchFirst = false, Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        : base(nameof(BayesTransformerDecoderLayer))
    {
        (_dropout, _activation) = (dropout, activation);
        self_attn = new BayesMultiheadAttention(modelSize, heads, dropout, batchFirst: batchFirst, device: device, dtype: dtype, options: TransformerParts.Part(options, 0));
        linear1 = new BayesLinear(modelSize, feedForwardSize, true, device, dtype, TransformerParts.Part(options, 1));
        linear2 = new BayesLinear(feedForwardSize, modelSize, true, device, dtype, TransformerParts.Part(options, 2));
        multihead_attn = new BayesMultiheadAttention(modelSize, heads, dropout, batchFirst: batchFirst, device: device, dtype: dtype, options: TransformerParts.Part(options, 3));
        norm1 = TransformerParts.Norm(modelSize, device, dtype);
        norm2 = TransformerParts.Norm(modelSize, device, dtype);
        norm3 = TransformerParts.Norm(modelSize, device, dtype);
        RegisterComponents();
    }

    /// <inheritdoc cref="BayesTransformerEncoderLayer(TransformerEncoderLayer, long, double, nn.Activations, bool, BayesOptions)"/>
    public BayesTransformerDecoderLayer(
        TransformerDecoderLayer trained, long heads, double dropout = 0.1, nn.Activations activation = nn.Activations.ReLU, bool batchFirst = false,
        BayesOptions? options = null)
        : this(trained, "", heads, dropout, activation, batchFirst, options)
    {
    }

    /// <summary>The layer that a trained one, or a stack, has under a prefix of names.</summary>
    internal BayesTransformerDecoderLayer(
        nn.Module trained, string prefix, long heads, double dropout, nn.Activations activation, bool batchFirst, BayesOptions? options)
        : base(nameof(BayesTransformerDecoderLayer))
    {
        (_dropout, _activation) = (dropout, activation);
        self_attn = new BayesMultiheadAttention(AttentionWeights.Of(trained, prefix + "self_attn."), heads, dropout, false, batchFirst, TransformerParts.Part(options, 0));
        linear1 = TransformerParts.Linear(trained, prefix + "linear1", TransformerParts.Part(options, 1));
        linear2 = TransformerParts.Linear(trained, prefix + "linear2", TransformerParts.Part(options, 2));
        multihead_attn = new BayesMultiheadAttention(AttentionWeights.Of(trained, prefix + "multihead_attn."), heads, dropout, false, batchFirst, TransformerParts.Part(options, 3));
        norm1 = TransformerParts.Norm(trained, prefix + "norm1");
        norm2 = TransformerParts.Norm(trained, prefix + "norm2");
        norm3 = TransformerParts.Norm(trained, prefix + "norm3");
        RegisterComponents();
    }

    /// <summary>Heads of the attention.</summary>
    public long Heads => self_attn.NumHeads;

    /// <summary>The share of entries dropped in training mode.</summary>
    public double Dropout => _dropout;

    /// <summary>The activation of the feed-forward network.</summary>
    public nn.Activations Activation => _activation;

    internal (BayesLinear In, BayesLinear Out) FeedForward => (linear1, linear2);

    /// <summary>Whether the batch comes before the positions in inputs and outputs.</summary>
    public bool BatchFirst => self_attn.BatchFirst;

    /// <summary>The layer's output, with fresh noise at every call.</summary>
    /// <param name="tgt">(target, batch, features), or (batch, target, features) with <see cref="BatchFirst"/>.</param>
    /// <param name="memory">(source, batch, features), or batch first: what an encoder made of the source.</param>
    /// <param name="tgt_mask">(target, target), as <see cref="BayesMultiheadAttention"/>'s <c>attn_mask</c>.</param>
    /// <param name="memory_mask">(target, source), the same.</param>
    /// <param name="tgt_key_padding_mask">(batch, target), true where a position is padding.</param>
    /// <param name="memory_key_padding_mask">(batch, source), true where a position is padding.</param>
    /// <returns>The target's shape.</returns>
    /// <exception cref="ArgumentException">The shape or type of an input or of a mask does not fit.</exception>
    public override Tensor forward(
        Tensor tgt, Tensor memory, Tensor? tgt_mask, Tensor? memory_mask, Tensor? tgt_key_padding_mask, Tensor? memory_key_padding_mask)
    {
        using var scope = NewDisposeScope();
        double dropout = training ? _dropout : 0;
        Tensor ofTarget = self_attn.call(tgt, tgt, tgt, tgt_key_padding_mask, need_weights: false, tgt_mask).Item1;
        Tensor x = norm1.call(tgt.Plus(TransformerParts.Drop(ofTarget, dropout)));
        Tensor ofMemory = multihead_attn.call(x, memory, memory, memory_key_padding_mask, need_weights: false, memory_mask).Item1;
        x = norm2.call(x.Plus(TransformerParts.Drop(ofMemory, dropout)));
        Tensor hidden = TransformerParts.Drop(TransformerParts.Activate(TransformerParts.InExamples(linear1, x, BatchFirst), _activation), dropout);
        Tensor output = TransformerParts.Drop(TransformerParts.InExamples(linear2, hidden, BatchFirst), dropout);
        return norm3.call(x.Plus(output)).MoveToOuterDisposeScope();
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
