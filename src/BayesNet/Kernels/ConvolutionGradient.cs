using BayesNet.Runtime;
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
internal static unsafe class ConvolutionGradient
{
    private const ulong Version = (2UL << 56) | (10UL << 48);
    private const int Arguments = 11;

    private static readonly delegate* unmanaged[Cdecl]<byte*, byte*, ulong*, ulong, int> CallDispatcher
        = (delegate* unmanaged[Cdecl]<byte*, byte*, ulong*, ulong, int>)NativeLibraries.Export("torch_call_dispatcher");

    private static readonly delegate* unmanaged[Cdecl]<nint, nint*, int> NewHandle
        = (delegate* unmanaged[Cdecl]<nint, nint*, int>)NativeLibraries.Export("aoti_torch_new_tensor_handle");

    private static readonly delegate* unmanaged[Cdecl]<nuint, nint*, int> NewList
        = (delegate* unmanaged[Cdecl]<nuint, nint*, int>)NativeLibraries.Export("torch_new_list_reserve_size");

    private static readonly delegate* unmanaged[Cdecl]<nint, ulong, int> PushBack
        = (delegate* unmanaged[Cdecl]<nint, ulong, int>)NativeLibraries.Export("torch_list_push_back");

    /// <summary>Whether this libtorch has the interface (2.10 and later).</summary>
    internal static bool IsAvailable => CallDispatcher != null && NewHandle != null && NewList != null && PushBack != null;

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
        ulong* stack = stackalloc ulong[Arguments];
        stack[0] = Handle(gradient);
        stack[1] = Handle(input);
        stack[2] = Handle(weight);
        stack[3] = 0;
        stack[4] = List(geometry.Stride);
        stack[5] = List(geometry.Padding);
        stack[6] = List(geometry.Dilation);
        stack[7] = geometry.IsTransposed ? 1UL : 0;
        stack[8] = List(geometry.OutputPadding);
        stack[9] = (ulong)geometry.Groups;
        stack[10] = List([ofInput ? 1 : 0, ofInput ? 0 : 1, 0]);
        fixed (byte* name = "aten::convolution_backward\0"u8, overload = "\0"u8)
        {
            if (CallDispatcher(name, overload, stack, Version) != 0)
                throw new InvalidOperationException("aten::convolution_backward failed; libtorch's log has the reason.");
        }

        Tensor inputGradient = Tensor.UnsafeCreateTensor((nint)stack[0]), weightGradient = Tensor.UnsafeCreateTensor((nint)stack[1]);
        Tensor.UnsafeCreateTensor((nint)stack[2]).Dispose();
        (ofInput ? weightGradient : inputGradient).Dispose();
        return ofInput ? inputGradient : weightGradient;
    }

    // The call takes ownership of handles and lists.
    private static ulong Handle(Tensor tensor)
    {
        nint handle;
        Check(NewHandle(tensor.Handle, &handle));
        GC.KeepAlive(tensor);
        return (ulong)handle;
    }

    private static ulong List(ReadOnlySpan<long> values)
    {
        nint list;
        Check(NewList((nuint)values.Length, &list));
        foreach (long value in values)
            Check(PushBack(list, (ulong)value));
        return (ulong)list;
    }

    private static void Check(int status)
    {
        if (status != 0)
            throw new InvalidOperationException("libtorch's stable C interface refused an argument of aten::convolution_backward.");
    }
}
