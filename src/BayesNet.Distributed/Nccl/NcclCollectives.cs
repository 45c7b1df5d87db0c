using System.Runtime.InteropServices;
using BayesNet.Runtime;
using TorchSharp;
using static BayesNet.Distributed.Nccl.NcclLibrary;
using static TorchSharp.torch;

namespace BayesNet.Distributed.Nccl;

/// <summary>
/// GPUs, one a rank, through NCCL: tensors on CUDA. The processes find each other by collectives on the CPU, which stay in charge of starting and
/// ending, and of tensors on the CPU.
/// </summary>
/// <remarks>
/// Every rank sees one GPU, device 0 (Slurm's <c>--gpus-per-task=1</c>, or CUDA_VISIBLE_DEVICES by the local rank). Operations are queued on
/// libtorch's default stream, so they run in the order in which tensors are computed and used. Bound to NCCL 2.10 and later; never run by this
/// project's own tests, which have no two GPUs.
/// </remarks>
public sealed class NcclCollectives : ICollectives
{
    private const nint DefaultStream = 0;
    private static readonly Lazy<nint> Data = new(() => NativeLibraries.BindingExport("THSTensor_data"));
    private readonly ICollectives _processes;
    private readonly nint _communicator;
    private readonly Tensor _ticket;
    private bool _disposed;

    /// <summary>Joins the GPUs of all ranks.</summary>
    /// <param name="processes">The ranks, by <see cref="Collectives.Create"/>; still the caller's to dispose, after this.</param>
    /// <exception cref="DllNotFoundException">NCCL's library is missing.</exception>
    /// <exception cref="InvalidOperationException">There is no GPU.</exception>
    /// <exception cref="CollectiveException">NCCL can't start.</exception>
    public NcclCollectives(ICollectives processes)
    {
        ArgumentNullException.ThrowIfNull(processes);
        _ = Library.Value;
        NativeLibraries.Load();
        if (!cuda.is_available())
            throw new InvalidOperationException("libtorch sees no GPU in this process; take the CPU's collectives as they are, or install a CUDA build of libtorch.");
        _processes = processes;
        _ticket = zeros([1], device: CUDA).DetachFromDisposeScope();
        UniqueId id = default;
        if (processes.Rank == 0)
            Check(ncclGetUniqueId(out id), "start");
        Span<byte> bytes = MemoryMarshal.AsBytes(new Span<UniqueId>(ref id));
        using (Tensor shared = tensor(bytes.ToArray()))
        {
            processes.Broadcast(shared);
            shared.bytes.CopyTo(bytes);
        }

        Check(ncclCommInitRank(out _communicator, processes.Size, id, processes.Rank), "start");
    }

    /// <inheritdoc/>
    public int Rank => _processes.Rank;

    /// <inheritdoc/>
    public int Size => _processes.Size;

    /// <inheritdoc/>
    public IPendingReduction BeginAllReduce(Tensor tensor, Reduction reduction = Reduction.Sum)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (tensor.device_type == DeviceType.CPU)
            return _processes.BeginAllReduce(tensor, reduction);
        CollectiveArguments.Reducible(tensor, reduction, DeviceType.CUDA);
        nint memory = Address(tensor);
        Check(ncclAllReduce(memory, memory, (nuint)tensor.numel(), TypeOf(tensor.dtype), OperationOf(reduction), _communicator, DefaultStream), "all-reduce");
        return Queued.Instance;
    }

    /// <inheritdoc/>
    public void Broadcast(Tensor tensor, int root = 0)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (tensor.device_type == DeviceType.CPU)
        {
            _processes.Broadcast(tensor, root);
            return;
        }

        CollectiveArguments.Plain(tensor, DeviceType.CUDA);
        CollectiveArguments.Root(root, Size);
        nint memory = Address(tensor);
        Check(ncclBroadcast(memory, memory, (nuint)(tensor.numel() * tensor.element_size()), ByteType, root, _communicator, DefaultStream), "broadcast");
    }

    /// <summary>Returns when the GPUs of all ranks have come to it.</summary>
    public void Barrier()
    {
        BeginAllReduce(_ticket).Wait();
        cuda.synchronize();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _ticket.Dispose();
        Check(ncclCommDestroy(_communicator), "end");
    }

    private static unsafe nint Address(Tensor tensor) => ((delegate* unmanaged<nint, nint>)Data.Value)(tensor.Handle);

    // What comes after on the same stream finds the result there.
    private sealed class Queued : IPendingReduction
    {
        internal static readonly Queued Instance = new();

        public void Wait()
        {
        }
    }
}
