namespace BayesNet.Kernels;

/// <summary>The body of a loop that <see cref="TorchThreads"/> runs: a struct, so that the call inlines and what it reads stays on the caller's stack.</summary>
internal interface IRangeBody
{
    /// <summary>Does the work of the indices from <paramref name="begin"/> up to, without, <paramref name="end"/>.</summary>
    /// <remarks>Called from several threads at once, each with a range of its own.</remarks>
    void Run(long begin, long end);
}
