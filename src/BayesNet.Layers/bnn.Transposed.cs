using BayesNet.Maps;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Layers;

#pragma warning disable IDE1006, CS8981, CA1707 // Names as torch.nn has them.

public static partial class bnn
{
    /// <summary>The Bayesian twin of <c>nn.ConvTranspose1d</c>: input (batch, in, L) or (in, L).</summary>
    /// <param name="in_channels">Channels of the input.</param>
    /// <param name="out_channels">Channels of the output.</param>
    /// <param name="kernel_size">Extent of the kernel.</param>
    /// <param name="stride">Step of the output.</param>
    /// <param name="padding">Cells cut from both sides of the output.</param>
    /// <param name="output_padding">Cells added on the far side of the output; below the larger of stride and dilation.</param>
    /// <param name="dilation">Distance between kernel cells.</param>
    /// <param name="padding_mode">Zeros; there is no other.</param>
    /// <param name="groups">Number of groups; divides both channel counts.</param>
    /// <param name="bias">Whether there is a bias.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException">The geometry is inconsistent, or the padding mode is another than zeros.</exception>
    public static BayesConvTranspose1d ConvTranspose1d(
        long in_channels, long out_channels, long kernel_size, long stride = 1, long padding = 0, long output_padding = 0, long dilation = 1,
        PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1, bool bias = true,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => new(Transposed(in_channels, out_channels, [kernel_size], [stride], [padding], [output_padding], [dilation], padding_mode, groups), bias, device, dtype, options);

    /// <summary>The Bayesian twin of <c>nn.ConvTranspose2d</c>: input (batch, in, H, W) or (in, H, W).</summary>
    /// <inheritdoc cref="ConvTranspose1d"/>
    public static BayesConvTranspose2d ConvTranspose2d(
        long in_channels, long out_channels, long kernel_size, long stride = 1, long padding = 0, long output_padding = 0, long dilation = 1,
        PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1, bool bias = true,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => ConvTranspose2d(
            in_channels, out_channels, (kernel_size, kernel_size), (stride, stride), (padding, padding), (output_padding, output_padding),
            (dilation, dilation), padding_mode, groups, bias, device, dtype, options);

    /// <summary>The Bayesian twin of <c>nn.ConvTranspose2d</c> with a size for each dimension.</summary>
    /// <inheritdoc cref="ConvTranspose1d"/>
    public static BayesConvTranspose2d ConvTranspose2d(
        long in_channels, long out_channels, (long, long) kernel_size, (long, long)? stride = null, (long, long)? padding = null,
        (long, long)? output_padding = null, (long, long)? dilation = null, PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1,
        bool bias = true, Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => new(
            Transposed(in_channels, out_channels, List(kernel_size), List(stride), List(padding), List(output_padding), List(dilation), padding_mode, groups),
            bias, device, dtype, options);

    /// <summary>The Bayesian twin of <c>nn.ConvTranspose3d</c>: input (batch, in, D, H, W) or (in, D, H, W).</summary>
    /// <inheritdoc cref="ConvTranspose1d"/>
    public static BayesConvTranspose3d ConvTranspose3d(
        long in_channels, long out_channels, long kernel_size, long stride = 1, long padding = 0, long output_padding = 0, long dilation = 1,
        PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1, bool bias = true,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => ConvTranspose3d(
            in_channels, out_channels, (kernel_size, kernel_size, kernel_size), (stride, stride, stride), (padding, padding, padding),
            (output_padding, output_padding, output_padding), (dilation, dilation, dilation), padding_mode, groups, bias, device, dtype, options);

    /// <summary>The Bayesian twin of <c>nn.ConvTranspose3d</c> with a size for each dimension.</summary>
    /// <inheritdoc cref="ConvTranspose1d"/>
    public static BayesConvTranspose3d ConvTranspose3d(
        long in_channels, long out_channels, (long, long, long) kernel_size, (long, long, long)? stride = null, (long, long, long)? padding = null,
        (long, long, long)? output_padding = null, (long, long, long)? dilation = null, PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1,
        bool bias = true, Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => new(
            Transposed(in_channels, out_channels, List(kernel_size), List(stride), List(padding), List(output_padding), List(dilation), padding_mode, groups),
            bias, device, dtype, options);

    private static TransposedConvolutionMap Transposed(
        long inputs, long outputs, long[] kernel, long[]? stride, long[]? padding, long[]? outputPadding, long[]? dilation, PaddingModes padding_mode, long groups)
        => padding_mode is PaddingModes.Zeros or PaddingModes.Constant
            ? new TransposedConvolutionMap(inputs, outputs, kernel, stride, padding, outputPadding, dilation, groups)
            : throw new ArgumentException($"A transposed convolution has no padding mode {padding_mode}; use PaddingModes.Zeros.", nameof(padding_mode));
}
