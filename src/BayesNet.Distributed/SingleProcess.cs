using static TorchSharp.torch;

namespace BayesNet.Distributed;

/// <summary>Rank 0 of 1: what a program is that nothing started on several processes. Needs nothing installed.</summary>
public sealed class SingleProcess : ICollectives, IPendingReduction
{
    /// <inheritdoc/>
    public int Rank => 0;

    /// <inheritdoc/>
    public int Size => 1;

    /// <inheritdoc/>
    public IPendingReduction BeginAllReduce(Tensor tensor, Reduction reduction = Reduction.Sum)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        CollectiveArguments.Reducible(tensor, reduction, tensor.device_type);
        return this;
    }

    /// <inheritdoc/>
    public void Broadcast(Tensor tensor, int root = 0)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        CollectiveArguments.Plain(tensor, tensor.device_type);
        CollectiveArguments.Root(root, Size);
    }

    /// <inheritdoc/>
    public void Barrier()
    {
    }

    /// <inheritdoc/>
    public void Wait()
    {
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
