using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using BayesNet.Runtime;

namespace BayesNet.Kernels;

/// <summary>
/// Parallel loops on libtorch's own threads. A loop on .NET's thread pool would compete with them: they spin for a while after every
/// operation, and a core that spins is not free.
/// </summary>
/// <remarks>
/// <c>torch.set_num_threads</c> holds for these loops. A matrix product inside a body runs on the body's thread alone. Where libtorch has no
/// such entry point (before 2.10), loops run on the calling thread.
/// </remarks>
internal static unsafe class TorchThreads
{
    private static readonly delegate* unmanaged[Cdecl]<long, long, long, delegate* unmanaged[Cdecl]<long, long, void*, void>, void*, int> ParallelFor
        = (delegate* unmanaged[Cdecl]<long, long, long, delegate* unmanaged[Cdecl]<long, long, void*, void>, void*, int>)NativeLibraries.Export("torch_parallel_for");

    /// <summary>
    /// Calls <paramref name="body"/> with ranges that cover 0 to <paramref name="count"/>, each at least <paramref name="grain"/> long where
    /// the count admits it; on the calling thread alone where that is less than two grains.
    /// </summary>
    /// <remarks>How the count is cut depends on the number of threads: a result that must not depend on it can't depend on the cuts.</remarks>
    internal static void For<TBody>(long count, long grain, ref TBody body)
        where TBody : struct, IRangeBody
    {
        if (count <= 0)
            return;
        if (ParallelFor == null || count <= grain)
        {
            body.Run(0, count);
            return;
        }

        // The context lives on this stack frame, which outlives the loop; so does what it points to.
        var context = new Context { Invoke = &Invoke<TBody>, Body = Unsafe.AsPointer(ref body) };
        ParallelFor(0, count, Math.Max(1, grain), &Trampoline, &context);
        if (context.Error != 0)
        {
            var handle = GCHandle.FromIntPtr(context.Error);
            var error = (Exception)handle.Target!;
            handle.Free();
            ExceptionDispatchInfo.Throw(error);
        }
    }

    private static void Invoke<TBody>(void* body, long begin, long end)
        where TBody : struct, IRangeBody
        => Unsafe.AsRef<TBody>(body).Run(begin, end);

    // No exception may reach native code: the first is kept, and thrown by For.
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Trampoline(long begin, long end, void* argument)
    {
        var context = (Context*)argument;
        try
        {
            context->Invoke(context->Body, begin, end);
        }
        catch (Exception error)
        {
            var handle = GCHandle.Alloc(error);
            if (Interlocked.CompareExchange(ref context->Error, GCHandle.ToIntPtr(handle), 0) != 0)
                handle.Free();
        }
    }

    private struct Context
    {
        public delegate*<void*, long, long, void> Invoke;
        public void* Body;
        public nint Error;
    }
}
