using static TorchSharp.torch;

namespace BayesNet.Kernels;

/// <summary>The numbers of a convolution, one a spatial dimension.</summary>
/// <param name="Stride">Steps.</param>
/// <param name="Padding">Zeros on both sides; of a transposed convolution, cells cut from both sides of the output.</param>
/// <param name="Dilation">Distances between kernel cells.</param>
/// <param name="OutputPadding">Cells added on the far side of a transposed convolution's output; else 0.</param>
/// <param name="IsTransposed">Whether it is a transposed one.</param>
/// <param name="Groups">Groups.</param>
internal sealed record ConvolutionGeometry(long[] Stride, long[] Padding, long[] Dilation, long[] OutputPadding, bool IsTransposed, long Groups);

/// <summary>
/// <c>aten::convolution_backward</c>, which TorchSharp does not bind, through libtorch's stable C interface: the gradients of a convolution
/// without the graph that autograd would need to find them.
/// </summary>
internal static class ConvolutionGradient
{
    /// <summary>Whether this libtorch has the interface (2.10 and later).</summary>
    internal static bool IsAvailable => StableDispatcher.IsAvailable;

    /// <summary>The gradient of the input.</summary>
    /// <param name="gradient">The gradient of the output.</param>
    /// <param name="input">The input; its values are not used.</param>
    /// <param name="weight">The weight.</param>
    /// <param name="geometry">The convolution.</param>
    /// <exception cref="InvalidOperationException">libtorch refused.</exception>
    internal static Tensor OfInput(Tensor gradient, Tensor input, Tensor weight, ConvolutionGeometry geometry)
        => Call(gradient, input, weight, geometry, ofInput: true);

    /// <summary>The gradient of the weight; the weight's own values are not used.</summary>
    /// <inheritdoc cref="OfInput"/>
    internal static Tensor OfWeight(Tensor gradient, Tensor input, Tensor weight, ConvolutionGeometry geometry)
        => Call(gradient, input, weight, geometry, ofInput: false);

    // convolution_backward(grad_output, input, weight, bias_sizes?, stride, padding, dilation, transposed, output_padding, groups, output_mask)
    private static Tensor Call(Tensor gradient, Tensor input, Tensor weight, ConvolutionGeometry geometry, bool ofInput)
    {
        Span<ulong> stack =
        [
            StableDispatcher.Argument(gradient),
            StableDispatcher.Argument(input),
            StableDispatcher.Argument(weight),
            0,
            StableDispatcher.Argument(geometry.Stride),
            StableDispatcher.Argument(geometry.Padding),
            StableDispatcher.Argument(geometry.Dilation),
            geometry.IsTransposed ? 1UL : 0,
            StableDispatcher.Argument(geometry.OutputPadding),
            (ulong)geometry.Groups,
            StableDispatcher.Argument([ofInput ? 1L : 0, ofInput ? 0L : 1, 0L]),
        ];
        StableDispatcher.Call("aten::convolution_backward\0"u8, "\0"u8, stack);
        Tensor inputGradient = StableDispatcher.Result(stack[0]), weightGradient = StableDispatcher.Result(stack[1]);
        StableDispatcher.Result(stack[2]).Dispose();
        (ofInput ? weightGradient : inputGradient).Dispose();
        return ofInput ? inputGradient : weightGradient;
    }
}
