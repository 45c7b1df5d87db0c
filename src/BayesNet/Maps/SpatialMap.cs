using BayesNet.Kernels;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Maps;

/// <summary>What convolutions and transposed convolutions have in common: channels behind the batch, and one, two or three spatial dimensions.</summary>
public abstract class SpatialMap : AffineMap, ILocalProducts
{
    private readonly string _kind;

    private protected SpatialMap(
        string kind, long inputChannels, long outputChannels, ReadOnlySpan<long> kernelSize, long[]? stride, long[]? padding, long[]? outputPadding, long[]? dilation,
        long groups, bool isTransposed)
    {
        _kind = kind;
        Guard.AtLeastOne(inputChannels);
        Guard.AtLeastOne(outputChannels);
        Guard.AtLeastOne(groups);
        if (kernelSize.Length is < 1 or > 3)
            throw new ArgumentException($"A {kind} has 1, 2 or 3 spatial dimensions; the kernel has {kernelSize.Length}.", nameof(kernelSize));
        if (inputChannels % groups != 0 || outputChannels % groups != 0)
        {
            throw new ArgumentException(
                $"groups = {groups} must divide the input channels ({inputChannels}) and the output channels ({outputChannels}).", nameof(groups));
        }

        Dimensions = kernelSize.Length;
        InputChannels = inputChannels;
        OutputChannels = outputChannels;
        KernelSize = Check(kernelSize.ToArray(), 1, 1, nameof(kernelSize));
        Geometry = new ConvolutionGeometry(
            Check(stride, 1, 1, nameof(stride)), Check(padding, 0, 0, nameof(padding)), Check(dilation, 1, 1, nameof(dilation)),
            Check(outputPadding, 0, 0, nameof(outputPadding)), isTransposed, groups);
    }

    /// <summary>The number of spatial dimensions: 1, 2 or 3.</summary>
    public int Dimensions { get; }

    /// <inheritdoc/>
    public sealed override long OutputChannels { get; }

    /// <inheritdoc/>
    public sealed override long InputChannels { get; }

    internal long[] KernelSize { get; }

    internal ConvolutionGeometry Geometry { get; }

    bool ILocalProducts.HasGradients => ConvolutionGradient.IsAvailable;

    /// <inheritdoc/>
    public sealed override bool IsBatched(Tensor input)
    {
        long rank = input.dim();
        int channelDimension = (int)rank - Dimensions - 1;
        if (channelDimension is not (0 or 1) || input.size(channelDimension) != InputChannels)
        {
            throw new ArgumentException(
                $"A {Dimensions}-d {_kind} of {InputChannels} channels got an input of shape {Guard.Format(input.shape)}; it takes "
                + $"(batch, {InputChannels}, {Dimensions} spatial dimensions) or the same without the batch.", nameof(input));
        }

        return channelDimension == 1;
    }

    /// <inheritdoc/>
    public sealed override Tensor Apply(Tensor input, Tensor weight, Tensor? bias)
    {
        using Tensor padded = Pad(input);
        return Convolve(padded, weight, bias, Geometry.Groups);
    }

    /// <inheritdoc/>
    public sealed override Tensor ApplyPerExample(Tensor input, Tensor weight, Tensor? bias)
    {
        // The batch becomes groups of one convolution: (1, batch * in, ...) with a weight that has the batch in front of its first dimension.
        long batch = input.size(0);
        Tensor padded = Pad(input);
        Tensor folded = padded.reshape([1, batch * InputChannels, .. padded.shape.AsSpan(2)]);
        Tensor result = Convolve(folded, weight.flatten(0, 1), null, batch * Geometry.Groups);
        Tensor output = result.reshape([batch, OutputChannels, .. result.shape.AsSpan(2)]);
        return bias is null ? output : output.Plus(OverPositions(bias, output.dim()));
    }

    /// <inheritdoc/>
    public sealed override Tensor OverPositions(Tensor perChannel, long rank)
    {
        var shape = new long[rank];
        Array.Fill(shape, 1);
        shape[0] = perChannel.size(0);
        shape[1] = perChannel.size(1);
        return perChannel.reshape(shape);
    }

    /// <inheritdoc/>
    public sealed override int ChannelDimension(long rank) => 1;

    Tensor ILocalProducts.Prepare(Tensor input)
    {
        using Tensor padded = Pad(input);
        return padded.contiguous();
    }

    Tensor ILocalProducts.Finish(Tensor product, Tensor input) => product;

    Tensor ILocalProducts.Product(Tensor prepared, Tensor weight, Tensor? bias) => Convolve(prepared, weight, bias, Geometry.Groups);

    Tensor ILocalProducts.InputGradient(Tensor gradient, Tensor prepared, Tensor weight)
        => ConvolutionGradient.OfInput(gradient, prepared, weight, Geometry);

    void ILocalProducts.WeightGradient(Tensor gradient, Tensor prepared, Tensor target, bool add)
    {
        using Tensor own = ConvolutionGradient.OfWeight(gradient, prepared, target, Geometry);
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

    /// <summary>The input as the product reads it, a tensor of its own.</summary>
    private protected virtual Tensor Pad(Tensor input) => input.alias();

    /// <summary>The product of a padded input, with the given number of groups.</summary>
    private protected abstract Tensor Convolve(Tensor input, Tensor weight, Tensor? bias, long groups);

    /// <summary>Refuses a map with another number of spatial dimensions.</summary>
    private protected void Require(int dimensions)
    {
        if (Dimensions != dimensions)
            throw new ArgumentException($"The map is a {Dimensions}-d {_kind} where a {dimensions}-d one is needed.", nameof(dimensions));
    }

    private long[] Check(long[]? values, long byDefault, long least, string name)
    {
        if (values is null)
            return [.. Enumerable.Repeat(byDefault, Dimensions)];
        if (values.Length != Dimensions)
            throw new ArgumentException($"{name} has {values.Length} entries; a {Dimensions}-d {_kind} needs {Dimensions}.", name);
        foreach (long value in values)
        {
            if (value < least)
                throw new ArgumentOutOfRangeException(name, value, $"{name} must be at least {least}.");
        }

        return [.. values];
    }
}
