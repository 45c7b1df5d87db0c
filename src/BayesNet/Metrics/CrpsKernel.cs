using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Metrics;

/// <summary>Continuous ranked probability scores column by column, E|x - y| - 1/2 E|x - x'|, in float64.</summary>
internal static class CrpsKernel
{
    private static readonly Scalar RootHalf = Math.Sqrt(0.5);
    private static readonly Scalar RootTwoOverPi = Math.Sqrt(2 / Math.PI);

    /// <summary>The score of equal-weight mixtures of Gaussians (Grimit et al. 2006).</summary>
    /// <param name="deviations">mu_s - y, (S, columns).</param>
    /// <param name="variances">s_s^2, shape of <paramref name="deviations"/>.</param>
    /// <returns>(columns).</returns>
    /// <remarks>
    /// A(d, v) is even in d, so the pairs (s, s + lag) for each lag are half the double sum; they are differences of two slices, so that no
    /// S x S tensor arises. The diagonal is A(0, 2 s^2) = 2 s / sqrt(pi).
    /// </remarks>
    internal static Tensor Mixture(Tensor deviations, Tensor variances)
    {
        using var scope = NewDisposeScope();
        long samples = deviations.size(0);
        Tensor pairs = variances.sqrt().sum(dim: 0).Times(1 / Math.Sqrt(Math.PI));
        for (long lag = 1; lag < samples; lag++)
        {
            using var inner = NewDisposeScope();
            long count = samples - lag;
            Tensor variance = variances.narrow(0, 0, count).Plus(variances.narrow(0, lag, count));
            pairs.add_(ExpectedDistance(deviations.narrow(0, 0, count).sub(deviations.narrow(0, lag, count)), variance).sum(dim: 0), Scalars.One);
        }

        return ExpectedDistance(deviations, variances).mean([0])
            .sub(pairs.Times(1.0 / ((double)samples * samples)))
            .MoveToOuterDisposeScope();
    }

    /// <summary>The score of samples, the pairs by their ranks: sum over i &lt; j of |x_i - x_j| = sum over k of (2k - S + 1) x_(k), k from 0.</summary>
    /// <param name="deviations">x_s - y, (S, columns).</param>
    /// <param name="pairCount">S (S - 1) or S^2.</param>
    /// <returns>(columns).</returns>
    internal static Tensor OfSamples(Tensor deviations, double pairCount)
    {
        using var scope = NewDisposeScope();
        long samples = deviations.size(0);
        double[] weights = [.. Enumerable.Range(0, (int)samples).Select(k => 2.0 * k - samples + 1)];
        Tensor pairs = deviations.sort(0).Values.mul(tensor(weights, ScalarType.Float64, deviations.device).unsqueeze(1)).sum(dim: 0);
        return deviations.abs().mean([0]).sub(pairs.Times(1 / pairCount)).MoveToOuterDisposeScope();
    }

    /// <summary>E|x| for x ~ N(d, v): A(d, v) = sd [sqrt(2 / pi) exp(-z^2 / 2) + z erf(z / sqrt(2))], z = d / sd.</summary>
    private static Tensor ExpectedDistance(Tensor d, Tensor v)
    {
        Tensor sd = v.sqrt();
        Tensor scaled = d.div(sd).mul(RootHalf);
        Tensor tail = scaled.Squared().neg().exp().mul(RootTwoOverPi).mul(sd);
        return addcmul(tail, d, scaled.erf(), Scalars.One);
    }
}
