using BayesNet.Kernels;
using static TorchSharp.torch;

namespace BayesNet.Estimators;

/// <summary>
/// Keys from libtorch's global CPU generator, which <c>torch.manual_seed</c> sets, for sources without a seed: one native call each, into
/// a tensor that is kept.
/// </summary>
internal static unsafe class GlobalKeys
{
    private static readonly Lock Gate = new();
    private static readonly Tensor Kept = empty([2], ScalarType.Int64, CPU).DetachFromDisposeScope();
    private static readonly ulong* Halves = TensorMemory.Pointer<ulong>(Kept);

    // Explicit, so that the tensor is made with the first source and not in the middle of a computation.
    static GlobalKeys()
    {
    }

    /// <summary>64 random bits.</summary>
    internal static ulong Next()
    {
        lock (Gate)
        {
            Kept.random_(0, 1L << 32);
            return Halves[0] | (Halves[1] << 32);
        }
    }
}
