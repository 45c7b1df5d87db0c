using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Maps;

/// <summary>
/// What a layer computes from an input and a weight: a function f(x, w, b) that is linear in x for a fixed w, and linear in w for a
/// fixed x, plus a bias per output channel. Every estimator is written once against this class; a new map is one new subclass.
/// </summary>
/// <remarks>
/// Every tensor that a map is given has a leading batch dimension; one entry of it is an <em>example</em>. The other dimensions that
/// are not channels (sequence positions, pixels) are <em>positions</em>.
/// </remarks>
public abstract class AffineMap
{
    /// <summary>The shape of the weight, output channels first: (out, in) for linear, (out, in / groups, kernel...) for a convolution.</summary>
    public abstract ReadOnlySpan<long> WeightShape { get; }

    /// <summary>The number of output channels, which is the length of the bias.</summary>
    public abstract long OutputChannels { get; }

    /// <summary>The number of input channels.</summary>
    public abstract long InputChannels { get; }

    /// <summary>The number of inputs that one output reads; TorchSharp's layers draw their initial weights by it.</summary>
    public long FanIn
    {
        get
        {
            long product = 1;
            foreach (long size in WeightShape[1..])
                product *= size;
            return product;
        }
    }

    /// <summary>Whether an input has a batch dimension; refuses inputs that do not fit.</summary>
    /// <param name="input">An input that the caller has; its shape decides whether it has a batch dimension.</param>
    /// <returns>True where the first dimension of <paramref name="input"/> counts examples.</returns>
    /// <exception cref="ArgumentException">The input's dimensions or channels do not fit this map.</exception>
    public abstract bool IsBatched(Tensor input);

    /// <summary>f(x, w, b) with one weight for the whole batch.</summary>
    /// <param name="input">(batch, ...) as the map takes it.</param>
    /// <param name="weight">Shape <see cref="WeightShape"/>.</param>
    /// <param name="bias">Shape (out) or null.</param>
    public abstract Tensor Apply(Tensor input, Tensor weight, Tensor? bias);

    /// <summary>f(x_n, w_n, b_n): a weight for each example.</summary>
    /// <param name="input">(batch, ...) as the map takes it.</param>
    /// <param name="weight">(batch, <see cref="WeightShape"/>).</param>
    /// <param name="bias">(batch, out) or null.</param>
    public abstract Tensor ApplyPerExample(Tensor input, Tensor weight, Tensor? bias);

    /// <summary>Reshapes (batch, channels) so that it broadcasts over the positions of an input or output with <paramref name="rank"/> dimensions.</summary>
    public abstract Tensor OverPositions(Tensor perChannel, long rank);

    /// <summary>Which dimension of an output with <paramref name="rank"/> dimensions, batch included, counts its channels.</summary>
    public abstract int ChannelDimension(long rank);

    /// <summary>sum_r f(x, c_r)^2 for weights c_1, c_2, ... that differ in nothing but their index, in one application of the map.</summary>
    /// <param name="input">(batch, ...) as the map takes it.</param>
    /// <param name="columns">(channels, columns, the weight's dimensions behind the first).</param>
    /// <returns>The map's output shape with <c>channels</c> channels.</returns>
    internal Tensor SumOfSquares(Tensor input, Tensor columns)
    {
        using var scope = NewDisposeScope();
        Tensor images = Apply(input, columns.flatten(0, 1), null);
        int channel = ChannelDimension(images.dim());
        ReadOnlySpan<long> shape = images.shape;
        long[] split = [.. shape[..channel], columns.size(0), columns.size(1), .. shape[(channel + 1)..]];
        return images.reshape(split).Squared().sum(dim: channel + 1).MoveToOuterDisposeScope();
    }

    /// <summary>A short description for messages and summaries, such as <c>linear 8 -> 50</c>.</summary>
    public abstract override string ToString();
}
