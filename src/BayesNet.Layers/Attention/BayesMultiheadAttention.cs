using BayesNet.Runtime;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Layers;

#pragma warning disable CA1707 // The arguments have the twin's names.

/// <summary>
/// A Bayesian <c>nn.MultiheadAttention</c> (Vaswani et al. 2017, section 3.2.2): the projections of queries, keys, values and outputs are four
/// <see cref="BayesLinear"/>s, the attention between them is deterministic given those; <see cref="bnn"/> has its factories.
/// </summary>
/// <remarks>
/// <para>
/// Every estimator and posterior of <see cref="BayesLinear"/> works, example by example: the batch is put first whatever the layout. Under local
/// reparameterization the positions of an example have independent noise; the others give them one weight.
/// </para>
/// <para>
/// State dict: <c>q_proj.*</c>, <c>k_proj.*</c>, <c>v_proj.*</c>, <c>out_proj.*</c>, each as a <see cref="BayesLinear"/> has them, and with
/// <c>add_bias_kv</c> the parameters <c>bias_k</c> and <c>bias_v</c>, which are deterministic. The twin's <c>in_proj_weight</c> and
/// <c>in_proj_bias</c> are the three projections one above the other; the constructor that takes a trained twin takes them apart.
/// </para>
/// </remarks>
public sealed class BayesMultiheadAttention : nn.Module<Tensor, Tensor, Tensor, Tensor?, bool, Tensor?, Tuple<Tensor, Tensor?>>
{
    [ComponentName(Name = "q_proj")]
    private readonly BayesLinear _query;

    [ComponentName(Name = "k_proj")]
    private readonly BayesLinear _key;

    [ComponentName(Name = "v_proj")]
    private readonly BayesLinear _value;

    [ComponentName(Name = "out_proj")]
    private readonly BayesLinear _output;

    [ComponentName(Name = "bias_k")]
    private readonly Parameter? _biasKey;

    [ComponentName(Name = "bias_v")]
    private readonly Parameter? _biasValue;

    private readonly long _heads;
    private readonly double _dropout;
    private readonly bool _addZero;

