using static TorchSharp.torch;

namespace BayesNet.Distributed;

/// <summary>How the values of all ranks become one.</summary>
public enum Reduction
{
    /// <summary>Their sum.</summary>
    Sum,

    /// <summary>Their mean; of floating-point tensors.</summary>
    Mean,

    /// <summary>The greatest.</summary>
    Max,
}

/// <summary>
/// A fixed set of processes, numbered from 0, and what they do together. Every rank makes the same calls in the same order, each with tensors of
/// the same shape and type.
/// </summary>
/// <remarks>
/// Tensors are contiguous; they are reduced and sent where they lie, without a copy. The result of a reduction is the same on all ranks, to the
/// last bit. Not thread safe.
/// </remarks>
public interface ICollectives : IDisposable
{
    /// <summary>This process, from 0.</summary>
    int Rank { get; }

    /// <summary>How many there are.</summary>
    int Size { get; }

    /// <summary>
    /// Whether a reduction that has begun goes on while the process computes, so that a trainer begins it as soon as its gradients are there rather than
    /// behind the backward pass; false where an engine doesn't say.
    /// </summary>
    bool Overlaps => false;

    /// <summary>Replaces a tensor by its reduction over all ranks.</summary>
    /// <param name="tensor">Contiguous; float32, float64 or int64.</param>
    /// <param name="reduction">What it is replaced by.</param>
    /// <exception cref="ArgumentException">The tensor is not contiguous, or of another type or device.</exception>
    /// <exception cref="CollectiveException">The engine reports an error.</exception>
    void AllReduce(Tensor tensor, Reduction reduction = Reduction.Sum) => BeginAllReduce(tensor, reduction).Wait();

    /// <summary>Begins <see cref="AllReduce"/> and returns: the tensor is neither read nor written, and stays alive, until it is waited for.</summary>
    /// <inheritdoc cref="AllReduce"/>
    IPendingReduction BeginAllReduce(Tensor tensor, Reduction reduction = Reduction.Sum);

    /// <summary>Replaces a tensor by that of one rank.</summary>
    /// <param name="tensor">Contiguous; of any type.</param>
    /// <param name="root">The rank whose tensor it becomes.</param>
    /// <exception cref="ArgumentException">The tensor is not contiguous, or on another device.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no rank <paramref name="root"/>.</exception>
    /// <exception cref="CollectiveException">The engine reports an error.</exception>
    void Broadcast(Tensor tensor, int root = 0);

    /// <summary>Returns when all ranks have come to it.</summary>
    /// <exception cref="CollectiveException">The engine reports an error.</exception>
    void Barrier();
}

/// <summary>A reduction under way.</summary>
public interface IPendingReduction
{
    /// <summary>Lets an engine that works in its calls alone go on with its work, and returns at once.</summary>
    void Progress()
    {
    }

    /// <summary>Returns when the tensor holds the result; further calls return at once.</summary>
    /// <exception cref="CollectiveException">The engine reports an error.</exception>
    void Wait();
}

/// <summary>An engine's error, in its own words.</summary>
public sealed class CollectiveException : Exception
{
    /// <summary>Creates an exception.</summary>
    public CollectiveException(string message)
        : base(message)
    {
    }

    /// <summary>Creates an exception.</summary>
    public CollectiveException(string message, Exception inner)
        : base(message, inner)
    {
    }

    /// <summary>Creates an exception.</summary>
    public CollectiveException()
    {
    }
}
