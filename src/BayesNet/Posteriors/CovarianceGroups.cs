using BayesNet.Maps;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>Which entries of a weight a structured posterior lets covary.</summary>
public enum CovarianceGroups
{
    /// <summary>
    /// The entries that one output reads: a covariance for each output, outputs independent. Outputs are then independent given
    /// the input, and local reparameterization has their exact law.
    /// </summary>
    PerOutput,

    /// <summary>All entries of the weight: one covariance for the layer.</summary>
    PerLayer,
}

/// <summary>A weight of shape W seen as groups of entries, (groups, entries of one).</summary>
internal readonly record struct WeightGroups
{
    private readonly long[] _shape, _outputsFirst;
    private readonly WeightLayout _layout;

    public WeightGroups(ReadOnlySpan<long> shape, CovarianceGroups groups, WeightLayout layout)
    {
        long count = 1;
        foreach (long size in shape)
            count *= size;
        _layout = groups == CovarianceGroups.PerLayer ? WeightLayout.OutputsFirst : layout;
        _shape = shape.ToArray();
        _outputsFirst = _layout.ShapeOf(shape);
        if (!Enum.IsDefined(groups))
            throw new ArgumentOutOfRangeException(nameof(groups), groups, "groups must be PerOutput or PerLayer.");
        Groups = groups == CovarianceGroups.PerLayer || shape.Length == 0 ? 1 : _outputsFirst[0];
        Size = count / Groups;
    }

    /// <summary>The number of groups G.</summary>
    public long Groups { get; }

    /// <summary>The entries n of one group.</summary>
    public long Size { get; }

    /// <summary>(L, W) or (W) as (S, G, n), S the product of L.</summary>
    public Tensor Split(Tensor value)
    {
        using Tensor outputsFirst = _layout.ToOutputsFirst(value, _shape);
        return outputsFirst.reshape(-1, Groups, Size);
    }

    /// <summary>The inverse: (S, G, n) in the given shape, (L, W) or (W).</summary>
    public Tensor Join(Tensor groups, ReadOnlySpan<long> shape)
    {
        using Tensor outputsFirst = groups.reshape([-1, .. _outputsFirst]), weights = _layout.FromOutputsFirst(outputsFirst);
        return weights.reshape(shape.ToArray());
    }

    /// <summary>Columns (G, r, n) with the weight's dimensions behind the outputs in the place of n.</summary>
    public Tensor AsWeights(Tensor columns) => columns.reshape([columns.size(0), columns.size(1), .. _outputsFirst.AsSpan(1)]);

    /// <summary>matrix_g e for each draw and group: eps (S, G, m), matrices (G, n, m), result (S, G, n).</summary>
    public static Tensor Multiply(Tensor matrices, Tensor eps)
    {
        using var scope = NewDisposeScope();
        return eps.transpose(0, 1).bmm(matrices.transpose(1, 2)).transpose(0, 1).MoveToOuterDisposeScope();
    }
}
