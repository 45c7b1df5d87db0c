using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>The Gaussian law with mean 0 and standard deviation 1.</summary>
internal static class StandardNormal
{
    /// <summary>Phi(z) = erfc(-z / sqrt 2) / 2, entry by entry, with full relative precision in the lower tail, which 1 + erf loses.</summary>
    internal static Tensor Cdf(Tensor z)
    {
        using var scope = NewDisposeScope();
        return z.Times(-Math.Sqrt(0.5)).erfc().mul(Scalars.Half).MoveToOuterDisposeScope();
    }
}
