using BayesNet.Estimators;
using BayesNet.Posteriors;
using BayesNet.Reparameterization;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Reparameterization;

/// <summary>The families of vectors against dense closed forms.</summary>
public sealed class MultivariateTests
{
    private const int Draws = 40000;

    public static IEnumerable<TheoryDataRow<string>> Gaussians() => [new("full, log"), new("full, softplus"), new("low rank")];

    [Theory]
    [MemberData(nameof(Gaussians))]
    public void GaussiansHaveTheirMeanCovarianceDensityAndEntropy(string name)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(31);
        (Tensor[] leaves, Func<ReparameterizedDistribution> create, Tensor covariance) = Gaussian(name, noise);
        ReparameterizedDistribution q = create();
        Tensor z = q.Sample(noise, Draws).detach();
        SampleMoments.AssertMeanAndCovariance(z, leaves[0].detach(), covariance);
        Assert.True((q.Variance() - covariance.diag()).abs().max().item<double>() < 1e-12);

        Tensor density = DenseLogDensity(z, leaves[0], covariance);
        Assert.True((q.LogDensity(z) - density).abs().max().item<double>() < 1e-10);
        double entropy = 0.5 * (covariance.size(0) * (1 + Math.Log(2 * Math.PI)) + linalg.slogdet(covariance).Item2.item<double>());
        Assert.Equal(entropy, q.Entropy().item<double>(), 1e-12);
        SampleMoments.AssertMean(-density.detach().unsqueeze(1), tensor(new[] { entropy }));
    }

    [Theory]
    [MemberData(nameof(Gaussians))]
    public void GaussianGradientsAreThoseOfFiniteDifferences(string name)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(32);
        (Tensor[] leaves, Func<ReparameterizedDistribution> create, _) = Gaussian(name, noise);
        (string, Tensor)[] named = [.. leaves.Select((leaf, i) => ($"parameter {i}", leaf))];
        Tensor eps = create().SampleNoise(noise, 7), z = create().Transform(eps).detach().requires_grad_(true);
        FiniteDifferences.AssertGradients(() => create().Transform(eps).sin().sum(), named);
        FiniteDifferences.AssertGradients(() => create().LogDensity(z).sum(), [.. named, ("z", z)]);
        FiniteDifferences.AssertGradients(() => create().Entropy().sum(), named);
        FiniteDifferences.AssertGradients(() => create().Variance().sum(), named);
    }

    /// <summary>E|z|^2 = |mu|^2 + |L|^2, so its gradients are 2 mu and, below the diagonal, 2L.</summary>
    [Fact]
    public void TheGradientOfTheSquaredNormIsTwiceTheMeanAndTheFactor()
    {
        const int draws = 20000;
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(33);
        (Tensor[] leaves, _, _) = Gaussian("full, log", noise);
        Tensor location = leaves[0].detach().expand(draws, 3).clone().requires_grad_(true);
        Tensor unconstrained = leaves[1].detach().expand(draws, 3, 3).clone().requires_grad_(true);
        var q = new CholeskyGaussianDistribution(location, unconstrained);
        q.Sample(noise).square().sum().backward();
        SampleMoments.AssertMean(location.grad!, 2 * leaves[0].detach());

        // The diagonal is exp(rho): dL/drho = L.
        Tensor factor = q.Factor().detach()[0];
        Tensor exact = 2 * factor.tril(-1) + (2 * factor.diagonal().square()).diag();
        SampleMoments.AssertMean(unconstrained.grad!.reshape(draws, 9), exact.reshape(9));
    }

    [Fact]
    public void TheUnconstrainedMatrixOfAFactorGivesTheFactorBack()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(34);
        (_, _, Tensor covariance) = Gaussian("full, log", noise);
        Tensor factor = linalg.cholesky(covariance);
        foreach (ScaleParameterization scale in new[] { ScaleParameterization.Log, ScaleParameterization.Softplus })
        {
            Tensor unconstrained = CholeskyGaussianDistribution.Unconstrain(factor, scale);
            var q = new CholeskyGaussianDistribution(zeros(3, dtype: ScalarType.Float64), unconstrained, scale);
            Assert.True((q.Factor() - factor).abs().max().item<double>() < 1e-14);
        }

        Assert.Throws<ArgumentException>("factor", () => CholeskyGaussianDistribution.Unconstrain(-factor));
    }

    /// <summary>A batch of Gaussians is each of them alone.</summary>
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void BatchesBroadcast(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(35);
        Tensor Normal(params long[] shape) => noise.Normal(shape, dtype, CPU);
        Tensor location = Normal(4, 1, 3), diagonal = Normal(2, 3).exp(), factor = Normal(3, 2), unconstrained = Normal(2, 3, 3);
        (ReparameterizedDistribution Batch, Func<int, int, ReparameterizedDistribution> One)[] cases =
        [
            (new LowRankGaussianDistribution(location, diagonal, factor), (i, j) => new LowRankGaussianDistribution(location[i, 0], diagonal[j], factor)),
            (new CholeskyGaussianDistribution(location, unconstrained), (i, j) => new CholeskyGaussianDistribution(location[i, 0], unconstrained[j])),
        ];
        foreach ((ReparameterizedDistribution batch, Func<int, int, ReparameterizedDistribution> one) in cases)
        {
            Assert.Equal([4L, 2L], batch.BatchShape.ToArray());
            Tensor eps = batch.SampleNoise(noise, 5), z = batch.Transform(eps), density = batch.LogDensity(z);
            Assert.Equal([5L, 4L, 2L, 3L], z.shape);
            Assert.Equal([5L, 4L, 2L], density.shape);
            Assert.Equal([4L, 2L, 3L], batch.Mean().shape);
            for (int i = 0; i < 4; i++)
            {
                for (int j = 0; j < 2; j++)
                {
                    Tensor own = one(i, j).Transform(eps.select(1, i).select(1, j));
                    double rounding = dtype == ScalarType.Float64 ? 1e-12 : 1e-4;
                    Assert.True((own - z.select(1, i).select(1, j)).abs().max().to(ScalarType.Float64).item<double>() < rounding);
                    Assert.True((one(i, j).LogDensity(own) - density.select(1, i).select(1, j)).abs().max().to(ScalarType.Float64).item<double>() < rounding * 10);
                    Assert.True((one(i, j).Entropy() - batch.Entropy()[i, j]).abs().max().to(ScalarType.Float64).item<double>() < rounding);
                }
            }
        }
    }

    /// <summary>
    /// Where P P' is a million times the diagonal, x'x - x'Q C^-1 Q'x is the small difference of numbers near 10^8; the sum of squares that
    /// is computed instead has the precision of the residual.
    /// </summary>
    [Fact]
    public void TheLowRankDensityDoesNotCancel()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(36);
        Tensor location = zeros(50), diagonal = full(50, 1e-6f), factor = noise.Normal([50, 2], ScalarType.Float32, CPU);
        var q = new LowRankGaussianDistribution(location, diagonal, factor);
        Tensor z = q.Sample(noise, 100);
        var exact = new LowRankGaussianDistribution(location.to(ScalarType.Float64), diagonal.to(ScalarType.Float64), factor.to(ScalarType.Float64));
        Tensor expected = exact.LogDensity(z.to(ScalarType.Float64));

        Tensor scaled = factor / diagonal.sqrt().unsqueeze(1), x = z / diagonal.sqrt(), capacitance = scaled.t().mm(scaled) + eye(2);
        Tensor inner = x.mm(scaled), distance = x.square().sum(dim: 1) - (inner.mm(linalg.inv(capacitance)) * inner).sum(dim: 1);
        Tensor woodbury = -0.5f * (distance + (float)(50 * Math.Log(2 * Math.PI)) + diagonal.log().sum() + linalg.slogdet(capacitance).Item2);
        double error = Worst(q.LogDensity(z)), cancelled = Worst(woodbury);
        Assert.True(error < 0.1, $"{error:G3}"); // 50 residuals of size 1, each with the rounding of an x of size 1000
        Assert.True(cancelled > 20 * error, $"{cancelled:G3} against {error:G3}");

        double Worst(Tensor density) => (density.to(ScalarType.Float64) - expected).abs().max().item<double>();
    }

    [Theory]
    [InlineData(ScalarType.Float32, false)]
    [InlineData(ScalarType.Float64, false)]
    [InlineData(ScalarType.Float64, true)]
    public void DirichletHasItsMomentsAndEntropy(ScalarType dtype, bool throughNoise)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(37);
        Tensor a = tensor(new[] { 0.5, 2.0, 4.0 }), sum = a.sum();
        var q = new DirichletDistribution(a.to(dtype));
        Tensor z = (throughNoise ? q.Transform(q.SampleNoise(noise, Draws / 2)) : q.Sample(noise, Draws)).to(ScalarType.Float64);
        Tensor mean = a / sum, covariance = (mean.diag() - mean.outer(mean)) / (sum + 1);
        SampleMoments.AssertMeanAndCovariance(z, mean, covariance);
        Assert.True((q.Mean().to(ScalarType.Float64) - mean).abs().max().item<double>() < 1e-7);
        Assert.True((q.Variance().to(ScalarType.Float64) - covariance.diag()).abs().max().item<double>() < 1e-7);
        SampleMoments.AssertMean(-q.LogDensity(z.to(dtype)).to(ScalarType.Float64).unsqueeze(1), q.Entropy().to(ScalarType.Float64).reshape(1));
    }

    /// <summary>The midpoint rule over the triangle z1 + z2 &lt; 1, where the density is smooth and vanishes at the edges.</summary>
    [Fact]
    public void TheDirichletDensityIntegratesToOne()
    {
        const int cells = 1000;
        using var scope = NewDisposeScope();
        Tensor points = (arange(cells, dtype: ScalarType.Float64) + 0.5) / cells;
        Tensor first = points.unsqueeze(1).expand(cells, cells), second = points.unsqueeze(0) * (1 - first); // a collapsed square
        var q = new DirichletDistribution(tensor(new[] { 2.0, 3.0, 2.5 }));
        Tensor density = q.LogDensity(stack([first, second, 1 - first - second], -1)).exp() * (1 - first);
        Assert.Equal(1, density.mean().item<double>(), 1e-5);
    }

    [Fact]
    public void DirichletGradientsAreThoseOfFiniteDifferences()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(38);
        Tensor a = tensor(new[,] { { 0.5, 2.0, 4.0 }, { 1.5, 0.8, 1.0 } }).requires_grad_(true);
        Tensor eps = new DirichletDistribution(a).SampleNoise(noise, 5);
        Tensor z = new DirichletDistribution(a).Transform(eps / 4).detach().requires_grad_(true);
        FiniteDifferences.AssertGradients(() => new DirichletDistribution(a).Transform(eps).square().sum(), ("concentration", a));
        FiniteDifferences.AssertGradients(() => new DirichletDistribution(a).LogDensity(z).sum(), ("concentration", a), ("z", z));
        FiniteDifferences.AssertGradients(() => new DirichletDistribution(a).Entropy().sum(), ("concentration", a));
        FiniteDifferences.AssertGradients(() => new DirichletDistribution(a).Mean().square().sum() + new DirichletDistribution(a).Variance().sum(), ("concentration", a));
    }

    private static (Tensor[] Leaves, Func<ReparameterizedDistribution> Create, Tensor Covariance) Gaussian(string name, NoiseSource noise)
    {
        Tensor Normal(params long[] shape) => noise.Normal(shape, ScalarType.Float64, CPU);
        Tensor location = Normal(3).requires_grad_(true);
        if (name == "low rank")
        {
            Tensor diagonal = Normal(3).exp().requires_grad_(true), factor = Normal(3, 2).requires_grad_(true);
            Tensor covariance = (diagonal.diag() + factor.mm(factor.t())).detach();
            return ([location, diagonal, factor], () => new LowRankGaussianDistribution(location, diagonal, factor), covariance);
        }

        bool log = name == "full, log";
        Tensor unconstrained = (Normal(3, 3) * 0.7).requires_grad_(true);
        Tensor diagonalOfFactor = log ? unconstrained.diagonal().exp() : unconstrained.diagonal().exp().log1p();
        Tensor root = (unconstrained.tril(-1) + diagonalOfFactor.diag()).detach();
        ScaleParameterization scale = log ? ScaleParameterization.Log : ScaleParameterization.Softplus;
        return ([location, unconstrained], () => new CholeskyGaussianDistribution(location, unconstrained, scale), root.mm(root.t()));
    }

    private static Tensor DenseLogDensity(Tensor z, Tensor mean, Tensor covariance)
    {
        Tensor centred = z - mean;
        Tensor distance = (centred.mm(linalg.inv(covariance)) * centred).sum(dim: 1);
        return -0.5 * (distance + linalg.slogdet(covariance).Item2 + covariance.size(0) * Math.Log(2 * Math.PI));
    }
}
