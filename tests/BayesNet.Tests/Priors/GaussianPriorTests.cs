using BayesNet.Estimators;
using BayesNet.Priors;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Priors;

public sealed class GaussianPriorTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void DensityAndSamplesAreTheGaussians(bool perEntry)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(8);
        Tensor mean = perEntry ? tensor(new[] { 0.5, -1.0 }) : full(2, 0.5, dtype: ScalarType.Float64);
        Tensor stdDev = perEntry ? tensor(new[] { 2.0, 0.1 }) : full(2, 2.0, dtype: ScalarType.Float64);
        using GaussianPrior prior = perEntry ? new GaussianPrior(mean, stdDev) : new GaussianPrior(0.5, 2);
        Tensor draws = prior.Sample(noise, [20000, 2], ScalarType.Float64, CPU);
        SampleMoments.AssertMeanAndCovariance(draws, mean, diag(stdDev.square()));

        Tensor expected = -((draws - mean) / stdDev).square() / 2 - stdDev.log() - 0.5 * Math.Log(2 * Math.PI);
        Assert.True((prior.LogDensity(draws) - expected).abs().max().item<double>() < 1e-12);
        Assert.Equal(perEntry ? 2 : 0, prior.state_dict().Count);
    }

    [Fact]
    public void SpecificationsSayTheSameInThreeWays()
    {
        using var scope = NewDisposeScope();
        foreach (PriorSpecification specification in new[] { GaussianPrior.WithStdDev(0.5), GaussianPrior.WithVariance(0.25), GaussianPrior.WithPrecision(4), GaussianPrior.With(0, 0.5) })
        {
            using var prior = Assert.IsType<GaussianPrior>(specification.Create(zeros(3)));
            Assert.Equal(0, prior.ScalarMean);
            Assert.Equal(0.5, prior.ScalarStdDev, 1e-15);
        }

        using var broadcast = Assert.IsType<GaussianPrior>(GaussianPrior.With(zeros(3), ones(1)).Create(zeros(2, 3)));
        Assert.False(broadcast.IsScalar);
        Assert.Equal([2L, 3L], broadcast.StdDev!.shape);
        Assert.Throws<InvalidOperationException>(() => broadcast.ScalarMean);
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        Assert.Throws<ArgumentOutOfRangeException>("stdDev", () => new GaussianPrior(0, 0));
        Assert.Throws<ArgumentOutOfRangeException>("mean", () => new GaussianPrior(double.NaN, 1));
        Assert.Throws<ArgumentOutOfRangeException>("stdDev", () => GaussianPrior.WithStdDev(-1));
        Assert.Throws<ArgumentOutOfRangeException>("variance", () => GaussianPrior.WithVariance(0));
        Assert.Throws<ArgumentOutOfRangeException>("precision", () => GaussianPrior.WithPrecision(double.PositiveInfinity));
        Assert.Throws<ArgumentException>("stdDev", () => new GaussianPrior(zeros(2), tensor(new[] { 1f, 0f })));
        Assert.Throws<ArgumentException>("mean", () => new GaussianPrior(tensor(new[] { float.NaN, 0f }), ones(2)));
        var error = Assert.Throws<ArgumentException>("StdDev", () => GaussianPrior.With(zeros(3), ones(4)).Create(zeros(2, 3)));
        Assert.Contains("(4) does not broadcast to the weight's (2, 3)", error.Message, StringComparison.Ordinal);
    }
}
