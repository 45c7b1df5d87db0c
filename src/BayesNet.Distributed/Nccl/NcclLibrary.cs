using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace BayesNet.Distributed.Nccl;

/// <summary>NCCL's C interface.</summary>
internal static unsafe partial class NcclLibrary
{
    internal const string Name = "nccl";

    /// <summary>Loaded when it is first asked for.</summary>
    internal static readonly Lazy<nint> Library = new(LoadOnce);

    private const int Bytes = 1, Int64 = 4, Float32 = 7, Float64 = 8, Sum = 0, Max = 2, Average = 4;

    internal static int ByteType => Bytes;

    internal static int TypeOf(ScalarType type) => type switch
    {
        ScalarType.Float32 => Float32,
        ScalarType.Float64 => Float64,
        _ => Int64,
    };

    internal static int OperationOf(Reduction reduction) => reduction switch
    {
        Reduction.Max => Max,
        Reduction.Mean => Average,
        _ => Sum,
    };

    /// <summary>Turns an error code into an exception with NCCL's text.</summary>
    internal static void Check(int code, string what)
    {
        if (code != 0)
            throw new CollectiveException($"NCCL, {what}: {Marshal.PtrToStringUTF8(ncclGetErrorString(code))}. With NCCL_DEBUG=INFO it says more.");
    }

    [LibraryImport(Name)]
    internal static partial int ncclGetUniqueId(out UniqueId id);

    [LibraryImport(Name)]
    internal static partial int ncclCommInitRank(out nint communicator, int size, UniqueId id, int rank);

    [LibraryImport(Name)]
    internal static partial int ncclCommDestroy(nint communicator);

    [LibraryImport(Name)]
    internal static partial int ncclAllReduce(nint send, nint receive, nuint count, int type, int operation, nint communicator, nint stream);

    [LibraryImport(Name)]
    internal static partial int ncclBroadcast(nint send, nint receive, nuint count, int type, int root, nint communicator, nint stream);

    [LibraryImport(Name)]
    private static partial nint ncclGetErrorString(int code);

    private static nint LoadOnce()
        => NativeLibrary.TryLoad("libnccl.so.2", out nint library) || NativeLibrary.TryLoad("libnccl.so", out library)
            ? library
            : throw new DllNotFoundException(
                "NCCL's library (libnccl.so.2) was not found. It comes with NVIDIA's packages (libnccl2) and with CUDA builds of libtorch; put its folder on "
                + "LD_LIBRARY_PATH. Ranks without GPUs take MpiCollectives.");

    /// <summary>ncclUniqueId: 128 bytes, passed by value.</summary>
    [InlineArray(128)]
    internal struct UniqueId
    {
        private byte _first;
    }
}
