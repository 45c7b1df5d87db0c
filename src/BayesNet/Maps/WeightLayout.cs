using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Maps;

/// <summary>
/// Which dimensions of a weight count outputs and inputs: where structured posteriors find the entries that one output reads. The default
/// value is <see cref="OutputsFirst"/>.
/// </summary>
public readonly record struct WeightLayout
{
    // 0 where the outputs come first.
    private readonly long _groups;

    private WeightLayout(long groups) => _groups = groups;

    /// <summary>(out, in / groups, ...): linear layers and convolutions.</summary>
    public static WeightLayout OutputsFirst => default;

    /// <summary>Whether the first dimension counts outputs.</summary>
    public bool IsOutputsFirst => _groups == 0;

    /// <summary>The dimension of the outputs, or of those of one group: 0 or 1.</summary>
    public int OutputDimension => IsOutputsFirst ? 0 : 1;

    /// <summary>The dimension of the inputs, or of those of one group: 1 or 0.</summary>
    public int InputDimension => 1 - OutputDimension;

    /// <summary>Whether the entries of one output are those of one index of <see cref="OutputDimension"/>.</summary>
    internal bool HasOutputDimension => _groups <= 1;

    /// <summary>(in, out / groups, ...): transposed convolutions.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="groups"/> is below 1.</exception>
    public static WeightLayout InputsFirst(long groups = 1) => new(Guard.AtLeastOne(groups));

    /// <summary>The shape of a weight with outputs first.</summary>
    internal long[] ShapeOf(ReadOnlySpan<long> weight)
        => IsOutputsFirst || weight.Length < 2 ? weight.ToArray() : [weight[1] * _groups, weight[0] / _groups, .. weight[2..]];

    /// <summary>Values (L, W) of a weight of shape W as (S, out, in / groups, ...), S the product of L.</summary>
    internal Tensor ToOutputsFirst(Tensor values, ReadOnlySpan<long> weight)
        => IsOutputsFirst || weight.Length < 2
            ? values.reshape([-1, .. weight])
            : Exchange(values, weight[0] / _groups, weight[1], weight[2..], ShapeOf(weight));

    /// <summary>The inverse, for any number of outputs: (S, out, in / groups, ...) as (S, W).</summary>
    internal Tensor FromOutputsFirst(Tensor values)
    {
        if (IsOutputsFirst || values.dim() < 3)
            return values.alias();
        ReadOnlySpan<long> shape = values.shape;
        return Exchange(values, shape[1] / _groups, shape[2], shape[3..], [shape[2] * _groups, shape[1] / _groups, .. shape[3..]]);
    }

    private Tensor Exchange(Tensor values, long first, long second, ReadOnlySpan<long> rest, long[] result)
    {
        using var scope = NewDisposeScope();
        return values.reshape([-1, _groups, first, second, .. rest]).transpose(2, 3).reshape([-1, .. result]).MoveToOuterDisposeScope();
    }
}
