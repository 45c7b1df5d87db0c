using BayesNet.Kernels;
using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Maps;

/// <summary>
/// A convolution over one, two or three spatial dimensions (cross-correlation, as <c>nn.Conv1d/2d/3d</c> compute it) with stride,
/// padding in numbers or "same" or "valid", dilation, groups and padding modes.
/// </summary>
public sealed class ConvolutionMap : AffineMap, ILocalProducts
{
    private readonly long[] _weightShape;
    private readonly long[] _stride;
    private readonly long[] _padding;
    private readonly long[] _dilation;
    private readonly long[]? _explicitPadding;
    private readonly PaddingModes _explicitMode;
    private readonly long _groups;

    /// <summary>Creates the map; every list has one entry a spatial dimension, in the order of the input's dimensions.</summary>
    /// <param name="inputChannels">Channels of the input.</param>
    /// <param name="outputChannels">Channels of the output.</param>
    /// <param name="kernelSize">Kernel extents; its length (1, 2 or 3) is the number of spatial dimensions.</param>
    /// <param name="stride">Steps; null for 1.</param>
    /// <param name="padding">Cells added on both sides; null for 0.</param>
    /// <param name="samePadding">
    /// Pad so that the output has the input's extent, the odd cell on the far side; replaces <paramref name="padding"/>.
    /// </param>
    /// <param name="dilation">Distances between kernel cells; null for 1.</param>
    /// <param name="groups">Number of groups; divides both channel counts.</param>
    /// <param name="paddingMode">What the padding holds: zeros, reflect, replicate or circular.</param>
    /// <exception cref="ArgumentException">Lengths differ, groups do not divide the channels, or "same" meets a stride above 1.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A number is too small.</exception>
    public ConvolutionMap(
        long inputChannels,
        long outputChannels,
        ReadOnlySpan<long> kernelSize,
        long[]? stride = null,
        long[]? padding = null,
        bool samePadding = false,
        long[]? dilation = null,
        long groups = 1,
        PaddingModes paddingMode = PaddingModes.Zeros)
    {
        Guard.AtLeastOne(inputChannels);
        Guard.AtLeastOne(outputChannels);
        Guard.AtLeastOne(groups);
        if (kernelSize.Length is < 1 or > 3)
            throw new ArgumentException($"A convolution has 1, 2 or 3 spatial dimensions; the kernel has {kernelSize.Length}.", nameof(kernelSize));
        if (inputChannels % groups != 0 || outputChannels % groups != 0)
        {
            throw new ArgumentException(
                $"groups = {groups} must divide the input channels ({inputChannels}) and the output channels ({outputChannels}).", nameof(groups));
        }

        Dimensions = kernelSize.Length;
        InputChannels = inputChannels;
        OutputChannels = outputChannels;
        _groups = groups;
        _stride = Check(stride, 1, 1, nameof(stride));
        _dilation = Check(dilation, 1, 1, nameof(dilation));
        _padding = Check(padding, 0, 0, nameof(padding));
        _weightShape = [outputChannels, inputChannels / groups, .. Check(kernelSize.ToArray(), 1, 1, nameof(kernelSize))];

        if (samePadding && _stride.Any(step => step != 1))
            throw new ArgumentException("Padding.Same needs a stride of 1: with a larger one no padding keeps the extent. Give padding in numbers.", nameof(stride));
        (SamePadding, PaddingMode, Padding) = (samePadding, paddingMode, [.. _padding]);
        (_explicitPadding, _explicitMode) = ResolvePadding(samePadding, paddingMode);
    }

    /// <summary>The number of spatial dimensions: 1, 2 or 3.</summary>
    public int Dimensions { get; }

    /// <summary>Extents of the kernel, one a spatial dimension, as in all the lists.</summary>
    public IReadOnlyList<long> KernelSize => _weightShape[2..];

    /// <summary>Steps of the kernel.</summary>
    public IReadOnlyList<long> Stride => _stride;

    /// <summary>Cells added on both sides; of no meaning where <see cref="SamePadding"/>.</summary>
    public IReadOnlyList<long> Padding { get; }

    /// <summary>Whether the padding keeps the input's extent.</summary>
    public bool SamePadding { get; }

    /// <summary>What the padding holds.</summary>
    public PaddingModes PaddingMode { get; }

    /// <summary>Distances between kernel cells.</summary>
    public IReadOnlyList<long> Dilation => _dilation;

    /// <summary>Number of groups.</summary>
    public long Groups => _groups;

    /// <summary>This map, if it has the given number of spatial dimensions.</summary>
    /// <exception cref="ArgumentException">It has another.</exception>
    public ConvolutionMap WithDimensions(int dimensions)
        => Dimensions == dimensions
            ? this
            : throw new ArgumentException($"The map is a {Dimensions}-d convolution where a {dimensions}-d one is needed.", nameof(dimensions));

    /// <inheritdoc/>
    public override ReadOnlySpan<long> WeightShape => _weightShape;

    /// <inheritdoc/>
    public override long OutputChannels { get; }

    /// <inheritdoc/>
    public override long InputChannels { get; }

    /// <inheritdoc/>
    public override bool IsBatched(Tensor input)
    {
        long rank = input.dim();
        int channelDimension = (int)rank - Dimensions - 1;
        if (channelDimension is not (0 or 1) || input.size(channelDimension) != InputChannels)
        {
            throw new ArgumentException(
                $"A {Dimensions}-d convolution of {InputChannels} channels got an input of shape {Guard.Format(input.shape)}; it takes "
                + $"(batch, {InputChannels}, {Dimensions} spatial dimensions) or the same without the batch.", nameof(input));
        }

        return channelDimension == 1;
    }

