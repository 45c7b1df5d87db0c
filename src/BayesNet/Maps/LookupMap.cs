using BayesNet.Estimators;
using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Maps;

/// <summary>
/// A map whose input is indices of rows of its weight, a table (rows, columns): linear in the table. Each row that is looked up is a weight of its
/// own.
/// </summary>
public abstract class LookupMap : AffineMap
{
    private readonly long[] _weightShape;

    private protected LookupMap(long rows, long columns) => _weightShape = [Guard.AtLeastOne(rows), Guard.AtLeastOne(columns)];

    /// <inheritdoc/>
    public sealed override ReadOnlySpan<long> WeightShape => _weightShape;

    /// <inheritdoc/>
    public sealed override long OutputChannels => _weightShape[1];

    /// <inheritdoc/>
    /// <remarks>The rows of the table: an index is a vector of zeros with a 1 at its place.</remarks>
    public sealed override long InputChannels => _weightShape[0];

    // A row is an output by itself, or one of as many as a bag happens to hold.
    internal sealed override long Summands => 1;

    internal sealed override string? WhyNotByOutput => $"the outputs of {this} read a row of the weight together";

    /// <inheritdoc/>
    public sealed override Tensor OverPositions(Tensor perChannel, long rank)
    {
        var shape = new long[rank];
        Array.Fill(shape, 1);
        shape[0] = perChannel.size(0);
        shape[^1] = perChannel.size(1);
        return perChannel.reshape(shape);
    }

    /// <inheritdoc/>
    public sealed override int ChannelDimension(long rank) => (int)rank - 1;

    /// <inheritdoc/>
    public sealed override Tensor ApplyPerExample(Tensor input, Tensor weight, Tensor? bias)
    {
        using var scope = NewDisposeScope();
        Tensor output = Apply(InTableOfExample(input, weight.size(1)), weight.flatten(0, 1), null);
        return (bias is null ? output.alias() : output.Plus(OverPositions(bias, output.dim()))).MoveToOuterDisposeScope();
    }

    internal sealed override string? WhyNotType(ScalarType input, ScalarType weight)
        => input is ScalarType.Int64 or ScalarType.Int32 ? null : $"looks rows up and got an input of {input}; it takes indices, int64 or int32";

    /// <summary>
    /// Flipout's signs of the outputs do alone: with one for each example and column, no two examples' deviations are correlated, and those of an
    /// example keep their law.
    /// </summary>
    internal sealed override Tensor Flip(Tensor input, NoiseSource noise) => input.alias();

    /// <summary>The places of an input's rows in the tables of its examples, one below the other.</summary>
    internal static Tensor InTableOfExample(Tensor input, long rows)
    {
        using var scope = NewDisposeScope();
        long batch = input.size(0);
        using Scalar start = 0L, end = batch * rows, step = rows;
        Tensor first = arange(start, end, step, dtype: ScalarType.Int64, device: input.device);
        return input.PlusWhole(first.reshape([batch, .. Enumerable.Repeat(1L, (int)input.dim() - 1)])).MoveToOuterDisposeScope();
    }

    /// <summary>The rows that an input names, (the input's shape, columns).</summary>
    private protected static Tensor Rows(Tensor input, Tensor table)
    {
        using Tensor flat = input.flatten(), rows = table.index_select(0, flat);
        return rows.reshape([.. input.shape, table.size(1)]);
    }
}
