using BayesNet.Maps;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Layers;

#pragma warning disable IDE1006, CS8981, CA1707 // The name and the arguments are those of torch.nn, so that replacing "nn." by "bnn." is all it takes.

/// <summary>
/// Bayesian twins of <c>torch.nn</c>'s factories: the same arguments in the same order, then optional <see cref="BayesOptions"/>.
/// Replacing <c>nn.</c> by <c>bnn.</c> makes a model Bayesian.
/// </summary>
public static partial class bnn
{
    /// <summary>The Bayesian twin of <c>nn.Linear</c>.</summary>
    /// <inheritdoc cref="BayesLinear(long, long, bool, Device, ScalarType?, BayesOptions)"/>
    public static BayesLinear Linear(
        long inputSize, long outputSize, bool hasBias = true, Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => new(inputSize, outputSize, hasBias, device, dtype, options);

    /// <summary>The Bayesian twin of <c>nn.Linear</c> with given weights: the means start at copies of them.</summary>
    /// <inheritdoc cref="BayesLinear(Tensor, Tensor, BayesOptions)"/>
    public static BayesLinear Linear(Parameter weight, Parameter? bias = null, BayesOptions? options = null)
        => new(weight, bias, options);

    /// <summary>The Bayesian twin of <c>nn.Conv1d</c>: input (batch, in, L) or (in, L).</summary>
    /// <param name="in_channels">Channels of the input.</param>
    /// <param name="out_channels">Channels of the output.</param>
    /// <param name="kernel_size">Extent of the kernel.</param>
    /// <param name="stride">Step of the kernel.</param>
    /// <param name="padding">Cells added on both sides.</param>
    /// <param name="dilation">Distance between kernel cells.</param>
    /// <param name="padding_mode">What the padding holds.</param>
    /// <param name="groups">Number of groups; divides both channel counts.</param>
    /// <param name="bias">Whether there is a bias.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException">The geometry is inconsistent.</exception>
    public static BayesConv1d Conv1d(
        long in_channels, long out_channels, long kernel_size, long stride = 1, long padding = 0, long dilation = 1,
        PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1, bool bias = true,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => new(new ConvolutionMap(in_channels, out_channels, [kernel_size], [stride], [padding], false, [dilation], groups, padding_mode), bias, device, dtype, options);

    /// <summary>The Bayesian twin of <c>nn.Conv1d</c> with padding by name: Same keeps the extent (stride 1), Valid pads nothing.</summary>
    /// <inheritdoc cref="Conv1d(long, long, long, long, long, long, PaddingModes, long, bool, Device, ScalarType?, BayesOptions)"/>
    public static BayesConv1d Conv1d(
        long in_channels, long out_channels, long kernel_size, Padding padding, long stride = 1, long dilation = 1,
        PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1, bool bias = true,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => new(new ConvolutionMap(in_channels, out_channels, [kernel_size], [stride], null, padding == Padding.Same, [dilation], groups, padding_mode), bias, device, dtype, options);

    /// <summary>The Bayesian twin of <c>nn.Conv2d</c>: input (batch, in, H, W) or (in, H, W).</summary>
    /// <inheritdoc cref="Conv1d(long, long, long, long, long, long, PaddingModes, long, bool, Device, ScalarType?, BayesOptions)"/>
    public static BayesConv2d Conv2d(
        long in_channels, long out_channels, long kernel_size, long stride = 1, long padding = 0, long dilation = 1,
        PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1, bool bias = true,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => Conv2d(in_channels, out_channels, (kernel_size, kernel_size), (stride, stride), (padding, padding), (dilation, dilation), padding_mode, groups, bias, device, dtype, options);

    /// <summary>The Bayesian twin of <c>nn.Conv2d</c> with a size for each dimension.</summary>
    /// <inheritdoc cref="Conv1d(long, long, long, long, long, long, PaddingModes, long, bool, Device, ScalarType?, BayesOptions)"/>
    public static BayesConv2d Conv2d(
        long in_channels, long out_channels, (long, long) kernel_size, (long, long)? stride = null, (long, long)? padding = null,
        (long, long)? dilation = null, PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1, bool bias = true,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => new(new ConvolutionMap(in_channels, out_channels, List(kernel_size), List(stride), List(padding), false, List(dilation), groups, padding_mode), bias, device, dtype, options);

    /// <summary>The Bayesian twin of <c>nn.Conv2d</c> with padding by name.</summary>
    /// <inheritdoc cref="Conv1d(long, long, long, Padding, long, long, PaddingModes, long, bool, Device, ScalarType?, BayesOptions)"/>
    public static BayesConv2d Conv2d(
        long in_channels, long out_channels, long kernel_size, Padding padding, long stride = 1, long dilation = 1,
        PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1, bool bias = true,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => Conv2d(in_channels, out_channels, (kernel_size, kernel_size), padding, (stride, stride), (dilation, dilation), padding_mode, groups, bias, device, dtype, options);

    /// <summary>The Bayesian twin of <c>nn.Conv2d</c> with a size for each dimension and padding by name.</summary>
    /// <inheritdoc cref="Conv1d(long, long, long, Padding, long, long, PaddingModes, long, bool, Device, ScalarType?, BayesOptions)"/>
    public static BayesConv2d Conv2d(
        long in_channels, long out_channels, (long, long) kernel_size, Padding padding, (long, long)? stride = null,
        (long, long)? dilation = null, PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1, bool bias = true,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => new(new ConvolutionMap(in_channels, out_channels, List(kernel_size), List(stride), null, padding == Padding.Same, List(dilation), groups, padding_mode), bias, device, dtype, options);

    /// <summary>The Bayesian twin of <c>nn.Conv3d</c>: input (batch, in, D, H, W) or (in, D, H, W).</summary>
    /// <inheritdoc cref="Conv1d(long, long, long, long, long, long, PaddingModes, long, bool, Device, ScalarType?, BayesOptions)"/>
    public static BayesConv3d Conv3d(
        long in_channels, long out_channels, long kernel_size, long stride = 1, long padding = 0, long dilation = 1,
        PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1, bool bias = true,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => Conv3d(
            in_channels, out_channels, (kernel_size, kernel_size, kernel_size), (stride, stride, stride), (padding, padding, padding),
            (dilation, dilation, dilation), padding_mode, groups, bias, device, dtype, options);

    /// <summary>The Bayesian twin of <c>nn.Conv3d</c> with a size for each dimension.</summary>
    /// <inheritdoc cref="Conv1d(long, long, long, long, long, long, PaddingModes, long, bool, Device, ScalarType?, BayesOptions)"/>
    public static BayesConv3d Conv3d(
        long in_channels, long out_channels, (long, long, long) kernel_size, (long, long, long)? stride = null, (long, long, long)? padding = null,
        (long, long, long)? dilation = null, PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1, bool bias = true,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => new(new ConvolutionMap(in_channels, out_channels, List(kernel_size), List(stride), List(padding), false, List(dilation), groups, padding_mode), bias, device, dtype, options);

    /// <summary>The Bayesian twin of <c>nn.Conv3d</c> with padding by name.</summary>
    /// <inheritdoc cref="Conv1d(long, long, long, Padding, long, long, PaddingModes, long, bool, Device, ScalarType?, BayesOptions)"/>
    public static BayesConv3d Conv3d(
        long in_channels, long out_channels, long kernel_size, Padding padding, long stride = 1, long dilation = 1,
        PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1, bool bias = true,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => Conv3d(
            in_channels, out_channels, (kernel_size, kernel_size, kernel_size), padding, (stride, stride, stride), (dilation, dilation, dilation),
            padding_mode, groups, bias, device, dtype, options);

    /// <summary>The Bayesian twin of <c>nn.Conv3d</c> with a size for each dimension and padding by name.</summary>
    /// <inheritdoc cref="Conv1d(long, long, long, Padding, long, long, PaddingModes, long, bool, Device, ScalarType?, BayesOptions)"/>
    public static BayesConv3d Conv3d(
        long in_channels, long out_channels, (long, long, long) kernel_size, Padding padding, (long, long, long)? stride = null,
        (long, long, long)? dilation = null, PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1, bool bias = true,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => new(new ConvolutionMap(in_channels, out_channels, List(kernel_size), List(stride), null, padding == Padding.Same, List(dilation), groups, padding_mode), bias, device, dtype, options);

    private static long[] List((long, long) sizes) => [sizes.Item1, sizes.Item2];

    private static long[]? List((long, long)? sizes) => sizes is { } given ? List(given) : null;

    private static long[] List((long, long, long) sizes) => [sizes.Item1, sizes.Item2, sizes.Item3];

    private static long[]? List((long, long, long)? sizes) => sizes is { } given ? List(given) : null;
}
