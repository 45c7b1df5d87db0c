using BayesNet.Estimators;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Maps;

/// <summary>
/// y_n = sum_l p_nl w[x_nl]: sums of a table's rows with given weights, as <c>nn.EmbeddingBag</c> computes sums and means. Input (bags, entries)
/// of indices, output (bags, columns).
/// </summary>
/// <remarks>A row that comes twice in a bag counts with the sum of its weights, in variances too: (p_1 + p_2)^2 sigma^2.</remarks>
public sealed class EmbeddingBagMap : LookupMap
{
    private readonly Tensor? _shares;

    /// <summary>Creates the map for a table of <paramref name="rows"/> by <paramref name="columns"/>.</summary>
    /// <param name="rows">Rows of the table.</param>
    /// <param name="columns">Columns of the table.</param>
    /// <param name="shares">p, (bags, entries) as the input will be, or null for 1; kept, not copied.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1.</exception>
    public EmbeddingBagMap(long rows, long columns, Tensor? shares = null)
        : base(rows, columns)
        => _shares = shares;

    /// <inheritdoc/>
    public override bool IsBatched(Tensor input)
        => input.dim() == 2 && (_shares is null || input.shape.AsSpan().SequenceEqual(_shares.shape))
            ? true
            : throw new ArgumentException(
                $"An embedding bag got indices of shape {Guard.Format(input.shape)}; it takes (bags, entries)"
                + (_shares is null ? "." : $", here {Guard.Format(_shares.shape)}."), nameof(input));

    /// <inheritdoc/>
    public override Tensor Apply(Tensor input, Tensor weight, Tensor? bias) => Sum(input, weight, bias, _shares);

    /// <inheritdoc/>
    public override Tensor ApplySquared(Tensor input, Tensor weight, Tensor? bias)
    {
        // With P the sum of a row's weights in its bag, the sum over distinct rows of P^2 is that over entries of p P.
        using var scope = NewDisposeScope();
        Tensor shares = _shares ?? ones(input.shape, dtype: weight.dtype, device: weight.device);
        (Tensor keys, Tensor places) = Lookups.Distinct(InTableOfExample(input, InputChannels));
        Tensor totals = zeros(keys.shape, dtype: shares.dtype, device: shares.device).index_add(0, places.flatten(), shares.flatten(), Scalars.One);
        Tensor total = totals.index_select(0, places.flatten()).reshape(input.shape);
        return Sum(input, weight, bias, shares.mul(total)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override string ToString() => $"embedding bag {InputChannels} x {OutputChannels}";

    private static Tensor Sum(Tensor input, Tensor weight, Tensor? bias, Tensor? shares)
    {
        using var scope = NewDisposeScope();
        Tensor rows = Rows(input, weight);
        Tensor sum = shares is null ? rows.sum(dim: 1) : shares.to(weight.dtype).unsqueeze(1).bmm(rows).squeeze(1);
        return (bias is null ? sum : sum.Plus(bias)).MoveToOuterDisposeScope();
    }
}
