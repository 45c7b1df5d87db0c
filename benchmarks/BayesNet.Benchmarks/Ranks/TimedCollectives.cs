using System.Diagnostics;
using BayesNet.Distributed;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Ranks;

/// <summary>Collectives with a clock: the time that this rank spends in them, waiting for the others included.</summary>
internal sealed class TimedCollectives(ICollectives inner) : ICollectives
{
    public int Rank => inner.Rank;

    public int Size => inner.Size;

    public bool Overlaps => inner.Overlaps;

    /// <summary>Seconds so far.</summary>
    public double Seconds { get; private set; }

    public void AllReduce(Tensor tensor, Reduction reduction = Reduction.Sum)
    {
        long start = Stopwatch.GetTimestamp();
        inner.AllReduce(tensor, reduction);
        Add(start);
    }

    public IPendingReduction BeginAllReduce(Tensor tensor, Reduction reduction = Reduction.Sum)
    {
        long start = Stopwatch.GetTimestamp();
        IPendingReduction pending = inner.BeginAllReduce(tensor, reduction);
        Add(start);
        return new Pending(this, pending);
    }

    public void Broadcast(Tensor tensor, int root = 0)
    {
        long start = Stopwatch.GetTimestamp();
        inner.Broadcast(tensor, root);
        Add(start);
    }

    public void Barrier()
    {
        long start = Stopwatch.GetTimestamp();
        inner.Barrier();
        Add(start);
    }

    public void Dispose() => inner.Dispose();

    private void Add(long start) => Seconds += Stopwatch.GetElapsedTime(start).TotalSeconds;

    private sealed class Pending(TimedCollectives owner, IPendingReduction inner) : IPendingReduction
    {
        public void Progress() => inner.Progress();

        public void Wait()
        {
            long start = Stopwatch.GetTimestamp();
            inner.Wait();
            owner.Add(start);
        }
    }
}
