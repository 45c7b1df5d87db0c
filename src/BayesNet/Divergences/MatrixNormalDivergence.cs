using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Divergences;

/// <summary>The closed form of KL between matrix normals.</summary>
internal static class MatrixNormalDivergence
{
    /// <summary>
    /// 1/2 [tr(U0^-1 U) tr(V0^-1 V) + tr(D' U0^-1 D V0^-1) - np + p ln(det U0 / det U) + n ln(det V0 / det V)], D = M - M0, with the traces
    /// as squared norms of triangular solves.
    /// </summary>
    internal static Tensor Compute(MatrixNormal posterior, MatrixNormalPrior prior)
    {
        using var scope = NewDisposeScope();
        Tensor traceOutputs = linalg.solve_triangular(prior.OutputFactor, posterior.OutputFactor(), upper: false).Squared().sum();
        Tensor traceInputs = linalg.solve_triangular(prior.InputFactor, posterior.InputFactor(), upper: false).Squared().sum();
        Tensor distance = prior.Standardise(posterior.Mean).Squared().sum();
        double count = posterior.Mean.numel();
        double halfLogTwoPi = Reparameterization.LocationScaleLaw.HalfLogTwoPi;
        Tensor crossEntropy = traceOutputs.mul(traceInputs).Plus(distance).mul(Scalars.Half).Plus(prior.LogDeterminant()).Plus(count * halfLogTwoPi);
        return crossEntropy.sub(posterior.Entropy()).MoveToOuterDisposeScope();
    }
}
