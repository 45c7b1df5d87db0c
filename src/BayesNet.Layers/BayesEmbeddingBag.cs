using System.Runtime.InteropServices;
using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Layers;

/// <summary>
/// A Bayesian <c>nn.EmbeddingBag</c>: sums or means of a table's rows over bags of indices. Input (bags, entries), or (entries) with the offsets at
/// which the bags begin; output (bags, columns).
/// </summary>
/// <remarks>
/// A bag is an example. A row that comes several times in a bag counts with the sum of its weights under every estimator, so that local
/// reparameterization is exact: Var = sum over distinct rows of (sum of p)^2 sigma^2. Rows and padding are as <see cref="BayesEmbedding"/> has
/// them; entries of the padding row do not count in a mean.
/// </remarks>
public sealed class BayesEmbeddingBag : nn.Module<Tensor, Tensor?, Tensor?, Tensor>, IBayesianModule
{
    private readonly InnerLayer _layer;
    private readonly Scalar? _padding;

    /// <summary>Creates a table whose initial means are standard normal draws, as those of <c>nn.EmbeddingBag</c>.</summary>
    /// <param name="rows">The number of rows, that of the padding included.</param>
    /// <param name="columns">The number of columns.</param>
    /// <param name="mode">Sum or mean.</param>
    /// <param name="includesLastOffset">Whether the last offset is the end of the last bag in place of a bag's beginning.</param>
    /// <param name="paddingIndex">The row whose entries do not count; negative from the end; null for none.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1, or the padding is no row.</exception>
    /// <exception cref="NotSupportedException">The mode is max, the type a half-precision one, or the estimator does not fit the posterior.</exception>
    public BayesEmbeddingBag(
        long rows, long columns, EmbeddingBagMode mode = EmbeddingBagMode.Mean, bool includesLastOffset = false, long? paddingIndex = null,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        : this(rows, columns, mode, includesLastOffset, Table.PaddingRow(rows, paddingIndex), () => Table.Draw(rows, columns, paddingIndex, device, dtype), options)
    {
    }

    /// <summary>Creates a table whose means start at given ones, such as those of a trained <c>nn.EmbeddingBag</c>.</summary>
    /// <param name="table">(rows, columns), the padding row included, which is not read; copied. Its type and device become the layer's.</param>
    /// <param name="mode">Sum or mean.</param>
    /// <param name="includesLastOffset">Whether the last offset is the end of the last bag in place of a bag's beginning.</param>
    /// <param name="paddingIndex">The row whose entries do not count; negative from the end; null for none.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException"><paramref name="table"/> is no table.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The padding is no row.</exception>
    /// <exception cref="NotSupportedException">The mode is max, the type a half-precision one, or the estimator does not fit the posterior.</exception>
    public BayesEmbeddingBag(
        Tensor table, EmbeddingBagMode mode = EmbeddingBagMode.Mean, bool includesLastOffset = false, long? paddingIndex = null, BayesOptions? options = null)
        : this(
            Table.RowsOf(table), table.size(1), mode, includesLastOffset, Table.PaddingRow(table.size(0), paddingIndex),
            () => Table.Without(table, paddingIndex, mustBeZero: false), options)
    {
    }

    private BayesEmbeddingBag(
        long rows, long columns, EmbeddingBagMode mode, bool includesLastOffset, long? padding, Func<Tensor> initial, BayesOptions? options)
        : base(nameof(BayesEmbeddingBag))
    {
        if (mode is not (EmbeddingBagMode.Sum or EmbeddingBagMode.Mean))
        {
            throw new NotSupportedException(
                $"The largest entry of random rows is no affine map of them, so an embedding bag has no mode {mode}; use bnn.Embedding and take the largest "
                + "entries of its output, or EmbeddingBagMode.Sum or Mean.");
        }

        (Rows, PaddingIndex, Mode, IncludesLastOffset) = (rows, padding, mode, includesLastOffset);
        if (padding is { } row)
            _padding = row;
        Map = new EmbeddingBagMap(padding is null ? rows : rows - 1, columns);
        _layer = new InnerLayer(nameof(BayesEmbeddingBag), Map, () => (initial(), null), options);
        _layer.RegisterIn(this);
    }

    /// <summary>What the layer computes of indices that all count with weight 1.</summary>
    public EmbeddingBagMap Map { get; }

    /// <inheritdoc cref="BayesEmbedding.Rows"/>
    public long Rows { get; }

    /// <inheritdoc cref="BayesEmbedding.PaddingIndex"/>
    public long? PaddingIndex { get; }

    /// <summary>Sum or mean.</summary>
    public EmbeddingBagMode Mode { get; }

    /// <summary>Whether the last offset is the end of the last bag.</summary>
    public bool IncludesLastOffset { get; }

    /// <inheritdoc cref="BayesianLayer.WeightPosterior"/>
    public Posterior WeightPosterior => _layer.WeightPosterior;

    /// <inheritdoc cref="BayesianLayer.WeightPrior"/>
    public Prior WeightPrior => _layer.WeightPrior;

    /// <inheritdoc/>
    public Estimator Estimator
    {
        get => _layer.Estimator;
        set => _layer.Estimator = value;
    }

    /// <inheritdoc/>
    public NoiseSource Noise => _layer.Noise;

    /// <inheritdoc/>
    public IReadOnlyList<(Posterior Posterior, Prior Prior)> DivergenceTerms => _layer.DivergenceTerms;

    /// <inheritdoc/>
    public string? WhyNot(Estimator estimator) => _layer.WhyNot(estimator);

    /// <inheritdoc/>
    public Tensor KlDivergence() => _layer.KlDivergence();

    /// <inheritdoc cref="BayesEmbedding.WithPadding"/>
    public Tensor WithPadding(Tensor values)
    {
        ArgumentNullException.ThrowIfNull(values);
        return Table.With(values, PaddingIndex);
    }

    /// <summary>The output for bags of one size.</summary>
    /// <param name="input">(bags, entries).</param>
    public Tensor call(Tensor input) => call(input, null, null);

    /// <summary>The output for bags that begin at given offsets.</summary>
    /// <param name="input">(entries).</param>
    /// <param name="offsets">(bags), ascending from 0.</param>
    public Tensor call(Tensor input, Tensor offsets) => call(input, offsets, null);

    /// <summary>The layer's output with noise as the estimator draws it, fresh at every call.</summary>
    /// <param name="input">Indices, (bags, entries), or (entries) with <paramref name="offsets"/>.</param>
    /// <param name="offsets">(bags), ascending from 0; null with (bags, entries).</param>
    /// <param name="perSampleWeights">A weight for each index, in the shape of the input, for sums; null for 1.</param>
    /// <returns>(bags, columns); zero for an empty bag.</returns>
    /// <exception cref="ArgumentException">Shapes or types do not fit, offsets do not ascend from 0, or a mean is given weights.</exception>
    public override Tensor forward(Tensor input, Tensor? offsets, Tensor? perSampleWeights)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (perSampleWeights is not null && (Mode != EmbeddingBagMode.Sum || !perSampleWeights.shape.AsSpan().SequenceEqual(input.shape)))
        {
            throw new ArgumentException(
                $"Weights of shape {Guard.Format(perSampleWeights.shape)} for indices of shape {Guard.Format(input.shape)} in mode {Mode}; weights go with "
                + "EmbeddingBagMode.Sum and have the indices' shape.", nameof(perSampleWeights));
        }

        using var scope = NewDisposeScope();
        (Tensor entries, Tensor? counts) = offsets is null ? (input, null) : Bags.Of(input, offsets, IncludesLastOffset, ref perSampleWeights);
        if (_padding is not null)
        {
            entries = Table.Renumber(entries, _padding, out Tensor kept);
            counts = counts is null ? kept : counts.logical_and(kept);
        }

        if (entries.dim() == 2 && entries.size(1) == 0)
            return zeros([entries.size(0), Map.OutputChannels], dtype: WeightPosterior.Mean.dtype, device: input.device).MoveToOuterDisposeScope();
        try
        {
            return _layer.Draw(new EmbeddingBagMap(Map.InputChannels, Map.OutputChannels, Shares(entries, counts, perSampleWeights)), entries)
                .MoveToOuterDisposeScope();
        }
        catch (ExternalException) when (input.numel() > 0 && Table.OutOfRange(input, Rows) is { } index)
        {
            throw new ArgumentOutOfRangeException(nameof(input), index, $"The input holds the index {index}; the table has the rows 0 to {Rows - 1}.");
        }
    }

    /// <summary>The weights p of the entries, in their shape; null where all are 1.</summary>
    private Tensor? Shares(Tensor entries, Tensor? counts, Tensor? weights)
    {
        ScalarType type = WeightPosterior.Mean.dtype;
        Tensor? shares = counts?.to(type);
        if (weights is not null)
            return shares is null ? weights.to(type) : shares.mul(weights.to(type));
        if (Mode == EmbeddingBagMode.Sum)
            return shares;
        shares ??= ones(entries.shape, dtype: type, device: entries.device);
        return shares.div(shares.sum(dim: -1, keepdim: true).clamp_min(Scalars.One));
    }

    /// <summary>The layer's parts in one line.</summary>
    public override string ToString() => _layer.ToString();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _layer.Dispose();
        base.Dispose(disposing);
    }
}
