using BayesNet.Estimators;
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
    /// <summary>
    /// The shape of the weight, as TorchSharp's twin has it: (out, in) for linear, (out, in / groups, kernel...) for a convolution; see
    /// <see cref="Layout"/>.
    /// </summary>
    public abstract ReadOnlySpan<long> WeightShape { get; }

    /// <summary>Which dimensions of the weight count outputs and inputs; outputs first unless the map says otherwise.</summary>
    public virtual WeightLayout Layout => WeightLayout.OutputsFirst;

    /// <summary>The number of output channels, which is the length of the bias.</summary>
    public abstract long OutputChannels { get; }

    /// <summary>The number of input channels.</summary>
    public abstract long InputChannels { get; }

    /// <summary>
    /// What TorchSharp's layers draw their initial weights by, uniform within 1 / sqrt(fan-in): the entries behind the weight's first
    /// dimension, which is the number of inputs that one output reads where outputs come first.
    /// </summary>
    public virtual long FanIn => Product(WeightShape[1..]);

    /// <summary>The number of terms that one output adds up, before padding and strides leave some out: the fan-in that a prior goes by.</summary>
    internal virtual long Summands => Product(Layout.ShapeOf(WeightShape).AsSpan(1));

    /// <summary>The number of entries of the weight.</summary>
    internal long WeightEntries => Product(WeightShape);

    /// <summary>
    /// Why the map is not linear in its weight, as the end of a sentence about it; null where it is. Estimators that draw outputs or deviations
    /// then do not apply, those that draw weights do.
    /// </summary>
    internal virtual string? WhyNotLinear => null;

    /// <summary>
    /// Why the outputs of one example and position do not each read the entries of one output of <see cref="Layout"/>, which is what
    /// local reparameterization of a structured posterior needs; null where they do.
    /// </summary>
    internal virtual string? WhyNotByOutput => null;

    /// <summary>Whether an input has a batch dimension; refuses inputs that do not fit.</summary>
    /// <param name="input">An input that the caller has; its shape decides whether it has a batch dimension.</param>
    /// <returns>True where the first dimension of <paramref name="input"/> counts examples.</returns>
    /// <exception cref="ArgumentException">The input's dimensions or channels do not fit this map.</exception>
    public abstract bool IsBatched(Tensor input);

    /// <summary>Whether every output reads every input channel.</summary>
    internal virtual bool HasOneGroup => Layout.HasOutputDimension && WeightShape[Layout.InputDimension] == InputChannels;

    /// <summary>Why an input's type does not fit a weight's, as the end of a sentence that begins with the layer; null where it does.</summary>
    internal virtual string? WhyNotType(ScalarType input, ScalarType weight)
        => input == weight ? null : $"is {weight} and got an input of {input}; convert one of them with .to()";

    /// <summary>f(x, w, b) with one weight for the whole batch.</summary>
    /// <param name="input">(batch, ...) as the map takes it.</param>
    /// <param name="weight">Shape <see cref="WeightShape"/>.</param>
    /// <param name="bias">Shape (out) or null.</param>
    public abstract Tensor Apply(Tensor input, Tensor weight, Tensor? bias);

    /// <summary>
    /// The variances of the outputs given those of independent entries of weight and bias: f(x^2, v, v_b), the squares of what each output
    /// multiplies the entries by.
    /// </summary>
    /// <inheritdoc cref="Apply"/>
    public virtual Tensor ApplySquared(Tensor input, Tensor weight, Tensor? bias)
    {
        using Tensor square = input.Squared();
        return Apply(square, weight, bias);
    }

    /// <summary>f(x_n, w_n, b_n): a weight for each example.</summary>
    /// <param name="input">(batch, ...) as the map takes it.</param>
    /// <param name="weight">(batch, <see cref="WeightShape"/>).</param>
    /// <param name="bias">(batch, out) or null.</param>
    public abstract Tensor ApplyPerExample(Tensor input, Tensor weight, Tensor? bias);

    /// <summary>Reshapes (batch, channels) so that it broadcasts over the positions of an input or output with <paramref name="rank"/> dimensions.</summary>
    public abstract Tensor OverPositions(Tensor perChannel, long rank);

    /// <summary>Which dimension of an output with <paramref name="rank"/> dimensions, batch included, counts its channels.</summary>
    public abstract int ChannelDimension(long rank);

    /// <summary>The input with random signs, one for each example and input channel: those of flipout.</summary>
    internal virtual Tensor Flip(Tensor input, NoiseSource noise)
    {
        using var scope = NewDisposeScope();
        Tensor signs = noise.Signs([input.size(0), InputChannels], input.dtype, input.device);
        return input.mul(OverPositions(signs, input.dim())).MoveToOuterDisposeScope();
    }

    /// <summary>sum_r f(x, c_r)^2 for weights c_1, c_2, ... that differ in nothing but their index, in one application of the map.</summary>
    /// <param name="input">(batch, ...) as the map takes it.</param>
    /// <param name="columns">(channels, columns, the weight's dimensions behind the first where outputs come first).</param>
    /// <returns>The map's output shape with <c>channels</c> channels.</returns>
    internal Tensor SumOfSquares(Tensor input, Tensor columns)
    {
        using var scope = NewDisposeScope();
        Tensor weights = Layout.FromOutputsFirst(columns.flatten(0, 1).unsqueeze(0)).squeeze(0);
        Tensor images = Apply(input, weights, null);
        int channel = ChannelDimension(images.dim());
        ReadOnlySpan<long> shape = images.shape;
        long[] split = [.. shape[..channel], columns.size(0), columns.size(1), .. shape[(channel + 1)..]];
        return images.reshape(split).Squared().sum(dim: channel + 1).MoveToOuterDisposeScope();
    }

    private static long Product(ReadOnlySpan<long> sizes)
    {
        long product = 1;
        foreach (long size in sizes)
            product *= size;
        return product;
    }

    /// <summary>A short description for messages and summaries, such as <c>linear 8 -> 50</c>.</summary>
    public abstract override string ToString();
}
