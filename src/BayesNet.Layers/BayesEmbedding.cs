using System.Runtime.InteropServices;
using BayesNet.Maps;
using BayesNet.Prediction;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Layers;

/// <summary>
/// A Bayesian <c>nn.Embedding</c>: input indices of any shape, int64 or int32, output (..., columns). Every row of the table is a weight of its own.
/// </summary>
/// <remarks>
/// <para>
/// The first dimension of an input counts examples. Local reparameterization draws noise for every index of the input, so it drops one
/// covariance: that between two places of one example that name the same row, sigma^2 of it. Where no row comes twice in an example, it
/// is weights per example. Shared weights, weights per example and flipout give equal indices equal noise, in the batch or in the example.
/// </para>
/// <para>
/// Posteriors with independent entries draw the rows that are looked up, not the table; others draw the whole table. The KL divergence is that of
/// the table. A padding row is zero, has no posterior and does not count: with one, <c>weight.*</c> has a row less, and the rows behind it move up.
/// </para>
/// </remarks>
public sealed class BayesEmbedding : BayesianLayer
{
    private readonly Scalar? _padding;

    /// <summary>Creates a table whose initial means are standard normal draws, as those of <c>nn.Embedding</c>.</summary>
    /// <param name="rows">The number of rows, that of the padding included.</param>
    /// <param name="columns">The number of columns.</param>
    /// <param name="paddingIndex">The row that is zero and has no posterior; negative from the end; null for none.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1, or the padding is no row.</exception>
    /// <exception cref="NotSupportedException">The type is a half-precision one, or the estimator does not fit the posterior.</exception>
    public BayesEmbedding(
        long rows, long columns, long? paddingIndex = null, Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        : this(rows, columns, Table.PaddingRow(rows, paddingIndex), () => Table.Draw(rows, columns, paddingIndex, device, dtype), options)
    {
    }

    /// <summary>Creates a table whose means start at given ones, such as those of a trained <c>nn.Embedding</c>.</summary>
    /// <param name="table">(rows, columns), the padding row included; copied. Its type and device become the layer's.</param>
    /// <param name="paddingIndex">The row that is zero and has no posterior; negative from the end; null for none.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException"><paramref name="table"/> is no table, or its padding row is not zero.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The padding is no row.</exception>
    /// <exception cref="NotSupportedException">The type is a half-precision one, or the estimator does not fit the posterior.</exception>
    public BayesEmbedding(Tensor table, long? paddingIndex = null, BayesOptions? options = null)
        : this(Table.RowsOf(table), table.size(1), Table.PaddingRow(table.size(0), paddingIndex), () => Table.Without(table, paddingIndex, mustBeZero: true), options)
    {
    }

    private BayesEmbedding(long rows, long columns, long? padding, Func<Tensor> initial, BayesOptions? options)
        : base(nameof(BayesEmbedding), new EmbeddingMap(padding is null ? rows : rows - 1, columns), () => (initial(), null), options)
    {
        (Rows, PaddingIndex) = (rows, padding);
        if (padding is { } row)
            _padding = row;
    }

    /// <summary>The number of rows, that of the padding included: what an index must be below.</summary>
    public long Rows { get; }

    /// <summary>The padding row, or null where there is none.</summary>
    public long? PaddingIndex { get; }

    /// <summary>Values of the rows that have a posterior, such as its means, as the table of the twin, zero in the padding row.</summary>
    /// <param name="values">(rows with a posterior, columns).</param>
    public Tensor WithPadding(Tensor values)
    {
        ArgumentNullException.ThrowIfNull(values);
        return Table.With(values, PaddingIndex);
    }

    private protected override Tensor Compute(Tensor input)
    {
        try
        {
            return _padding is null ? Output(Map, input) : Padded(input);
        }
        catch (ExternalException) when (input.numel() > 0 && Table.OutOfRange(input, Rows) is { } index)
        {
            throw new ArgumentOutOfRangeException(nameof(input), index, $"The input holds the index {index}; the table has the rows 0 to {Rows - 1}.");
        }
    }

    private Tensor Padded(Tensor input)
    {
        using var scope = NewDisposeScope();
        Tensor output = Output(Map, Table.Renumber(input, _padding!, out Tensor kept));
        Tensor mask = kept.dim() == 0 ? kept.alias() : PassEstimator.Repeat(kept, output.size(0) / Math.Max(1, kept.size(0)));
        return output.mul(mask.unsqueeze(-1).to(output.dtype)).MoveToOuterDisposeScope();
    }
}
