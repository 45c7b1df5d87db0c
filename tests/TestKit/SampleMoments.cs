using Xunit;
using static TorchSharp.torch;

namespace BayesNet.TestKit;

/// <summary>
/// Means and covariances of independent draws of a vector, held against exact values. Tolerances are standard errors, taken from the
/// draws themselves, times <see cref="StandardErrors"/>; a difference below rounding passes where an exact value has no variance.
/// </summary>
public static class SampleMoments
{
    /// <summary>The tolerance in standard errors. With fixed seeds a test either holds or does not; at 5 one entry in two million fails by chance.</summary>
    public const double StandardErrors = 5;

    private const double Rounding = 1e-9;

    /// <summary>Asserts E[z] = <paramref name="mean"/> and Cov[z] = <paramref name="covariance"/>.</summary>
    /// <param name="draws">(draws, D), float64.</param>
    /// <param name="mean">(D).</param>
    /// <param name="covariance">(D, D).</param>
    public static void AssertMeanAndCovariance(Tensor draws, Tensor mean, Tensor covariance)
    {
        using var scope = NewDisposeScope();
        AssertMean(draws, mean);

        // The products of centred entries are draws of the covariance.
        double count = draws.size(0);
        Tensor centred = draws - mean;
        Tensor squared = centred.square();
        Tensor products = centred.t().mm(centred) / count;
        Tensor productVariance = (squared.t().mm(squared) / count - products.square()).clamp_min(0);
        AssertClose(products, covariance, (productVariance / count).sqrt(), "covariance");
    }

    /// <summary>Asserts E[z] = <paramref name="mean"/> entry by entry; draws (draws, D), mean (D).</summary>
    public static void AssertMean(Tensor draws, Tensor mean)
    {
        using var scope = NewDisposeScope();
        Tensor standardError = draws.var(0, unbiased: true).sqrt() / Math.Sqrt(draws.size(0));
        AssertClose(draws.mean([0]), mean, standardError, "mean");
    }

    /// <summary>Asserts Var[z] = <paramref name="variance"/> entry by entry; draws (draws, D), variance (D).</summary>
    public static void AssertVariance(Tensor draws, Tensor variance)
    {
        using var scope = NewDisposeScope();
        double count = draws.size(0);
        Tensor squared = (draws - draws.mean([0])).square();
        Tensor standardError = squared.var(0, unbiased: true).sqrt() / Math.Sqrt(count);
        AssertClose(squared.sum(dim: 0) / (count - 1), variance, standardError, "variance");
    }

    private static void AssertClose(Tensor measured, Tensor exact, Tensor standardError, string what)
    {
        Assert.Equal(exact.shape, measured.shape);
        Tensor scale = exact.abs().max().clamp_min(1);
        Tensor excess = (measured - exact).abs() - (standardError * StandardErrors + scale * Rounding);
        double worst = excess.max().item<double>();
        if (worst <= 0)
            return;
        long index = excess.flatten().argmax().item<long>();
        Assert.Fail(
            $"The {what} at flat index {index} is {measured.flatten()[index].item<double>():G6}, exactly {exact.flatten()[index].item<double>():G6}, "
            + $"standard error {standardError.flatten()[index].item<double>():G3}.");
    }
}
