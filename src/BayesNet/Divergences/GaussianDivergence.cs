using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Divergences;

/// <summary>The closed forms of KL between Gaussians.</summary>
internal static class GaussianDivergence
{
    /// <summary>
    /// Sum over the entries of ln(s0/s) + (s^2 + (m - m0)^2) / (2 s0^2) - 1/2 (Kingma and Welling 2014, appendix B, for s0 = 1).
    /// With one m0 and s0 for all P entries it is 1/2 [(|m - m0|^2 + |s|^2) / s0^2 - P + P ln s0^2] - sum ln s: three reductions.
    /// </summary>
    internal static Tensor MeanField(MeanFieldGaussian posterior, GaussianPrior prior)
    {
        using var scope = NewDisposeScope();
        Tensor sumLogStdDev = posterior.LogStdDev.sum();
        Tensor result;
        if (prior.IsScalar)
        {
            double count = posterior.Mean.numel();
            double priorStdDev = prior.ScalarStdDev;
            Tensor centred = prior.ScalarMean == 0 ? posterior.Mean : posterior.Mean.Plus(-prior.ScalarMean);
            Tensor squares = centred.Squared().sum().Plus(posterior.Variance.sum());
            result = squares.Times(0.5 / (priorStdDev * priorStdDev)).Plus(count * (Math.Log(priorStdDev) - 0.5)).sub(sumLogStdDev);
        }
        else
        {
            Tensor squares = posterior.Mean.sub(prior.Mean!).Squared().Plus(posterior.Variance);
            Tensor perEntry = squares.div(prior.StdDev!.Squared()).sub(Scalars.One).mul(Scalars.Half).Plus(prior.StdDev!.log());
            result = perEntry.expand_as(posterior.Mean).sum().sub(sumLogStdDev);
        }

        return result.MoveToOuterDisposeScope();
    }
}
