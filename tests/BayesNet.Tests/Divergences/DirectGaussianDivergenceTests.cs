using BayesNet.Divergences;
using BayesNet.Posteriors;
using BayesNet.Priors;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Divergences;

/// <summary>The divergence past autograd against its plain twin and that one's backward pass.</summary>
public sealed class DirectGaussianDivergenceTests
{
    [Theory]
    [InlineData(ScalarType.Float32, 1, 0, 1, 1)]
    [InlineData(ScalarType.Float32, 20_011, 0, 1, 0.01)]
    [InlineData(ScalarType.Float64, 37, 0.3, 0.7, 0.25)]
    [InlineData(ScalarType.Float64, 20_011, -0.2, 2, -1.5)]
    public void ValueAndGradientAreThoseOfAutograd(ScalarType dtype, int count, double priorMean, double priorStdDev, double weight)
    {
        using var scope = NewDisposeScope();
        using MeanFieldGaussian direct = Posterior(dtype, count), plain = Posterior(dtype, count);
        using var prior = new GaussianPrior(priorMean, priorStdDev);
        Assert.True(DirectGaussianDivergence.Fits(direct, prior));

        // A gradient that stands is added to; in the other parameter there is none.
        foreach (MeanFieldGaussian q in new[] { direct, plain })
            (q.Mean * 0.5).sum().backward();
        Tensor divergence = GaussianDivergence.ByMoments(plain, prior);
        (divergence * weight).backward();
        Assert.True(DirectGaussianDivergence.IsInReach(direct));
        double value = DirectGaussianDivergence.Accumulate(direct, prior, weight);

        double rounding = dtype == ScalarType.Float32 ? 1e-6 : 1e-14;
        Assert.Equal(1, value / divergence.to(ScalarType.Float64).item<double>(), rounding);
        double scale = Math.Abs(weight) * (1 + 4 / (priorStdDev * priorStdDev)) + 0.5;
        AssertClose(plain.Mean.grad!, direct.Mean.grad!, rounding * scale);
        AssertClose(plain.ScaleParameter.grad!, direct.ScaleParameter.grad!, rounding * scale);
        Assert.Equal(value, DirectGaussianDivergence.Accumulate(direct, prior, 0));
    }

    [Theory]
    [InlineData(ScalarType.Float32, 0.5)]
    [InlineData(ScalarType.Float64, 0.9)]
    [InlineData(ScalarType.Float64, 1)]
    public void OfAPrunedPosteriorItIsThatOfTheWeightsThatAreKept(ScalarType dtype, double share)
    {
        using var scope = NewDisposeScope();
        using MeanFieldGaussian direct = Posterior(dtype, 1001), plain = Posterior(dtype, 1001);
        using var prior = new GaussianPrior(0.2, 0.7);
        Tensor pruned = arange(1001).lt(share * 1001);
        foreach (MeanFieldGaussian q in new[] { direct, plain })
            q.Prune(pruned);
        (direct.MeanParameter * 0.5).sum().backward();
        (plain.MeanParameter * 0.5).sum().backward();
        Tensor divergence = KeptEntries.Divergence(plain, prior, null, 1);
        if (divergence.requires_grad)
            (divergence * 0.3).backward();
        Assert.True(DirectGaussianDivergence.Fits(direct, prior) && DirectGaussianDivergence.IsInReach(direct));
        double value = DirectGaussianDivergence.Accumulate(direct, prior, 0.3), rounding = dtype == ScalarType.Float32 ? 1e-5 : 1e-13;
        Assert.Equal(divergence.to(ScalarType.Float64).item<double>(), value, rounding * Math.Max(1, value));
        AssertClose(plain.MeanParameter.grad!, direct.MeanParameter.grad!, rounding);
        AssertClose(plain.ScaleParameter.grad ?? zeros_like(direct.ScaleParameter), direct.ScaleParameter.grad!, rounding);
    }

    [Fact]
    public void WhatRequiresNoGradientGetsNone()
    {
        using var scope = NewDisposeScope();
        using MeanFieldGaussian q = Posterior(ScalarType.Float32, 5);
        using var prior = new GaussianPrior();
        DirectGaussianDivergence.Accumulate(q, prior, 0);
        Assert.Null(q.Mean.grad);
        q.ScaleParameter.requires_grad_(false);
        DirectGaussianDivergence.Accumulate(q, prior, 1);
        Assert.NotNull(q.Mean.grad);
        Assert.Null(q.ScaleParameter.grad);
    }

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public void ADivergenceThatIsNotFiniteIsNotHidden(double bad)
    {
        using var scope = NewDisposeScope();
        using MeanFieldGaussian q = Posterior(ScalarType.Float64, 9);
        using (no_grad())
            q.Mean[2] = bad;
        Assert.False(double.IsFinite(DirectGaussianDivergence.Accumulate(q, new GaussianPrior(), 0)));
    }

    [Fact]
    public void OtherPairsDoNotFit()
    {
        using var scope = NewDisposeScope();
        Tensor mean = zeros(3);
        Assert.False(DirectGaussianDivergence.Fits(new MeanFieldGaussian(mean, 1), new GaussianPrior(zeros(3), ones(3))));
        Assert.False(DirectGaussianDivergence.Fits(new MeanFieldGaussian(mean, 1), new LaplacePrior()));
        Assert.False(DirectGaussianDivergence.Fits(new MeanFieldLaplace(mean, 1), new GaussianPrior()));
        using var noncontiguous = new MeanFieldGaussian(zeros(4, 3).t(), 1);
        Assert.Equal(noncontiguous.Mean.is_contiguous(), DirectGaussianDivergence.IsInReach(noncontiguous));
    }

    private static MeanFieldGaussian Posterior(ScalarType dtype, int count)
    {
        using var _ = no_grad();
        Tensor index = arange(count, dtype: dtype);
        var posterior = new MeanFieldGaussian((index * 0.37).sin() * 1.3, 1);
        posterior.ScaleParameter.copy_((index * 0.73).cos() * 2 - 2.5);
        return posterior;
    }

    private static void AssertClose(Tensor expected, Tensor actual, double tolerance)
        => Assert.InRange((expected - actual).abs().max().to(ScalarType.Float64).item<double>(), 0, tolerance);
}
