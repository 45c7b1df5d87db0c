using BayesNet.Maps;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Layers;

#pragma warning disable IDE1006, CS8981, CA1707 // Names as torch.nn has them.

public static partial class bnn
{
    /// <summary>A deterministic linear layer with random factors of its inputs and outputs: see <see cref="BayesRank1"/>.</summary>
    /// <param name="inputSize">Features of the input.</param>
    /// <param name="outputSize">Features of the output.</param>
    /// <param name="hasBias">Whether there is a bias.</param>
    /// <param name="components">K, the components of the factors' posterior.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior of the deviation from 1, and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is below 1.</exception>
    public static BayesRank1 Rank1Linear(
        long inputSize, long outputSize, bool hasBias = true, int components = 1, Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => new(new LinearMap(inputSize, outputSize), hasBias, components, device: device, dtype: dtype, options: options);

    /// <summary>A deterministic <c>nn.Conv1d</c> with random factors of its input and output channels: see <see cref="BayesRank1"/>.</summary>
    /// <param name="in_channels">Channels of the input.</param>
    /// <param name="out_channels">Channels of the output.</param>
    /// <param name="kernel_size">Extent of the kernel.</param>
    /// <param name="stride">Step of the kernel.</param>
    /// <param name="padding">Cells added on both sides.</param>
    /// <param name="dilation">Distance between kernel cells.</param>
    /// <param name="padding_mode">What the padding holds.</param>
    /// <param name="groups">Number of groups; divides both channel counts.</param>
    /// <param name="bias">Whether there is a bias.</param>
    /// <param name="components">K, the components of the factors' posterior.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior of the deviation from 1, and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException">The geometry is inconsistent.</exception>
    public static BayesRank1 Rank1Conv1d(
        long in_channels, long out_channels, long kernel_size, long stride = 1, long padding = 0, long dilation = 1,
        PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1, bool bias = true, int components = 1,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => Rank1Convolution(1, in_channels, out_channels, kernel_size, stride, padding, dilation, padding_mode, groups, bias, components, device, dtype, options);

    /// <summary>A deterministic <c>nn.Conv2d</c> with random factors of its input and output channels: see <see cref="BayesRank1"/>.</summary>
    /// <inheritdoc cref="Rank1Conv1d"/>
    public static BayesRank1 Rank1Conv2d(
        long in_channels, long out_channels, long kernel_size, long stride = 1, long padding = 0, long dilation = 1,
        PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1, bool bias = true, int components = 1,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => Rank1Convolution(2, in_channels, out_channels, kernel_size, stride, padding, dilation, padding_mode, groups, bias, components, device, dtype, options);

    /// <summary>A deterministic <c>nn.Conv3d</c> with random factors of its input and output channels: see <see cref="BayesRank1"/>.</summary>
    /// <inheritdoc cref="Rank1Conv1d"/>
    public static BayesRank1 Rank1Conv3d(
        long in_channels, long out_channels, long kernel_size, long stride = 1, long padding = 0, long dilation = 1,
        PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1, bool bias = true, int components = 1,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => Rank1Convolution(3, in_channels, out_channels, kernel_size, stride, padding, dilation, padding_mode, groups, bias, components, device, dtype, options);

    private static BayesRank1 Rank1Convolution(
        int dimensions, long inputs, long outputs, long kernel, long stride, long padding, long dilation, PaddingModes mode, long groups, bool bias, int components,
        Device? device, ScalarType? dtype, BayesOptions? options)
    {
        long[] Each(long size) => [.. Enumerable.Repeat(size, dimensions)];
        var map = new ConvolutionMap(inputs, outputs, Each(kernel), Each(stride), Each(padding), false, Each(dilation), groups, mode);
        return new BayesRank1(map, bias, components, device: device, dtype: dtype, options: options);
    }
}
