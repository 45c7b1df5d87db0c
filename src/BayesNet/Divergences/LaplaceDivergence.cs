using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Divergences;

/// <summary>
/// The closed forms of KL from Laplace priors: -E_q[ln p] = P ln(2 b0) + sum E|w - m0| / b0, which depends on the marginals of q alone,
/// less the entropy of q.
/// </summary>
internal static class LaplaceDivergence
{
    private static readonly Scalar RootHalf = Math.Sqrt(0.5);

    /// <summary>E|w - m0| = s sqrt(2/pi) exp(-d^2 / (2 s^2)) + d erf(d / (s sqrt 2)), d = m - m0.</summary>
    internal static Tensor Gaussian(GaussianPosterior posterior, LaplacePrior prior)
    {
        using var scope = NewDisposeScope();
        Tensor stdDev = posterior.LogStdDev.exp();
        Tensor distance = posterior.Mean.Plus(-prior.Location);

        // A weight of zero variance, which variational dropout has at theta = 0, is at its mean.
        Tensor ratio = distance.div(stdDev.clamp_min(Tiny)).mul(RootHalf);
        Tensor absolute = stdDev.Times(Math.Sqrt(2 / Math.PI)).mul(ratio.Squared().neg().exp()).Plus(distance.mul(ratio.erf()));
        return FromAbsolute(absolute, prior, posterior).MoveToOuterDisposeScope();
    }

    /// <summary>E|w - m0| = d + b exp(-d / b), d = |m - m0|.</summary>
    internal static Tensor Laplace(MeanFieldLaplace posterior, LaplacePrior prior)
    {
        using var scope = NewDisposeScope();
        Tensor distance = posterior.Mean.Plus(-prior.Location).abs(), scale = posterior.Scale;
        return FromAbsolute(distance.Plus(scale.mul(distance.div(scale).neg().exp())), prior, posterior).MoveToOuterDisposeScope();
    }

    /// <summary>E|w - m0| = 2 s ln(2 cosh(d / (2 s))) = d + 2 s ln(1 + exp(-d / s)), d = |m - m0|.</summary>
    internal static Tensor Logistic(MeanFieldLogistic posterior, LaplacePrior prior)
    {
        using var scope = NewDisposeScope();
        Tensor distance = posterior.Mean.Plus(-prior.Location).abs(), scale = posterior.Scale;
        Tensor tail = distance.div(scale).neg().exp().log1p();
        return FromAbsolute(distance.Plus(scale.mul(tail).mul(Scalars.Two)), prior, posterior).MoveToOuterDisposeScope();
    }

    /// <summary>On an interval of length c: E|w - m0| = d outside it, d^2 / c + c / 4 where d = |m - m0| is at most c / 2.</summary>
    internal static Tensor Uniform(MeanFieldUniform posterior, LaplacePrior prior)
    {
        using var scope = NewDisposeScope();
        Tensor distance = posterior.Mean.Plus(-prior.Location).abs(), length = posterior.Scale;
        Tensor inside = distance.Squared().div(length).Plus(length.Times(0.25));
        Tensor absolute = where(distance.lt(length.mul(Scalars.Half)), inside, distance);
        return FromAbsolute(absolute, prior, posterior).MoveToOuterDisposeScope();
    }

    private static readonly Scalar Tiny = 1e-30;

    private static Tensor FromAbsolute(Tensor absolute, LaplacePrior prior, Posterior posterior)
        => absolute.sum().Times(1 / prior.Scale).Plus(absolute.numel() * Math.Log(2 * prior.Scale)).sub(posterior.Entropy());
}
