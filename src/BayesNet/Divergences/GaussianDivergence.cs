using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Divergences;

/// <summary>
/// The closed forms of KL from Gaussian priors. Their log density is quadratic, so that any posterior with an entropy and a variance has
/// one: KL(q || p) = -E_q[ln p] - H(q), and E_q[ln p] depends on the first two moments alone.
/// </summary>
internal static class GaussianDivergence
{
    /// <summary>
    /// Sum over the entries of ln s0 + 1/2 ln 2 pi + (v + (m - m0)^2) / (2 s0^2), less the entropy of q. For a mean-field Gaussian that is
    /// ln(s0/s) + (s^2 + (m - m0)^2) / (2 s0^2) - 1/2 an entry (Kingma and Welling 2014, appendix B, for s0 = 1); with one m0 and s0 for all,
    /// three reductions.
    /// </summary>
    /// <exception cref="InvalidOperationException">The posterior has no variance, so that the divergence is infinite.</exception>
    internal static Tensor ByMoments(Posterior posterior, GaussianPrior prior)
    {
        RequireVariance(posterior);
        using var scope = NewDisposeScope();
        Tensor mean = posterior.Mean, variance = posterior.Variance;
        Tensor crossEntropy;
        if (prior.IsScalar)
        {
            Tensor centred = prior.ScalarMean == 0 ? mean : mean.Plus(-prior.ScalarMean);
            Tensor squares = centred.Squared().sum().Plus(variance.sum());
            double stdDev = prior.ScalarStdDev;
            crossEntropy = squares.Times(0.5 / (stdDev * stdDev)).Plus(mean.numel() * (Math.Log(stdDev) + LocationScaleLaw.HalfLogTwoPi));
        }
        else
        {
            Tensor squares = mean.sub(prior.Mean!).Squared().Plus(variance);
            Tensor perEntry = squares.div(prior.StdDev!.Squared()).mul(Scalars.Half).Plus(prior.StdDev!.log()).Plus(LocationScaleLaw.HalfLogTwoPi);
            crossEntropy = perEntry.expand_as(mean).sum();
        }

        return crossEntropy.sub(posterior.Entropy()).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// The same for N(0, s^2) with a learned s. In closed form s^2 = E_q[|w|^2] / P is set first and enters as a constant: the derivative in
    /// s is zero there.
    /// </summary>
    internal static Tensor Learned(Posterior posterior, LearnedGaussianPrior prior)
    {
        RequireVariance(posterior);
        using var scope = NewDisposeScope();
        Tensor squares = posterior.Mean.Squared().sum().Plus(posterior.Variance.sum());
        double count = posterior.Mean.numel();
        if (prior.ClosedForm)
            prior.Solve(squares.Times(1 / count));
        Tensor logStdDev = prior.LogStdDev;
        Tensor quadratic = squares.mul(logStdDev.mul(Scalars.Two).neg().exp()).mul(Scalars.Half);
        return quadratic.Plus(logStdDev.Plus(LocationScaleLaw.HalfLogTwoPi).Times(count)).sub(posterior.Entropy()).MoveToOuterDisposeScope();
    }

    private static void RequireVariance(Posterior posterior)
    {
        if (posterior is MeanFieldLocationScale heavy && !double.IsFinite(heavy.StandardVariance))
        {
            throw new InvalidOperationException(
                $"KL({posterior.GetName()} || Gaussian) is infinite: the posterior's tails have index {heavy.TailIndex} and so no variance. Give the "
                + "layer more than 2 degrees of freedom, or a StudentTPrior with as few.");
        }
    }
}