    /// <summary>Creates a layer; its initial means are drawn as the twin's weights are: Xavier uniform, biases zero.</summary>
    /// <param name="embeddedDim">Features of queries and of outputs.</param>
    /// <param name="numHeads">Heads; divides <paramref name="embeddedDim"/>.</param>
    /// <param name="dropout">The share of attention weights dropped in training mode.</param>
    /// <param name="bias">Whether the projections have biases.</param>
    /// <param name="addBiasKv">Whether a learned key and value are added to those of each example.</param>
    /// <param name="addZeroAttn">Whether a key and value of zeros are added to those of each example.</param>
    /// <param name="kdim">Features of keys; null for <paramref name="embeddedDim"/>.</param>
    /// <param name="vdim">Features of values; null for <paramref name="embeddedDim"/>.</param>
    /// <param name="batchFirst">Whether inputs and outputs are (batch, positions, features), not (positions, batch, features) as the twin's.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException"><paramref name="numHeads"/> does not divide <paramref name="embeddedDim"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1, or <paramref name="dropout"/> is not in [0, 1].</exception>
    /// <exception cref="NotSupportedException">The type is a half-precision one, or the estimator does not fit the posterior.</exception>
    public BayesMultiheadAttention(
        long embeddedDim, long numHeads, double dropout = 0, bool bias = true, bool addBiasKv = false, bool addZeroAttn = false,
        long? kdim = null, long? vdim = null, bool batchFirst = false, Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        : this(AttentionWeights.Drawn(
            Guard.AtLeastOne(embeddedDim), Guard.AtLeastOne(kdim ?? embeddedDim, nameof(kdim)), Guard.AtLeastOne(vdim ?? embeddedDim, nameof(vdim)),
            bias, addBiasKv, device, dtype), numHeads, dropout, addZeroAttn, batchFirst, options)
    {
    }

    /// <summary>Creates a layer whose means start at copies of a trained layer's weights.</summary>
    /// <param name="trained">Gives sizes, biases, type and device.</param>
    /// <param name="numHeads">As <paramref name="trained"/> was made, which it does not tell.</param>
    /// <param name="dropout">As <paramref name="trained"/> was made, which it does not tell.</param>
    /// <param name="addZeroAttn">As <paramref name="trained"/> was made, which it does not tell.</param>
    /// <param name="batchFirst">Whether inputs and outputs are (batch, positions, features), not (positions, batch, features) as the twin's.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException"><paramref name="numHeads"/> does not divide the features of the output.</exception>
    /// <exception cref="NotSupportedException">The type is a half-precision one, or the estimator does not fit the posterior.</exception>
    public BayesMultiheadAttention(
        MultiheadAttention trained, long numHeads, double dropout = 0, bool addZeroAttn = false, bool batchFirst = false, BayesOptions? options = null)
        : this(AttentionWeights.Of(trained, ""), numHeads, dropout, addZeroAttn, batchFirst, options)
    {
    }

    internal BayesMultiheadAttention(
        Func<AttentionWeights> initial, long numHeads, double dropout, bool addZeroAttn, bool batchFirst, BayesOptions? options)
        : base(nameof(BayesMultiheadAttention))
    {
        NativeLibraries.Load();
        if (!(dropout is >= 0 and <= 1))
            throw new ArgumentOutOfRangeException(nameof(dropout), dropout, "dropout is the share of attention weights dropped and must lie between 0 and 1.");
        (_heads, _dropout, _addZero, BatchFirst) = (Guard.AtLeastOne(numHeads), dropout, addZeroAttn, batchFirst);
        using (NewDisposeScope())
        using (no_grad())
        {
            AttentionWeights weights = initial();
            if (weights.Output.Weight.size(0) % numHeads != 0)
                throw new ArgumentException($"numHeads is {numHeads} and does not divide the {weights.Output.Weight.size(0)} features of the output.", nameof(numHeads));
            BayesLinear Projection((Tensor Weight, Tensor? Bias) start, int part) => new(start.Weight, start.Bias, TransformerParts.Part(options, part));
            (_query, _key) = (Projection(weights.Query, 0), Projection(weights.Key, 1));
            (_value, _output) = (Projection(weights.Value, 2), Projection(weights.Output, 3));
            if (weights.BiasKey is not null)
                (_biasKey, _biasValue) = (OwnedTensors.Parameter(weights.BiasKey.clone()), OwnedTensors.Parameter(weights.BiasValue!.clone()));
        }

        RegisterComponents();
    }

    /// <summary>Whether the batch comes before the positions in inputs and outputs.</summary>
    public bool BatchFirst { get; }

    /// <summary>Heads.</summary>
    public long NumHeads => _heads;

    /// <summary>The share of attention weights dropped in training mode.</summary>
    public double Dropout => _dropout;

    /// <summary>Whether a key and value of zeros are added to those of each example.</summary>
    public bool AddsZeroAttention => _addZero;

    internal bool HasBiasKeyValue => _biasKey is not null;

    /// <summary>The projections of queries, keys, values and outputs.</summary>
    public (BayesLinear Query, BayesLinear Key, BayesLinear Value, BayesLinear Output) Projections => (_query, _key, _value, _output);

    /// <summary>softmax(q k' / sqrt(features of a head)) v of each head, side by side and projected, with fresh noise at every call.</summary>
    /// <param name="query">(target, batch, features), or (batch, target, features) with <see cref="BatchFirst"/>.</param>
    /// <param name="key">(source, batch, kdim), or batch first.</param>
    /// <param name="value">(source, batch, vdim), or batch first.</param>
    /// <param name="key_padding_mask">(batch, source), true where a key is padding and gets no attention; null for none.</param>
    /// <param name="need_weights">Whether attention weights are returned; without them libtorch's fused attention is used.</param>
    /// <param name="attn_mask">
    /// (target, source) or (batch * heads, target, source): of truth values, true where attention is not allowed, as in PyTorch (TorchSharp's twin adds
    /// them to the scores as ones); of numbers, added to the scores; null for none.
    /// </param>
    /// <returns>The output, in the layout of the query; the attention weights, (batch, target, source), averaged over heads, or null.</returns>
    /// <exception cref="ArgumentException">The shape of an input or of a mask does not fit.</exception>
    public override Tuple<Tensor, Tensor?> forward(Tensor query, Tensor key, Tensor value, Tensor? key_padding_mask, bool need_weights, Tensor? attn_mask)
    {
        using var scope = NewDisposeScope();
        Tensor q = Heads(_query.call(Examples(query, nameof(query))));
        Tensor k = _key.call(Examples(key, nameof(key))), v = _value.call(Examples(value, nameof(value)));
        RequireFit(q, k, v);
        Tensor? mask = Mask(q, k.size(1), key_padding_mask, attn_mask);
        k = Heads(Extended(k, _biasKey));
        v = Heads(Extended(v, _biasValue));
        if (mask is not null && k.size(2) != mask.size(3))
            mask = nn.functional.pad(mask, [0, k.size(2) - mask.size(3)]);

        double dropout = training ? _dropout : 0;
        Tensor? weights = null;
        Tensor mixed;
        if (need_weights)
        {
            Tensor scores = q.Times(1 / Math.Sqrt(q.size(3))).matmul(k.transpose(2, 3));
            weights = (mask is null ? scores : scores.Plus(mask)).softmax(-1);
            if (dropout > 0)
                weights = nn.functional.dropout(weights, dropout, training: true);
            mixed = weights.matmul(v);
            weights = weights.mean([1L]);
        }
        else
        {
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, mask!, dropout);
        }

        Tensor output = _output.call(mixed.transpose(1, 2).flatten(2));
        return Tuple.Create((BatchFirst ? output : output.transpose(0, 1)).MoveToOuterDisposeScope(), weights?.MoveToOuterDisposeScope());
    }

