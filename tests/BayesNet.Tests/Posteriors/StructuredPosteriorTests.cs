using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Posteriors;

public sealed class StructuredPosteriorTests
{
    /// <summary>The standard deviation that was asked for, whatever the family; for low rank in expectation over its drawn factor.</summary>
    [Fact]
    public void EveryPosteriorStartsAsItsSpecificationSays()
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        Tensor mean = randn(40, 50);
        (PosteriorSpecification Specification, double StdDev, double Tolerance)[] cases =
        [
            (new MeanFieldGaussianSpecification { InitialStdDev = 0.2 }, 0.2, 1e-6),
            (new FullCovarianceGaussianSpecification { InitialStdDev = 0.2 }, 0.2, 1e-6),
            (new FullCovarianceGaussianSpecification { InitialStdDev = 0.2, Groups = CovarianceGroups.PerOutput }, 0.2, 1e-6),
            (new LowRankGaussianSpecification { InitialStdDev = 0.2, Rank = 3 }, 0.2, 0.2 * 5 * Math.Sqrt(1.0 / 6 / 2000) / 2),
            (new MatrixNormalSpecification { InitialStdDev = 0.2 }, 0.2, 1e-6),
            (new MeanFieldLaplaceSpecification { InitialScale = 0.2 }, 0.2 * Math.Sqrt(2), 1e-6),
            (new MeanFieldLogisticSpecification { InitialScale = 0.2 }, 0.2 * Math.PI / Math.Sqrt(3), 1e-6),
            (new MeanFieldUniformSpecification { InitialScale = 0.2 }, 0.2 / Math.Sqrt(12), 1e-6),
            (new MeanFieldStudentTSpecification { InitialScale = 0.2, DegreesOfFreedom = 6 }, 0.2 * Math.Sqrt(1.5), 1e-6),
        ];
        foreach ((PosteriorSpecification specification, double stdDev, double tolerance) in cases)
        {
            using Posterior posterior = specification.Create(mean);
            Assert.True(posterior.Mean.eq(mean).all().item<bool>());
            Assert.Equal(stdDev, Math.Sqrt(posterior.Variance.mean().item<float>()), tolerance);
        }

        using Posterior dropout = new VariationalDropoutSpecification { InitialAlpha = 0.3, Sharing = ParameterSharing.PerInput }.Create(mean);
        Assert.True((dropout.Variance / mean.square() - 0.3).abs().max().item<float>() < 1e-5);
    }

    [Fact]
    public void ABiasGetsIndependentEntriesWhereGroupsAreOutputs()
    {
        using var scope = NewDisposeScope();
        Assert.IsType<MeanFieldGaussian>(new FullCovarianceGaussianSpecification().Create(zeros(3)));
        Assert.IsType<MeanFieldGaussian>(new LowRankGaussianSpecification().Create(zeros(3)));
        Assert.IsType<MeanFieldGaussian>(new MatrixNormalSpecification().Create(zeros(3)));
        Assert.IsType<FullCovarianceGaussian>(new FullCovarianceGaussianSpecification { Groups = CovarianceGroups.PerLayer }.Create(zeros(3)));
        Assert.Equal([1L, 3], ((VariationalDropout)new VariationalDropoutSpecification { Sharing = ParameterSharing.PerInput }.Create(zeros(2, 3))).SharedLogAlpha.shape);
        Assert.Equal([2L, 1], ((VariationalDropout)new VariationalDropoutSpecification { Sharing = ParameterSharing.PerOutput }.Create(zeros(2, 3))).SharedLogAlpha.shape);
        Assert.Equal([1L], ((VariationalDropout)new VariationalDropoutSpecification { Sharing = ParameterSharing.PerInput }.Create(zeros(3))).SharedLogAlpha.shape);
    }

    /// <summary>A low-rank posterior trains its factor: at its start the gradient of a loss in P is not zero.</summary>
    [Fact]
    public void TheLowRankFactorHasAGradientFromTheStart()
    {
        using var scope = NewDisposeScope();
        manual_seed(2);
        using var posterior = new LowRankGaussian(randn(2, 3), 0.1, 2);
        using var noise = new NoiseSource(1);
        Estimator.LocalReparameterization.Forward(new LinearMap(3, 2), posterior, null, randn(5, 3), noise).square().sum().backward();
        Assert.True(posterior.named_parameters().Single(entry => entry.name == "factor").parameter.grad!.abs().min().item<float>() > 0);
    }

    [Fact]
    public void RefusalsNameTheRemedy()
    {
        using var scope = NewDisposeScope();
        var linear = new LinearMap(3, 2);
        var grouped = new ConvolutionMap(4, 2, [1], groups: 2);
        using var layer = new FullCovarianceGaussian(zeros(2, 3), 0.1, CovarianceGroups.PerLayer);
        Assert.Contains("CovarianceGroups.PerOutput", Estimator.LocalReparameterization.WhyNot(linear, layer, null), StringComparison.Ordinal);
        using var laplace = new MeanFieldLaplace(zeros(2, 3), 0.1);
        Assert.Contains("not of its family", Estimator.LocalReparameterization.WhyNot(linear, laplace, null), StringComparison.Ordinal);
        using var matrix = new MatrixNormal(zeros(2, 2, 1), 0.1);
        Assert.Contains("channel groups", Estimator.LocalReparameterization.WhyNot(grouped, matrix, null), StringComparison.Ordinal);
        using var gaussian = new MeanFieldGaussian(zeros(2, 3), 0.1);
        using var correlatedBias = new FullCovarianceGaussian(zeros(2), 0.1, CovarianceGroups.PerLayer);
        Assert.Contains("bias", Estimator.LocalReparameterization.WhyNot(linear, gaussian, correlatedBias), StringComparison.Ordinal);
        Assert.Contains("Estimator.SharedWeights", Estimator.Flipout.WhyNot(linear, matrix, null), StringComparison.Ordinal);
        Assert.Throws<ArgumentException>("initialMean", () => new MatrixNormal(zeros(3), 0.1));
        Assert.Throws<ArgumentOutOfRangeException>("rank", () => new LowRankGaussian(zeros(2, 3), 0.1, 0));
        Assert.Throws<ArgumentOutOfRangeException>("groups", () => new FullCovarianceGaussian(zeros(2, 3), 0.1, (CovarianceGroups)5));
        Assert.Throws<ArgumentOutOfRangeException>("sharing", () => new VariationalDropout(zeros(2, 3), 0.1, (ParameterSharing)5));
        Assert.Throws<ArgumentOutOfRangeException>("degreesOfFreedom", () => new MeanFieldStudentT(zeros(2), 0.1, -1));
    }

    /// <summary>alpha is variance over squared mean, whatever posterior it is read from.</summary>
    [Fact]
    public void LogAlphaIsThatOfTheMoments()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        manual_seed(4);
        foreach (PosteriorCase known in PosteriorCase.All)
        {
            if (known.Create(randn(2, 3, dtype: ScalarType.Float64)) is GaussianPosterior posterior)
            {
                Tensor expected = (posterior.Variance / posterior.Mean.square()).log();
                Assert.True((posterior.LogAlpha - expected).abs().max().item<double>() < 1e-12, known.Name);
                Assert.True((posterior.LogStdDev - posterior.Variance.log() / 2).abs().max().item<double>() < 1e-12, known.Name);
            }
        }
    }
}
