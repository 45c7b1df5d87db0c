using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Maps;

/// <summary>y = w[x], row by row, as <c>nn.Embedding</c> computes it: indices of any shape, first dimension examples; output (..., columns).</summary>
public sealed class EmbeddingMap : LookupMap
{
    /// <summary>Creates the map for a table of <paramref name="rows"/> by <paramref name="columns"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Either is below 1.</exception>
    public EmbeddingMap(long rows, long columns)
        : base(rows, columns)
    {
    }

    /// <inheritdoc/>
    public override bool IsBatched(Tensor input) => input.dim() > 0;

    /// <inheritdoc/>
    public override Tensor Apply(Tensor input, Tensor weight, Tensor? bias)
    {
        if (bias is null)
            return Rows(input, weight);
        using Tensor rows = Rows(input, weight);
        return rows.Plus(bias);
    }

    /// <inheritdoc/>
    public override Tensor ApplySquared(Tensor input, Tensor weight, Tensor? bias) => Apply(input, weight, bias);

    /// <inheritdoc/>
    public override string ToString() => $"embedding {InputChannels} x {OutputChannels}";
}
