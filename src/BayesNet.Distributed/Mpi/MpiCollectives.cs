using System.Diagnostics;
using BayesNet.Kernels;
using TorchSharp;
using static BayesNet.Distributed.Mpi.MpiLibrary;
using static TorchSharp.torch;

namespace BayesNet.Distributed.Mpi;

/// <summary>The processes of <c>mpirun -n K dotnet program.dll</c>, through Open MPI 4: tensors on the CPU.</summary>
/// <remarks>
/// <para>
/// A rank that waits longer than the timeout finds out which rank has not come, says so on the error stream, and ends the whole job
/// (<c>MPI_Abort</c>); the last checkpoint is what it leaves. Where a rank dies, <c>mpirun</c> itself names it and ends the job.
/// </para>
/// <para>Calls come from one thread at a time. Dispose it on every rank at the end of the program, and not before: MPI starts once a process.</para>
/// </remarks>
public sealed unsafe class MpiCollectives : ICollectives
{
    /// <summary>Tests before a waiting rank lets other threads run, and between one time and the next.</summary>
    private const int Patience = 256, Pause = 16;

    /// <summary>Bytes up to which a reduction is one that can be asked whether it is done, which is quick for little and slow for much.</summary>
    private const long Small = 4096;

    private readonly nint _world, _end;
    private readonly bool _finalizes;
    private readonly TimeSpan _timeout;
    private readonly RollCall _rollCall;
    private readonly Timer _watch;
    private long _collective;
    private bool _disposed;

    /// <summary>Starts MPI.</summary>
    /// <param name="timeout">How long a rank waits for the others before it ends the job; null for <see cref="DefaultTimeout"/>.</param>
    /// <exception cref="DllNotFoundException">Open MPI's library is missing.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="timeout"/> is not above zero.</exception>
    /// <exception cref="InvalidOperationException">MPI was started and has ended in this process.</exception>
    /// <exception cref="CollectiveException">MPI can't start.</exception>
    public MpiCollectives(TimeSpan? timeout = null)
    {
        _timeout = timeout ?? DefaultTimeout;
        if (_timeout <= TimeSpan.Zero)
            throw new ArgumentOutOfRangeException(nameof(timeout), timeout, "timeout must be above zero.");
        Check(MPI_Finalized(out int finalized), "start");
        if (finalized != 0)
            throw new InvalidOperationException("MPI has ended in this process and can't start again; make one MpiCollectives and keep it to the end.");
        Check(MPI_Initialized(out int initialized), "start");
        _finalizes = initialized == 0;
        if (_finalizes)
            Check(MPI_Init_thread(0, 0, ThreadSerialized, out _), "start");

        // Communicators of its own: nothing else in the process can take or leave its messages.
        _world = Duplicate();
        _end = Duplicate();
        Check(MPI_Comm_rank(_world, out int rank), "rank");
        Check(MPI_Comm_size(_world, out int size), "size");
        (Rank, Size) = (rank, size);
        _rollCall = new RollCall(Duplicate(), rank, size, _timeout);
        _watch = new Timer(_ => _rollCall.GiveUp($"all-reduce {_collective}"));
        _rollCall.Introduce(this.AllGather(RollCall.Name()));
    }

    /// <summary>Ten minutes.</summary>
    public static TimeSpan DefaultTimeout { get; } = TimeSpan.FromMinutes(10);

    /// <inheritdoc/>
    public int Rank { get; }

    /// <inheritdoc/>
    public int Size { get; }

    /// <summary>
    /// Whether trainers begin their exchange within the backward pass; false by default. Open MPI moves such reductions on in its own calls alone,
    /// and takes slower algorithms for them: between processes of one machine they cost more than they hide. On a network, measure it.
    /// </summary>
    public bool Overlaps { get; init; }

