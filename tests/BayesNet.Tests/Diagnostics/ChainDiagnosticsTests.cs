using BayesNet.Diagnostics;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Diagnostics;

public sealed class ChainDiagnosticsTests
{
    /// <summary>x_t = rho x_(t-1) + sqrt(1 - rho^2) eps from the stationary law, (chains, draws, quantities).</summary>
    private static Tensor Autoregression(double rho, int chains, int draws, int quantities)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(4, CPU);
        Tensor noise = randn([chains, draws, quantities], ScalarType.Float64, generator: generator);
        Tensor x = noise.select(1, 0);
        var all = new List<Tensor> { x };
        for (int t = 1; t < draws; t++)
            all.Add(x = x * rho + noise.select(1, t) * Math.Sqrt(1 - rho * rho));
        return stack(all, 1).MoveToOuterDisposeScope();
    }

    /// <summary>The mean of many quantities' estimates is what theory says, S (1 - rho) / (1 + rho), and R-hat stays near 1.</summary>
    [Theory]
    [InlineData(0.0)]
    [InlineData(0.5)]
    [InlineData(0.8)]
    [InlineData(-0.4)]
    public void AnAutoregressionIsWorthItsEffectiveSize(double rho)
    {
        using var scope = NewDisposeScope();
        Tensor draws = Autoregression(rho, 4, 1000, 60);
        double exact = 4000 * (1 - rho) / (1 + rho);
        foreach (Tensor size in new[] { ChainDiagnostics.BulkEffectiveSampleSize(draws), ChainDiagnostics.EffectiveSampleSize(draws) })
        {
            Assert.Equal([60L], size.shape);

            // Geyer's truncation, and the division of covariances by n, cost a few percent of the size.
            Assert.InRange(size.mean().item<double>() / exact, 0.88, 1.12);
        }

        Tensor ratio = ChainDiagnostics.RHat(draws);

        // A chi-squared variable of seven degrees of freedom over twice the effective draws of a half, twice for the folded ones: 2 to 30 over the size.
        double few = Math.Min(exact, 4000);
        Assert.InRange(ratio.max().item<double>(), 0.999, 1 + 30 / few);
        Assert.InRange(ratio.mean().item<double>(), 0.999, 1 + 8 / few);
    }

    [Fact]
    public void ChainsThatDisagreeShow()
    {
        using var scope = NewDisposeScope();
        Tensor draws = Autoregression(0, 4, 200, 3);
        Tensor elsewhere = draws.clone(), wider = draws.clone(), trend = draws + arange(200, dtype: ScalarType.Float64).reshape(1, 200, 1) / 50;
        elsewhere.select(0, 0).add_(2);
        wider.select(0, 0).mul_(4);
        foreach (Tensor bad in new[] { elsewhere, wider, trend })
            Assert.True(ChainDiagnostics.RHat(bad).min().item<double>() > 1.05);
        Assert.True(ChainDiagnostics.BulkEffectiveSampleSize(elsewhere).max().item<double>() < 60);
    }

    /// <summary>Ranks do not see a monotone change of scale, under which heavy tails would break a variance.</summary>
    [Fact]
    public void RanksAreAllThatCounts()
    {
        using var scope = NewDisposeScope();
        Tensor draws = Autoregression(0.3, 2, 101, 5);
        Assert.True(ChainDiagnostics.BulkEffectiveSampleSize(draws).allclose(ChainDiagnostics.BulkEffectiveSampleSize(draws.exp())));
    }

    /// <summary>Equations 1 to 4, 10 and 14 written out for two chains of four draws, each of which splits into halves of two.</summary>
    [Fact]
    public void ASmallCaseByHand()
    {
        using var scope = NewDisposeScope();
        double[] ranks = [1, 4, 2, 6, 3, 8, 5, 7];
        double[] z = special.ndtri((tensor(ranks) - 0.375) / 8.25).data<double>().ToArray();
        double within = 0, mean = 0, between = 0;
        var means = new double[4];
        for (int half = 0; half < 4; half++)
        {
            means[half] = (z[2 * half] + z[2 * half + 1]) / 2;
            within += Math.Pow(z[2 * half] - z[2 * half + 1], 2) / 2 / 4;
            mean += means[half] / 4;
        }

        foreach (double m in means)
            between += (m - mean) * (m - mean) / 3;
        double bulk = Math.Sqrt(0.5 + between / within);
        Tensor draws = tensor(new[,] { { 10.0, 40, 20, 60 }, { 30, 80, 50, 70 } });
        Assert.True(ChainDiagnostics.RHat(draws).item<double>() >= bulk - 1e-12);

        // Folding draws that are symmetric about their median pairs them: here it is the bulk that is greater.
        Assert.Equal(bulk, ChainDiagnostics.RHat(draws).item<double>(), 0.35);
    }

    [Fact]
    public void WhatCannotBeJudgedIsRefusedOrNotANumber()
    {
        using var scope = NewDisposeScope();
        Assert.Throws<ArgumentException>(() => ChainDiagnostics.RHat(zeros(2, 3)));
        Assert.Throws<ArgumentException>(() => ChainDiagnostics.RHat(zeros(8)));
        Assert.Throws<ArgumentException>(() => ChainDiagnostics.RHat(full([2, 8], double.NaN)));
        Assert.True(double.IsNaN(ChainDiagnostics.RHat(ones(2, 8)).item<double>()));
        Assert.True(double.IsNaN(ChainDiagnostics.BulkEffectiveSampleSize(ones(2, 8)).item<double>()));
    }
}
