using System.Reflection;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace BayesNet.Distributed.Mpi;

/// <summary>Open MPI's C interface. Its handles are the addresses of symbols that its library exports.</summary>
internal static unsafe partial class MpiLibrary
{
    internal const int ThreadSerialized = 2, AnySource = -1;
    internal const nint InPlace = 1;

    private const string Name = "mpi";
    private const int MaxText = 256;
    private static readonly string[] FileNames = ["libmpi.so.40", "libmpi.so", "libmpi.40.dylib", "libmpi.dylib"];
    private static readonly Lazy<nint> Library = new(LoadOnce);

    static MpiLibrary() => NativeLibrary.SetDllImportResolver(typeof(MpiLibrary).Assembly, Resolve);

    internal static nint World => Handle("ompi_mpi_comm_world");

    internal static nint ErrorsReturn => Handle("ompi_mpi_errors_return");

    internal static nint Bytes => Handle("ompi_mpi_byte");

    internal static nint TypeOf(ScalarType type)
        => Handle(type switch
        {
            ScalarType.Float32 => "ompi_mpi_float",
            ScalarType.Float64 => "ompi_mpi_double",
            _ => "ompi_mpi_int64_t",
        });

    internal static nint OperationOf(Reduction reduction) => Handle(reduction == Reduction.Max ? "ompi_mpi_op_max" : "ompi_mpi_op_sum");

    /// <summary>Turns an error code into an exception with Open MPI's text.</summary>
    internal static void Check(int code, string what)
    {
        if (code == 0)
            return;
        byte* text = stackalloc byte[MaxText];
        string message = MPI_Error_string(code, text, out int length) == 0 ? System.Text.Encoding.UTF8.GetString(text, length) : $"error {code}";
        throw new CollectiveException($"MPI, {what}: {message}");
    }

    [LibraryImport(Name)]
    internal static partial int MPI_Initialized(out int flag);

    [LibraryImport(Name)]
    internal static partial int MPI_Finalized(out int flag);

    [LibraryImport(Name)]
    internal static partial int MPI_Init_thread(nint argc, nint argv, int required, out int provided);

    [LibraryImport(Name)]
    internal static partial int MPI_Finalize();

    [LibraryImport(Name)]
    internal static partial int MPI_Abort(nint communicator, int code);

    [LibraryImport(Name)]
    internal static partial int MPI_Comm_dup(nint communicator, out nint copy);

    [LibraryImport(Name)]
    internal static partial int MPI_Comm_set_errhandler(nint communicator, nint handler);

    [LibraryImport(Name)]
    internal static partial int MPI_Comm_rank(nint communicator, out int rank);

    [LibraryImport(Name)]
    internal static partial int MPI_Comm_size(nint communicator, out int size);

    [LibraryImport(Name)]
    internal static partial int MPI_Allreduce(nint send, void* receive, int count, nint type, nint operation, nint communicator);

    [LibraryImport(Name)]
    internal static partial int MPI_Iallreduce(nint send, void* receive, int count, nint type, nint operation, nint communicator, out nint request);

    [LibraryImport(Name)]
    internal static partial int MPI_Ibcast(void* buffer, int count, nint type, int root, nint communicator, out nint request);

    [LibraryImport(Name)]
    internal static partial int MPI_Ibarrier(nint communicator, out nint request);

    [LibraryImport(Name)]
    internal static partial int MPI_Test(ref nint request, out int flag, nint status);

    [LibraryImport(Name)]
    internal static partial int MPI_Isend(void* buffer, int count, nint type, int destination, int tag, nint communicator, out nint request);

    [LibraryImport(Name)]
    internal static partial int MPI_Request_free(ref nint request);

    [LibraryImport(Name)]
    internal static partial int MPI_Iprobe(int source, int tag, nint communicator, out int flag, out Status status);

    [LibraryImport(Name)]
    internal static partial int MPI_Recv(void* buffer, int count, nint type, int source, int tag, nint communicator, out Status status);

    [LibraryImport(Name)]
    private static partial int MPI_Error_string(int code, byte* text, out int length);

    private static nint Handle(string symbol) => NativeLibrary.GetExport(Library.Value, symbol);

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? path) => name switch
    {
        Name => Library.Value,
        Nccl.NcclLibrary.Name => Nccl.NcclLibrary.Library.Value,
        _ => 0,
    };

    private static nint LoadOnce()
    {
        foreach (string file in FileNames)
        {
            if (NativeLibrary.TryLoad(file, out nint library))
                return library;
        }

        throw new DllNotFoundException(
            "Open MPI's library (libmpi.so.40) was not found. Install Open MPI 4 (Debian, Ubuntu: apt-get install openmpi-bin), or put its lib folder on "
            + "LD_LIBRARY_PATH; a program that runs as one process needs neither.");
    }

    /// <summary>MPI_Status as Open MPI lays it out.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Status
    {
        internal int Source;
        internal int Tag;
        internal int Error;
        private readonly int _cancelled;
        private readonly nuint _count;
    }
}
