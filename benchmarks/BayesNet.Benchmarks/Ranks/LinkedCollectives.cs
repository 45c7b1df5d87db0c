using System.Diagnostics;
using BayesNet.Distributed;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Ranks;

/// <summary>
/// Collectives whose reductions begin when they are told to, or only when one is waited for; and that take as long as a link of a given speed between
/// two ranks, which carries one after the other and takes no processor's time, would need for them.
/// </summary>
internal sealed class LinkedCollectives(ICollectives inner, RingModel? link) : ICollectives
{
    private readonly List<Pending> _put = [];
    private double _free;

    public int Rank => inner.Rank;

    public int Size => inner.Size;

    /// <summary>Whether a reduction begins at once.</summary>
    public bool Overlaps { get; set; } = true;

    public IPendingReduction BeginAllReduce(Tensor tensor, Reduction reduction = Reduction.Sum)
    {
        var pending = new Pending(this, tensor, reduction);
        if (Overlaps)
            pending.Begin();
        else
            _put.Add(pending);
        return pending;
    }

    public void Broadcast(Tensor tensor, int root = 0) => inner.Broadcast(tensor, root);

    public void Barrier() => inner.Barrier();

    /// <summary>The collectives inside stay their owner's.</summary>
    public void Dispose()
    {
    }

    private static double Now() => Stopwatch.GetTimestamp() / (double)Stopwatch.Frequency;

    private sealed class Pending(LinkedCollectives owner, Tensor tensor, Reduction reduction) : IPendingReduction
    {
        private IPendingReduction? _inner;
        private double _arrives;

        public void Begin()
        {
            if (owner.Link is { } link)
                owner._free = _arrives = Math.Max(Now(), owner._free) + link.Seconds(2, tensor.numel() * tensor.element_size());
            _inner = owner.Inner.BeginAllReduce(tensor, reduction);
        }

        public void Progress() => _inner?.Progress();

        public void Wait()
        {
            owner._put.ForEach(pending => pending.Begin());
            owner._put.Clear();
            _inner!.Wait();
            while (Now() < _arrives)
                Thread.Sleep(0);
        }
    }

    private ICollectives Inner => inner;

    private RingModel? Link => link;
}