    /// <inheritdoc/>
    public void AllReduce(Tensor tensor, Reduction reduction = Reduction.Sum)
    {
        CollectiveArguments.Reducible(tensor, reduction, DeviceType.CPU);
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (tensor.numel() * tensor.element_size() <= Small)
        {
            BeginAllReduce(tensor, reduction).Wait();
            return;
        }

        // A call that ends with the result alone can't be given up; so all ranks have come before it begins.
        Barrier();
        _watch.Change(_timeout, Timeout.InfiniteTimeSpan);
        Check(MPI_Allreduce(InPlace, TensorMemory.Pointer<byte>(tensor), (int)tensor.numel(), TypeOf(tensor.dtype), OperationOf(reduction), _world), "all-reduce");
        _watch.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        if (reduction == Reduction.Mean)
            CollectiveArguments.Divide(tensor, Size);
        GC.KeepAlive(tensor);
    }

    /// <inheritdoc/>
    public IPendingReduction BeginAllReduce(Tensor tensor, Reduction reduction = Reduction.Sum)
    {
        CollectiveArguments.Reducible(tensor, reduction, DeviceType.CPU);
        ObjectDisposedException.ThrowIf(_disposed, this);
        const string What = "all-reduce";
        Check(
            MPI_Iallreduce(InPlace, TensorMemory.Pointer<byte>(tensor), (int)tensor.numel(), TypeOf(tensor.dtype), OperationOf(reduction), _world, out nint request),
            What);
        return new Pending(this, request, $"{What} {++_collective}", tensor, reduction);
    }

    /// <inheritdoc/>
    public void Broadcast(Tensor tensor, int root = 0)
    {
        CollectiveArguments.Plain(tensor, DeviceType.CPU);
        CollectiveArguments.Root(root, Size);
        ObjectDisposedException.ThrowIf(_disposed, this);
        const string What = "broadcast";
        Check(MPI_Ibcast(TensorMemory.Pointer<byte>(tensor), (int)(tensor.numel() * tensor.element_size()), Bytes, root, _world, out nint request), What);
        Wait(request, $"{What} {++_collective}");
        GC.KeepAlive(tensor);
    }

    /// <inheritdoc/>
    public void Barrier()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        Check(MPI_Ibarrier(_world, out nint request), "barrier");
        Wait(request, $"barrier {++_collective}");
    }

    /// <summary>Waits for all ranks to come to their end, and ends MPI.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _watch.Dispose();
        if (!_finalizes)
            return;

        // On a communicator of its own: a rank that ends early, by an exception say, must not be taken for one that takes part in what others do.
        Check(MPI_Ibarrier(_end, out nint request), "end");
        Wait(request, "the end of the program");
        Check(MPI_Finalize(), "end");
    }

    private static nint Duplicate()
    {
        Check(MPI_Comm_dup(World, out nint copy), "start");
        Check(MPI_Comm_set_errhandler(copy, ErrorsReturn), "start");
        return copy;
    }

    private void Wait(nint request, string what)
    {
        long start = Stopwatch.GetTimestamp();
        bool called = false;
        for (long tries = 1; ; tries++)
        {
            Check(MPI_Test(ref request, out int done, 0), what);
            if (done != 0)
                return;

            // A tensor moves on in these calls alone. It costs next to nothing to let others run where there is none, and much not to where another rank
            // waits for the same core.
            if (tries < Patience || tries % Pause != 0)
                continue;
            Thread.Yield();
            TimeSpan waited = Stopwatch.GetElapsedTime(start);
            if (waited < _timeout / 2)
                continue;
            if (!called)
                _rollCall.Answer(_collective, what);
            called = true;
            _rollCall.Listen(_collective, what, waited);
        }
    }

    private sealed class Pending(MpiCollectives owner, nint request, string what, Tensor tensor, Reduction reduction) : IPendingReduction
    {
        private bool _done;

        public void Progress() => Check(MPI_Test(ref request, out _, 0), what);

        public void Wait()
        {
            if (_done)
                return;
            owner.Wait(request, what);
            _done = true;
            if (reduction == Reduction.Mean)
                CollectiveArguments.Divide(tensor, owner.Size);
            GC.KeepAlive(tensor);
        }
    }
}
