using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Maps;

/// <summary>
/// A transposed convolution over one, two or three spatial dimensions, as <c>nn.ConvTranspose1d/2d/3d</c> compute it: the gradient of a
/// convolution in its input, with stride, padding, output padding, dilation and groups. The weight is (in, out / groups, kernel...).
/// </summary>
public sealed class TransposedConvolutionMap : SpatialMap
{
    private readonly long[] _weightShape;

    /// <summary>Creates the map; every list has one entry a spatial dimension, in the order of the input's dimensions.</summary>
    /// <param name="inputChannels">Channels of the input.</param>
    /// <param name="outputChannels">Channels of the output.</param>
    /// <param name="kernelSize">Kernel extents; its length (1, 2 or 3) is the number of spatial dimensions.</param>
    /// <param name="stride">Steps of the output; null for 1.</param>
    /// <param name="padding">Cells cut from both sides of the output; null for 0.</param>
    /// <param name="outputPadding">Cells added on the far side of the output, fewer than the stride or the dilation; null for 0.</param>
    /// <param name="dilation">Distances between kernel cells; null for 1.</param>
    /// <param name="groups">Number of groups; divides both channel counts.</param>
    /// <exception cref="ArgumentException">Lengths differ, or groups do not divide the channels.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A number is too small, or an output padding too large.</exception>
    public TransposedConvolutionMap(
        long inputChannels,
        long outputChannels,
        ReadOnlySpan<long> kernelSize,
        long[]? stride = null,
        long[]? padding = null,
        long[]? outputPadding = null,
        long[]? dilation = null,
        long groups = 1)
        : base("transposed convolution", inputChannels, outputChannels, kernelSize, stride, padding, outputPadding, dilation, groups, isTransposed: true)
    {
        _weightShape = [inputChannels, outputChannels / groups, .. KernelSize];
        Layout = WeightLayout.InputsFirst(groups);
        for (int i = 0; i < Dimensions; i++)
        {
            long limit = Math.Max(Geometry.Stride[i], Geometry.Dilation[i]);
            if (Geometry.OutputPadding[i] >= limit)
            {
                throw new ArgumentOutOfRangeException(
                    nameof(outputPadding), Geometry.OutputPadding[i], $"outputPadding must be below the larger of stride and dilation, here {limit}.");
            }
        }
    }

    /// <inheritdoc/>
    public override ReadOnlySpan<long> WeightShape => _weightShape;

    /// <inheritdoc/>
    public override WeightLayout Layout { get; }

    /// <summary>This map, if it has the given number of spatial dimensions.</summary>
    /// <exception cref="ArgumentException">It has another.</exception>
    public TransposedConvolutionMap WithDimensions(int dimensions)
    {
        Require(dimensions);
        return this;
    }

    /// <summary>The map whose output padding makes the output as large as asked for.</summary>
    /// <param name="input">The input.</param>
    /// <param name="outputSize">The spatial extents, or the whole shape of the output with or without its batch.</param>
    /// <exception cref="ArgumentException">The size has another number of entries, or no output padding leads to it.</exception>
    public TransposedConvolutionMap WithOutputSize(Tensor input, ReadOnlySpan<long> outputSize)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (outputSize.Length != Dimensions && outputSize.Length != input.dim())
        {
            throw new ArgumentException(
                $"outputSize has {outputSize.Length} entries; give the {Dimensions} spatial extents or the {input.dim()} dimensions of the output.", nameof(outputSize));
        }

        var extra = new long[Dimensions];
        for (int i = 0; i < Dimensions; i++)
        {
            long asked = outputSize[outputSize.Length - Dimensions + i], extent = input.size((int)input.dim() - Dimensions + i);
            long least = (extent - 1) * Geometry.Stride[i] - 2 * Geometry.Padding[i] + Geometry.Dilation[i] * (KernelSize[i] - 1) + 1;
            long most = least + Math.Max(Geometry.Stride[i], Geometry.Dilation[i]) - 1;
            extra[i] = asked - least;
            if (asked < least || asked > most)
            {
                throw new ArgumentException(
                    $"outputSize {Guard.Format(outputSize)} asks for {asked} cells in spatial dimension {i}; an input of {extent} can give {least} to {most}.",
                    nameof(outputSize));
            }
        }

        return new TransposedConvolutionMap(
            InputChannels, OutputChannels, KernelSize, Geometry.Stride, Geometry.Padding, extra, Geometry.Dilation, Geometry.Groups);
    }

    /// <inheritdoc/>
    public override string ToString()
        => $"transposed conv{Dimensions}d {InputChannels} -> {OutputChannels}, kernel {string.Join("x", KernelSize)}";

    private protected override Tensor Convolve(Tensor input, Tensor weight, Tensor? bias, long groups) => Dimensions switch
    {
        1 => nn.functional.conv_transpose1d(
            input, weight, bias, Geometry.Stride[0], Geometry.Padding[0], Geometry.OutputPadding[0], Geometry.Dilation[0], groups),
        2 => nn.functional.conv_transpose2d(
            input, weight, bias, Geometry.Stride, Geometry.Padding, Geometry.OutputPadding, Geometry.Dilation, groups),
        _ => nn.functional.conv_transpose3d(
            input, weight, bias, Geometry.Stride, Geometry.Padding, Geometry.OutputPadding, Geometry.Dilation, groups),
    };
}
