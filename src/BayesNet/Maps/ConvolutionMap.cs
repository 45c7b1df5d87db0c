using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Maps;

/// <summary>
/// A convolution over one, two or three spatial dimensions (cross-correlation, as <c>nn.Conv1d/2d/3d</c> compute it) with stride,
/// padding in numbers or "same" or "valid", dilation, groups and padding modes.
/// </summary>
public sealed class ConvolutionMap : SpatialMap
{
    private readonly long[] _weightShape;
    private readonly long[]? _explicitPadding;
    private readonly PaddingModes _explicitMode;

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
        : base("convolution", inputChannels, outputChannels, kernelSize, stride, padding, null, dilation, groups, isTransposed: false)
    {
        _weightShape = [outputChannels, inputChannels / groups, .. KernelSize];
        if (samePadding && Geometry.Stride.Any(step => step != 1))
            throw new ArgumentException("Padding.Same needs a stride of 1: with a larger one no padding keeps the extent. Give padding in numbers.", nameof(stride));
        (SamePadding, PaddingMode, Padding) = (samePadding, paddingMode, [.. Geometry.Padding]);
        (_explicitPadding, _explicitMode) = ResolvePadding(samePadding, paddingMode);
    }

    /// <inheritdoc/>
    public override ReadOnlySpan<long> WeightShape => _weightShape;

    /// <summary>Cells added on both sides, by number; none where <see cref="SamePadding"/>.</summary>
    public IReadOnlyList<long> Padding { get; }

    /// <summary>Whether the padding keeps the input's extent.</summary>
    public bool SamePadding { get; }

    /// <summary>What the padding holds.</summary>
    public PaddingModes PaddingMode { get; }

    /// <summary>This map, if it has the given number of spatial dimensions.</summary>
    /// <exception cref="ArgumentException">It has another.</exception>
    public ConvolutionMap WithDimensions(int dimensions)
    {
        Require(dimensions);
        return this;
    }

    /// <inheritdoc/>
    public override string ToString()
        => $"conv{Dimensions}d {InputChannels} -> {OutputChannels}, kernel {string.Join("x", KernelSize)}";

    private protected override Tensor Pad(Tensor input)
        => _explicitPadding is null ? base.Pad(input) : nn.functional.pad(input, _explicitPadding, _explicitMode);

    private protected override Tensor Convolve(Tensor input, Tensor weight, Tensor? bias, long groups) => Dimensions switch
    {
        1 => nn.functional.conv1d(input, weight, bias, Geometry.Stride[0], Geometry.Padding[0], Geometry.Dilation[0], groups),
        2 => nn.functional.conv2d(input, weight, bias, Geometry.Stride, Geometry.Padding, Geometry.Dilation, groups),
        _ => nn.functional.conv3d(input, weight, bias, Geometry.Stride, Geometry.Padding, Geometry.Dilation, groups),
    };

    /// <summary>
    /// libtorch's convolution pads with zeros, the same number on both sides. Everything else becomes a padding operation before it,
    /// and then the geometry's padding is zero.
    /// </summary>
    private (long[]? Explicit, PaddingModes Mode) ResolvePadding(bool same, PaddingModes mode)
    {
        var before = new long[Dimensions];
        var after = new long[Dimensions];
        for (int i = 0; i < Dimensions; i++)
        {
            long total = same ? Geometry.Dilation[i] * (KernelSize[i] - 1) : 2 * Geometry.Padding[i];
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
            before.CopyTo(Geometry.Padding, 0);
            return (null, mode);
        }

        Array.Clear(Geometry.Padding);
        var cellsLastFirst = new List<long>();
        for (int i = Dimensions - 1; i >= 0; i--)
            cellsLastFirst.AddRange([before[i], after[i]]);
        return ([.. cellsLastFirst], zeros ? PaddingModes.Constant : mode);
    }
}
