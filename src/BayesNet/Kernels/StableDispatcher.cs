using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Kernels;

/// <summary>
/// Operators that TorchSharp does not bind, by name, through libtorch's stable C interface (2.10 and later). Autograd records them as it does any other.
/// </summary>
internal static unsafe class StableDispatcher
{
    private const ulong Version = (2UL << 56) | (10UL << 48);

    private static readonly delegate* unmanaged[Cdecl]<byte*, byte*, ulong*, ulong, int> CallDispatcher
        = (delegate* unmanaged[Cdecl]<byte*, byte*, ulong*, ulong, int>)NativeLibraries.Export("torch_call_dispatcher");

    private static readonly delegate* unmanaged[Cdecl]<nint, nint*, int> NewHandle
        = (delegate* unmanaged[Cdecl]<nint, nint*, int>)NativeLibraries.Export("aoti_torch_new_tensor_handle");

    private static readonly delegate* unmanaged[Cdecl]<nuint, nint*, int> NewList
        = (delegate* unmanaged[Cdecl]<nuint, nint*, int>)NativeLibraries.Export("torch_new_list_reserve_size");

    private static readonly delegate* unmanaged[Cdecl]<nint, ulong, int> PushBack
        = (delegate* unmanaged[Cdecl]<nint, ulong, int>)NativeLibraries.Export("torch_list_push_back");

    /// <summary>Whether this libtorch has the interface.</summary>
    internal static bool IsAvailable => CallDispatcher != null && NewHandle != null && NewList != null && PushBack != null;

    /// <summary>Calls an operator: its arguments are on the stack in order, its results from the bottom on when it returns.</summary>
    /// <param name="name">Such as <c>aten::lstm</c>, ended by a zero.</param>
    /// <param name="overload">Such as <c>input</c>, ended by a zero.</param>
    /// <param name="stack">Tensors and lists, which the call takes over, integers and truth values as they are, doubles as their bits.</param>
    /// <exception cref="InvalidOperationException">libtorch refused.</exception>
    internal static void Call(ReadOnlySpan<byte> name, ReadOnlySpan<byte> overload, Span<ulong> stack)
    {
        fixed (byte* namePointer = name, overloadPointer = overload)
        fixed (ulong* stackPointer = stack)
        {
            if (CallDispatcher(namePointer, overloadPointer, stackPointer, Version) != 0)
                throw new InvalidOperationException($"{System.Text.Encoding.ASCII.GetString(name[..^1])} failed; libtorch's log has the reason.");
        }
    }

    /// <summary>A result.</summary>
    internal static Tensor Result(ulong slot) => Tensor.UnsafeCreateTensor((nint)slot);

    /// <summary>An argument that is a tensor.</summary>
    internal static ulong Argument(Tensor tensor)
    {
        nint handle;
        Check(NewHandle(tensor.Handle, &handle));
        GC.KeepAlive(tensor);
        return (ulong)handle;
    }

    /// <summary>An argument that is a list of tensors.</summary>
    internal static ulong Argument(ReadOnlySpan<Tensor> tensors)
    {
        ulong list = EmptyList(tensors.Length);
        foreach (Tensor tensor in tensors)
            Check(PushBack((nint)list, Argument(tensor)));
        return list;
    }

    /// <summary>An argument that is a list of integers.</summary>
    internal static ulong Argument(ReadOnlySpan<long> values)
    {
        ulong list = EmptyList(values.Length);
        foreach (long value in values)
            Check(PushBack((nint)list, (ulong)value));
        return list;
    }

    private static ulong EmptyList(int size)
    {
        nint list;
        Check(NewList((nuint)size, &list));
        return (ulong)list;
    }

    private static void Check(int status)
    {
        if (status != 0)
            throw new InvalidOperationException("libtorch's stable C interface refused an argument.");
    }
}
