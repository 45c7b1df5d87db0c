using System.Diagnostics;
using BayesNet.Distributed;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Ranks;

/// <summary>
/// Collectives whose reductions trainers begin within the backward pass or behind it, by a switch; and that take as long as a link of a given speed
/// between two ranks would need for them, which carries one after the other and takes no processor's time.
/// </summary>
internal sealed class LinkedCollectives(ICollectives inner, RingModel? link) : ICollectives
{
    private double _free;

    public int Rank => inner.Rank;

    public int Size => inner.Size;

    public bool Overlaps { get; set; }

    public void AllReduce(Tensor tensor, Reduction reduction = Reduction.Sum)
    {
        double arrives = Arrival(tensor);
        inner.AllReduce(tensor, reduction);
        WaitUntil(arrives);
    }

    public IPendingReduction BeginAllReduce(Tensor tensor, Reduction reduction = Reduction.Sum)
        => new Pending(inner.BeginAllReduce(tensor, reduction), Arrival(tensor));

    public void Broadcast(Tensor tensor, int root = 0) => inner.Broadcast(tensor, root);

    public void Barrier() => inner.Barrier();

    /// <summary>The collectives inside stay their owner's.</summary>
    public void Dispose()
    {
    }

    private static double Now() => Stopwatch.GetTimestamp() / (double)Stopwatch.Frequency;

    private static void WaitUntil(double time)
    {
        while (Now() < time)
            Thread.Sleep(0);
    }

    private double Arrival(Tensor tensor) => link is null ? 0 : _free = Math.Max(Now(), _free) + link.Seconds(2, tensor.numel() * tensor.element_size());

    private sealed class Pending(IPendingReduction inner, double arrives) : IPendingReduction
    {
        public void Progress() => inner.Progress();

        public void Wait()
        {
            inner.Wait();
            WaitUntil(arrives);
        }
    }
}
