using BayesNet.Kernels;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Divergences;

/// <summary>
/// KL of Gaussians from the log-uniform prior, a function of ln alpha = ln(variance / mean^2), entry by entry, with the constant that makes
/// it zero for alpha = infinity; plus, for entries that covary, their total correlation.
/// </summary>
internal static class LogUniformDivergence
{
    // With x = 1 / sqrt(2 alpha) the divergence is twice the integral of Dawson's function from 0 to x, and its derivative in ln alpha
    // -x D(x). Below and above the table five terms of the asymptotic series and three of the power series are exact to 1e-10.
    private const double Low = -5;
    private const double High = 6;
    private static readonly Scalar LowScalar = Low, HighScalar = High;
    private static readonly Lazy<HermiteTable> Table = new(() => HermiteTable.OfIntegral(
        logAlpha => -Math.Exp(-logAlpha / 2) / Math.Sqrt(2) * SpecialFunctions.Dawson(Math.Exp(-logAlpha / 2) / Math.Sqrt(2)),
        Series(Math.Exp(-High) / 2),
        Low, High, 1408));

    private static readonly double HalfLogTwoPlusGamma = 0.5 * (Math.Log(2) + SpecialFunctions.EulerGamma);

    internal static Tensor Gaussian(GaussianPosterior posterior, LogUniformPrior prior)
    {
        using var scope = NewDisposeScope();
        Tensor divergence = PerEntry(posterior.LogAlpha, prior.Divergence).sum();
        if (!posterior.HasIndependentSymmetricEntries)
            divergence = divergence.Plus(posterior.MarginalEntropy().sub(posterior.Entropy()));
        return divergence.MoveToOuterDisposeScope();
    }

    internal static Tensor Refuse(Posterior posterior, LogUniformPrior prior)
        => throw new NotSupportedException(
            $"KL({posterior.GetName()} || log-uniform) has no value: the prior is improper, and the constant that is chosen for Gaussian posteriors "
            + "means nothing here. Use a Gaussian posterior, or a prior with a density, such as HorseshoePrior.");

    /// <summary>The divergence of one entry, by ln alpha.</summary>
    internal static Tensor PerEntry(Tensor logAlpha, LogUniformKl form)
    {
        using var scope = NewDisposeScope();
        Tensor divergence = form switch
        {
            LogUniformKl.Molchanov2017 => Molchanov(logAlpha),
            LogUniformKl.Kingma2015 => Kingma(logAlpha),
            _ => Exact(logAlpha),
        };
        return divergence.MoveToOuterDisposeScope();
    }

    private static Tensor Exact(Tensor logAlpha)
    {
        // 1/2 (ln 2/alpha + gamma) - alpha/2 - 3/4 alpha^2 - 5/2 alpha^3 - 105/8 alpha^4 - 189/2 alpha^5
        Tensor below = logAlpha.clamp_max(LowScalar);
        Tensor alpha = below.exp();
        Tensor polynomial = alpha.Times(94.5).Plus(13.125).mul(alpha).Plus(2.5).mul(alpha).Plus(0.75).mul(alpha).Plus(0.5).mul(alpha);
        Tensor asymptotic = below.mul(Scalars.Half).Plus(polynomial).neg().Plus(HalfLogTwoPlusGamma);

        // t - t^2/3 + 4 t^3/45 - ..., t = 1 / (2 alpha)
        Tensor t = logAlpha.clamp_min(HighScalar).neg().exp().mul(Scalars.Half);
        Tensor series = t.Times(4.0 / 45).Plus(-1.0 / 3).mul(t).Plus(1).mul(t);
        return where(logAlpha.lt(LowScalar), asymptotic, where(logAlpha.gt(HighScalar), series, Table.Value.Evaluate(logAlpha)));
    }

    private static double Series(double t) => t - t * t / 3 + 4 * t * t * t / 45;

    private static Tensor Molchanov(Tensor logAlpha)
    {
        Tensor sigmoid = logAlpha.Times(-1.48695).Plus(-1.87320).sigmoid();
        return sigmoid.Times(0.63576).Plus(ScaleParameterization.Softplus.Scale(logAlpha.neg()).mul(Scalars.Half));
    }

    private static Tensor Kingma(Tensor logAlpha)
    {
        Tensor cut = logAlpha.clamp_max(Scalars.Zero);
        Tensor alpha = cut.exp();
        Tensor cubic = alpha.Times(0.58629921).Plus(-1.50204118).mul(alpha).Plus(1.16145124).mul(alpha);
        return cut.mul(Scalars.Half).Plus(cubic).neg().Plus(HalfLogTwoPlusGamma);
    }
}
