using BayesNet.Prediction;
using BayesNet.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Layers;

#pragma warning disable CA1707 // The arguments have the twin's names.

/// <summary>
/// A Bayesian <c>nn.TransformerEncoderLayer</c> (Vaswani et al. 2017, section 3.1): attention and feed-forward network with Bayesian weights, each
/// with a residual connection and a normalisation behind it, which is deterministic; <see cref="bnn"/> has its factories.
/// </summary>
/// <remarks>
/// A stack is a <c>Sequential</c> of such layers. State dict: the twin's names, each of attention and linear layers with the posterior's, as
/// <see cref="BayesMultiheadAttention"/> and <see cref="BayesLinear"/> have them: <c>self_attn.*</c>, <c>linear1.*</c>, <c>linear2.*</c>; and
/// <c>norm1.*</c>, <c>norm2.*</c> as they are.
/// </remarks>
public sealed class BayesTransformerEncoderLayer : nn.Module<Tensor, Tensor>, IRowwiseModule, nn.IModule<Tensor, Tensor?, Tensor>, nn.IModule<Tensor, Tensor?, Tensor?, Tensor>
{
    // By the twin's names.
#pragma warning disable IDE1006
    private readonly BayesMultiheadAttention self_attn;
    private readonly BayesLinear linear1;
    private readonly BayesLinear linear2;
    private readonly LayerNorm norm1;
    private readonly LayerNorm norm2;
#pragma warning restore IDE1006

    private readonly double _dropout;
    private readonly nn.Activations _activation;

    /// <summary>Creates a layer.</summary>
    /// <param name="modelSize">Features of inputs and outputs.</param>
    /// <param name="heads">Heads of the attention; divides <paramref name="modelSize"/>.</param>
    /// <param name="feedForwardSize">Hidden units of the feed-forward network.</param>
    /// <param name="dropout">The share of entries dropped in training mode: of attention weights, hidden units and both residual branches.</param>
    /// <param name="activation">The rectifier or GELU.</param>
    /// <param name="batchFirst">Whether inputs and outputs are (batch, positions, features), not (positions, batch, features) as the twin's.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException"><paramref name="heads"/> does not divide <paramref name="modelSize"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1, or <paramref name="dropout"/> is not in [0, 1].</exception>
    /// <exception cref="NotSupportedException">The type is a half-precision one, or the estimator does not fit the posterior.</exception>
    public BayesTransformerEncoderLayer(
        long modelSize = 512, long heads = 8, long feedForwardSize = 2048, double dropout = 0.1, nn.Activations activation = nn.Activations.ReLU,
        bool batchFirst = false, Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        : base(nameof(BayesTransformerEncoderLayer))
    {
        (_dropout, _activation) = (dropout, activation);
        self_attn = new BayesMultiheadAttention(modelSize, heads, dropout, batchFirst: batchFirst, device: device, dtype: dtype, options: TransformerParts.Part(options, 0));
        linear1 = new BayesLinear(modelSize, feedForwardSize, true, device, dtype, TransformerParts.Part(options, 1));
        linear2 = new BayesLinear(feedForwardSize, modelSize, true, device, dtype, TransformerParts.Part(options, 2));
        norm1 = TransformerParts.Norm(modelSize, device, dtype);
        norm2 = TransformerParts.Norm(modelSize, device, dtype);
        RegisterComponents();
    }

    /// <summary>Creates a layer whose means start at copies of a trained layer's weights; its normalisations are copied as they are.</summary>
    /// <param name="trained">Gives sizes, type and device.</param>
    /// <param name="heads">As <paramref name="trained"/> was made, which it does not tell.</param>
    /// <param name="dropout">As <paramref name="trained"/> was made, which it does not tell.</param>
    /// <param name="activation">As <paramref name="trained"/> was made, which it does not tell.</param>
    /// <param name="batchFirst">Whether inputs and outputs are (batch, positions, features), not (positions, batch, features) as the twin's.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException"><paramref name="heads"/> does not divide the features.</exception>
    /// <exception cref="NotSupportedException">The type is a half-precision one, or the estimator does not fit the posterior.</exception>
    public BayesTransformerEncoderLayer(
        TransformerEncoderLayer trained, long heads, double dropout = 0.1, nn.Activations activation = nn.Activations.ReLU, bool batchFirst = false,
        BayesOptions? options = null)
        : this(trained, "", heads, dropout, activation, batchFirst, options)
    {
    }

    /// <summary>The layer that a trained one, or a stack, has under a prefix of names.</summary>
    internal BayesTransformerEncoderLayer(
        nn.Module trained, string prefix, long heads, double dropout, nn.Activations activation, bool batchFirst, BayesOptions? options)
        : base(nameof(BayesTransformerEncoderLayer))
    {
        (_dropout, _activation) = (dropout, activation);
        self_attn = new BayesMultiheadAttention(AttentionWeights.Of(trained, prefix + "self_attn."), heads, dropout, false, batchFirst, TransformerParts.Part(options, 0));
        linear1 = TransformerParts.Linear(trained, prefix + "linear1", TransformerParts.Part(options, 1));
        linear2 = TransformerParts.Linear(trained, prefix + "linear2", TransformerParts.Part(options, 2));
        norm1 = TransformerParts.Norm(trained, prefix + "norm1");
        norm2 = TransformerParts.Norm(trained, prefix + "norm2");
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

    /// <inheritdoc/>
    bool IRowwiseModule.ComputesRowByRow => BatchFirst;

    /// <summary>The layer's output, with fresh noise at every call.</summary>
    /// <param name="src">(positions, batch, features), or (batch, positions, features) with <see cref="BatchFirst"/>.</param>
    /// <returns>The same shape.</returns>
    /// <exception cref="ArgumentException">The input's shape or type does not fit the layer.</exception>
    public override Tensor forward(Tensor src) => Run(src, null, null);

    /// <summary>The layer's output under masks, with fresh noise at every call.</summary>
    /// <param name="src">(positions, batch, features), or (batch, positions, features) with <see cref="BatchFirst"/>.</param>
    /// <param name="src_mask">As <see cref="BayesMultiheadAttention"/>'s <c>attn_mask</c>.</param>
    /// <param name="src_key_padding_mask">As <see cref="BayesMultiheadAttention"/>'s <c>key_padding_mask</c>.</param>
    /// <returns>The same shape as the input.</returns>
    /// <exception cref="ArgumentException">The shape or type of the input or of a mask does not fit.</exception>
    public Tensor call(Tensor src, Tensor? src_mask, Tensor? src_key_padding_mask) => Run(src, src_mask, src_key_padding_mask);

    /// <inheritdoc cref="call(Tensor, Tensor?, Tensor?)"/>
    public Tensor call(Tensor src, Tensor? src_mask) => Run(src, src_mask, null);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            this.DisposeChildren();
        base.Dispose(disposing);
    }

    private Tensor Run(Tensor src, Tensor? mask, Tensor? padding)
    {
        using var scope = NewDisposeScope();
        double dropout = training ? _dropout : 0;
        Tensor attention = self_attn.call(src, src, src, padding, need_weights: false, mask).Item1;
        Tensor x = norm1.call(src.Plus(TransformerParts.Drop(attention, dropout)));
        Tensor hidden = TransformerParts.Drop(TransformerParts.Activate(InExamples(linear1, x), _activation), dropout);
        return norm2.call(x.Plus(TransformerParts.Drop(InExamples(linear2, hidden), dropout))).MoveToOuterDisposeScope();
    }

    private Tensor InExamples(BayesLinear linear, Tensor input) => TransformerParts.InExamples(linear, input, BatchFirst);
}
