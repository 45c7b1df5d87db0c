using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Maps;

/// <summary>
/// y = x o w + b, a weight and a bias for each channel or entry: what normalisation layers do behind the normalisation. The weight is a diagonal
/// matrix.
/// </summary>
public sealed class ScaleMap : AffineMap
{
    private readonly long[] _weightShape;
    private readonly int _leastPositions, _mostPositions;
    private readonly bool _trailing;

    private ScaleMap(ReadOnlySpan<long> shape, bool trailing, int leastPositions, int mostPositions)
    {
        if (shape.Length == 0)
            throw new ArgumentException("The shape has no dimension; give at least one.", nameof(shape));
        foreach (long size in shape)
            OutputChannels *= Guard.AtLeastOne(size, nameof(shape));
        _weightShape = shape.ToArray();
        (_trailing, _leastPositions, _mostPositions) = (trailing, leastPositions, mostPositions);
    }

    /// <inheritdoc/>
    public override ReadOnlySpan<long> WeightShape => _weightShape;

    /// <inheritdoc/>
    public override long OutputChannels { get; } = 1;

    /// <inheritdoc/>
    public override long InputChannels => OutputChannels;

    /// <inheritdoc/>
    public override long FanIn => 1;

    internal override string? WhyNotByOutput => $"each output of a {this} reads one entry, which a structured posterior has no use for";

    /// <summary>A weight for each entry of the last dimensions of an input: (..., <paramref name="shape"/>), as <c>nn.LayerNorm</c> has it.</summary>
    /// <exception cref="ArgumentException"><paramref name="shape"/> is empty.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1.</exception>
    public static ScaleMap OverEntries(params ReadOnlySpan<long> shape) => new(shape, trailing: true, 0, int.MaxValue);

    /// <summary>
    /// A weight for each channel: (batch, <paramref name="channels"/>, positions...), or without the batch where the number of dimensions of
    /// positions is fixed and the input has one less.
    /// </summary>
    /// <param name="channels">The number of channels.</param>
    /// <param name="leastPositions">The least number of dimensions of positions.</param>
    /// <param name="mostPositions">The most.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="channels"/> is below 1.</exception>
    public static ScaleMap OverChannels(long channels, int leastPositions = 0, int mostPositions = int.MaxValue)
        => new([channels], trailing: false, leastPositions, mostPositions);

    /// <inheritdoc/>
    public override bool IsBatched(Tensor input)
    {
        ReadOnlySpan<long> shape = input.shape;
        if (_trailing && shape.Length >= _weightShape.Length && shape[^_weightShape.Length..].SequenceEqual(_weightShape))
            return shape.Length > _weightShape.Length;
        bool fits(int channel, ReadOnlySpan<long> sizes) => sizes.Length > channel && sizes[channel] == OutputChannels
            && sizes.Length - channel - 1 >= _leastPositions && sizes.Length - channel - 1 <= _mostPositions;
        if (!_trailing && fits(1, shape))
            return true;
        if (!_trailing && _leastPositions == _mostPositions && fits(0, shape))
            return false;
        throw new ArgumentException(
            $"A {this} got an input of shape {Guard.Format(shape)}; it takes "
            + (_trailing ? $"{Guard.Format(_weightShape)} as the last dimensions." : $"(batch, {OutputChannels}, positions...)."), nameof(input));
    }

    /// <inheritdoc/>
    public override Tensor Apply(Tensor input, Tensor weight, Tensor? bias)
    {
        using var scope = NewDisposeScope();
        Tensor scaled = input.mul(OverPositions(weight.unsqueeze(0), input.dim()));
        return (bias is null ? scaled : scaled.Plus(OverPositions(bias.unsqueeze(0), input.dim()))).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor ApplyPerExample(Tensor input, Tensor weight, Tensor? bias)
    {
        using var scope = NewDisposeScope();
        Tensor scaled = input.mul(OverPositions(weight, input.dim()));
        return (bias is null ? scaled : scaled.Plus(OverPositions(bias, input.dim()))).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor OverPositions(Tensor perChannel, long rank)
    {
        var shape = new long[rank];
        Array.Fill(shape, 1);
        shape[0] = perChannel.size(0);
        if (_trailing)
            _weightShape.CopyTo(shape, rank - _weightShape.Length);
        else
            shape[1] = OutputChannels;
        return perChannel.reshape(shape);
    }

    /// <inheritdoc/>
    public override int ChannelDimension(long rank) => _trailing ? (int)rank - 1 : 1;

    /// <inheritdoc/>
    public override string ToString() => $"scale {string.Join("x", _weightShape)}";
}