    /// <inheritdoc cref="forward"/>
    public new Tuple<Tensor, Tensor?> call(
        Tensor query, Tensor key, Tensor value, Tensor? key_padding_mask = null, bool need_weights = true, Tensor? attn_mask = null)
        => base.call(query, key, value, key_padding_mask, need_weights, attn_mask);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            this.DisposeChildren();
            this.DisposeOwnTensors();
        }

        base.Dispose(disposing);
    }

    private Tensor Examples(Tensor input, string name)
    {
        ArgumentNullException.ThrowIfNull(input, name);
        if (input.dim() != 3)
        {
            throw new ArgumentException(
                $"{name} has shape {Guard.Format(input.shape)}; it must be {(BatchFirst ? "(batch, positions, features)" : "(positions, batch, features)")}.", name);
        }

        return BatchFirst ? input : input.transpose(0, 1);
    }

    private Tensor Heads(Tensor projected)
        => projected.reshape(projected.size(0), projected.size(1), _heads, projected.size(2) / _heads).transpose(1, 2);

    /// <summary>Projected keys or values with the learned one and the one of zeros behind them.</summary>
    private Tensor Extended(Tensor projected, Tensor? learned)
    {
        long batch = projected.size(0), features = projected.size(2);
        if (learned is not null)
            projected = cat([projected, learned.expand(batch, 1, features)], 1);
        return _addZero ? cat([projected, zeros([batch, 1, features], dtype: projected.dtype, device: projected.device)], 1) : projected;
    }

    private static void RequireFit(Tensor query, Tensor key, Tensor value)
    {
        if (key.size(0) != query.size(0) || value.size(0) != query.size(0) || key.size(1) != value.size(1))
        {
            throw new ArgumentException(
                $"There are {query.size(0)} examples of queries, {key.size(0)} of {key.size(1)} keys and {value.size(0)} of {value.size(1)} values; examples must be as many in all, "
                + "and values as many as keys.", nameof(key));
        }
    }

    /// <summary>What is added to the scores, so that it broadcasts over (batch, heads, target, source); null for nothing.</summary>
    private Tensor? Mask(Tensor q, long source, Tensor? key_padding_mask, Tensor? attn_mask)
    {
        (long batch, long target) = (q.size(0), q.size(2));
        Tensor? mask = null;
        if (attn_mask is not null)
        {
            long[] each = [batch * _heads, target, source];
            if (attn_mask.shape.AsSpan().SequenceEqual(each.AsSpan(1)))
                mask = Additive(attn_mask, q).reshape(1, 1, target, source);
            else if (attn_mask.shape.AsSpan().SequenceEqual(each))
                mask = Additive(attn_mask, q).reshape(batch, _heads, target, source);
            else
                throw new ArgumentException($"attn_mask has shape {Guard.Format(attn_mask.shape)}; it must be {Guard.Format(each.AsSpan(1))} or {Guard.Format(each)}.", nameof(attn_mask));
        }

        if (key_padding_mask is null)
            return mask;
        if (!key_padding_mask.shape.AsSpan().SequenceEqual([batch, source]))
            throw new ArgumentException($"key_padding_mask has shape {Guard.Format(key_padding_mask.shape)}; it must be {Guard.Format([batch, source])}.", nameof(key_padding_mask));
        Tensor ofKeys = Additive(key_padding_mask, q).reshape(batch, 1, 1, source);
        return mask is null ? ofKeys : mask.Plus(ofKeys);
    }

    private static Tensor Additive(Tensor mask, Tensor like)
        => mask.dtype == ScalarType.Bool
            ? zeros(mask.shape, dtype: like.dtype, device: like.device).masked_fill(mask, double.NegativeInfinity)
            : mask.to(like.dtype);
}
