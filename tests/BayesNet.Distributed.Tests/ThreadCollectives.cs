using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Distributed.Tests;

/// <summary>Ranks that are threads of one process, for tests without a launcher: sums in double precision, in the order of the ranks.</summary>
internal sealed class ThreadCollectives : ICollectives
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private readonly Barrier _barrier;
    private readonly Tensor[] _tensors;

    private ThreadCollectives(int rank, Barrier barrier, Tensor[] tensors) => (Rank, _barrier, _tensors) = (rank, barrier, tensors);

    public int Rank { get; }

    public int Size => _tensors.Length;

    /// <summary>How many reductions this rank took part in.</summary>
    internal int Reductions { get; private set; }

    /// <summary>Runs a function on as many threads; their results in order. What one throws, this throws.</summary>
    internal static T[] Run<T>(int size, Func<ThreadCollectives, T> function)
    {
        using var barrier = new Barrier(size);
        var tensors = new Tensor[size];
        var results = new T[size];
        var failures = new Exception?[size];
        Thread[] threads = [.. Enumerable.Range(0, size).Select(rank => new Thread(() =>
        {
            try
            {
                using var ranks = new ThreadCollectives(rank, barrier, tensors);
                results[rank] = function(ranks);
            }
            catch (Exception error)
            {
                failures[rank] = error;
                barrier.RemoveParticipant();
            }
        }))];
        foreach (Thread thread in threads)
            thread.Start();
        foreach (Thread thread in threads)
            thread.Join();
        return Array.Find(failures, failure => failure is not null) is { } first ? throw first : results;
    }

    public IPendingReduction BeginAllReduce(Tensor tensor, Reduction reduction = Reduction.Sum)
    {
        CollectiveArguments.Reducible(tensor, reduction, DeviceType.CPU);
        Reductions++;
        return new Pending(this, tensor, reduction);
    }

    public void Broadcast(Tensor tensor, int root = 0)
    {
        CollectiveArguments.Plain(tensor, DeviceType.CPU);
        _tensors[Rank] = tensor;
        Barrier();
        if (Rank != root)
            _tensors[root].bytes.CopyTo(tensor.bytes);
        Barrier();
    }

    public void Barrier()
    {
        if (!_barrier.SignalAndWait(Limit))
            throw new TimeoutException($"Rank {Rank} waits for one that does not come.");
    }

    public void Dispose()
    {
    }

    private sealed class Pending(ThreadCollectives owner, Tensor tensor, Reduction reduction) : IPendingReduction
    {
        private bool _done;

        public void Wait()
        {
            if (_done)
                return;
            _done = true;
            owner._tensors[owner.Rank] = tensor;
            owner.Barrier();
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            Tensor all = stack([.. owner._tensors.Select(other => other.to(ScalarType.Float64))]);
            Tensor result = reduction switch
            {
                Reduction.Max => all.amax([0]),
                Reduction.Mean => all.mean([0]),
                _ => all.sum(dim: 0),
            };
            owner.Barrier();
            tensor.copy_(result);
            owner.Barrier();
        }
    }
}