    /// <inheritdoc/>
    public override Tensor Apply(Tensor input, Tensor weight, Tensor? bias) => Convolve(Pad(input), weight, bias, _groups);

    /// <inheritdoc/>
    public override Tensor ApplyPerExample(Tensor input, Tensor weight, Tensor? bias)
    {
        // The batch becomes groups of one convolution: (1, batch * in, ...) with (batch * out, in / groups, ...).
        long batch = input.size(0);
        Tensor padded = Pad(input);
        Tensor folded = padded.reshape([1, batch * InputChannels, .. padded.shape.AsSpan(2)]);
        Tensor result = Convolve(folded, weight.flatten(0, 1), null, batch * _groups);
        Tensor output = result.reshape([batch, OutputChannels, .. result.shape.AsSpan(2)]);
        return bias is null ? output : output.Plus(OverPositions(bias, output.dim()));
    }

    /// <inheritdoc/>
    public override Tensor OverPositions(Tensor perChannel, long rank)
    {
        var shape = new long[rank];
        Array.Fill(shape, 1);
        shape[0] = perChannel.size(0);
        shape[1] = perChannel.size(1);
        return perChannel.reshape(shape);
    }

    /// <inheritdoc/>
    public override int ChannelDimension(long rank) => 1;

    /// <inheritdoc/>
    public override string ToString()
        => $"conv{Dimensions}d {InputChannels} -> {OutputChannels}, kernel {string.Join("x", _weightShape.Skip(2))}";

    Tensor ILocalProducts.Prepare(Tensor input)
    {
        if (_explicitPadding is null)
            return input.contiguous();
        using Tensor padded = Pad(input);
        return padded.contiguous();
    }

    Tensor ILocalProducts.Finish(Tensor product, Tensor input) => product;

    Tensor ILocalProducts.Product(Tensor prepared, Tensor weight, Tensor? bias) => Convolve(prepared, weight, bias, _groups);

    Tensor ILocalProducts.InputGradient(Tensor gradient, Tensor prepared, Tensor weight)
        => ConvolutionGradient.OfInput(gradient, prepared, weight, _stride, _padding, _dilation, _groups);

    void ILocalProducts.WeightGradient(Tensor gradient, Tensor prepared, Tensor target, bool add)
    {
        using Tensor own = ConvolutionGradient.OfWeight(gradient, prepared, target, _stride, _padding, _dilation, _groups);
        if (add)
            target.add_(own, Scalars.One);
        else
            target.copy_(own);
    }

    Tensor ILocalProducts.BiasGradient(Tensor gradient)
    {
        using Tensor perExample = gradient.flatten(2).sum(dim: 2);
        return perExample.sum(dim: 0);
    }

    private Tensor Pad(Tensor input)
        => _explicitPadding is null ? input : nn.functional.pad(input, _explicitPadding, _explicitMode);

    private Tensor Convolve(Tensor input, Tensor weight, Tensor? bias, long groups) => Dimensions switch
    {
        1 => nn.functional.conv1d(input, weight, bias, _stride[0], _padding[0], _dilation[0], groups),
        2 => nn.functional.conv2d(input, weight, bias, _stride, _padding, _dilation, groups),
        _ => nn.functional.conv3d(input, weight, bias, _stride, _padding, _dilation, groups),
    };

    /// <summary>
    /// libtorch's convolution pads with zeros, the same number on both sides. Everything else becomes a padding operation before it,
    /// and then <see cref="_padding"/> is zero.
    /// </summary>
    private (long[]? Explicit, PaddingModes Mode) ResolvePadding(bool same, PaddingModes mode)
    {
        var before = new long[Dimensions];
        var after = new long[Dimensions];
        for (int i = 0; i < Dimensions; i++)
        {
            long total = same ? _dilation[i] * (_weightShape[i + 2] - 1) : 2 * _padding[i];
            before[i] = total / 2;
            after[i] = total - before[i];
        }

        if (mode == PaddingModes.Constant)
            mode = PaddingModes.Zeros;
        bool zeros = mode == PaddingModes.Zeros;
        if (before.All(cells => cells == 0) && after.All(cells => cells == 0))
            return (null, mode);
        if (zeros && before.AsSpan().SequenceEqual(after))
        {
            before.CopyTo(_padding, 0);
            return (null, mode);
        }

        Array.Clear(_padding);
        var cellsLastFirst = new List<long>();
        for (int i = Dimensions - 1; i >= 0; i--)
            cellsLastFirst.AddRange([before[i], after[i]]);
        return ([.. cellsLastFirst], zeros ? PaddingModes.Constant : mode);
    }

    private long[] Check(long[]? values, long byDefault, long least, string name)
    {
        if (values is null)
            return [.. Enumerable.Repeat(byDefault, Dimensions)];
        if (values.Length != Dimensions)
            throw new ArgumentException($"{name} has {values.Length} entries; a {Dimensions}-d convolution needs {Dimensions}.", name);
        foreach (long value in values)
        {
            if (value < least)
                throw new ArgumentOutOfRangeException(name, value, $"{name} must be at least {least}.");
        }

        return [.. values];
    }
}
