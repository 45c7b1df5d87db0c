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
    private readonly bool _trailing, _allowsNoBatch;
    private readonly int? _positions;

    private ScaleMap(ReadOnlySpan<long> shape, bool trailing, int? positions, bool allowsNoBatch)
    {
        if (shape.Length == 0)
            throw new ArgumentException("The shape has no dimension; give at least one.", nameof(shape));
        foreach (long size in shape)
            OutputChannels *= Guard.AtLeastOne(size, nameof(shape));
        _weightShape = shape.ToArray();
        (_trailing, _positions, _allowsNoBatch) = (trailing, positions, allowsNoBatch);
    }

    /// <inheritdoc/>
    public override ReadOnlySpan<long> WeightShape => _weightShape;

    /// <inheritdoc/>
    public override long OutputChannels { get; } = 1;

    /// <inheritdoc/>
    public override long InputChannels => OutputChannels;

    /// <inheritdoc/>
    public override long FanIn => 1;

    internal override long Summands => 1;

    internal override string? WhyNotByOutput => $"each output of {this} reads one entry of a row";

    /// <summary>A weight for each entry of the last dimensions of an input: (..., <paramref name="shape"/>), as <c>nn.LayerNorm</c> has it.</summary>
    /// <exception cref="ArgumentException"><paramref name="shape"/> is empty.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1.</exception>
    public static ScaleMap OverEntries(params ReadOnlySpan<long> shape) => new(shape, trailing: true, null, allowsNoBatch: true);

    /// <summary>A weight for each channel: (batch, <paramref name="channels"/>, positions...).</summary>
    /// <param name="channels">The number of channels.</param>
    /// <param name="positions">The number of dimensions of positions, or null for any.</param>
    /// <param name="allowsNoBatch">Whether an input may come without its batch, where the number of dimensions tells.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="channels"/> is below 1.</exception>
    public static ScaleMap OverChannels(long channels, int? positions = null, bool allowsNoBatch = false)
        => new([channels], trailing: false, positions, allowsNoBatch);

    /// <inheritdoc/>
    public override bool IsBatched(Tensor input)
    {
        ReadOnlySpan<long> shape = input.shape;
        if (_trailing && shape.Length >= _weightShape.Length && shape[^_weightShape.Length..].SequenceEqual(_weightShape))
            return shape.Length > _weightShape.Length;
        if (!_trailing && Fits(shape, channel: 1))
            return true;
        if (!_trailing && _allowsNoBatch && _positions is not null && Fits(shape, channel: 0))
            return false;
        throw new ArgumentException(
            $"The map {this} got an input of shape {Guard.Format(shape)}; it takes "
            + (_trailing ? $"{Guard.Format(_weightShape)} as the last dimensions." : $"(batch, {OutputChannels}, positions...)."), nameof(input));
    }

    private bool Fits(ReadOnlySpan<long> shape, int channel)
        => shape.Length > channel && shape[channel] == OutputChannels && (_positions is not { } count || shape.Length - channel - 1 == count);

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
