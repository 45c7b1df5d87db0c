using BayesNet.Estimators;
using BayesNet.Priors;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Priors;

public sealed class PriorFamilyTests
{
    public static TheoryData<string> Proper() => new() { "Gaussian", "learned Gaussian", "Laplace", "Student-t", "scale mixture", "horseshoe" };

    /// <summary>The density integrates to one, and its distribution function is that of the draws.</summary>
    [Theory]
    [MemberData(nameof(Proper))]
    public void DensityAndDrawsAreOfOneDistribution(string name)
    {
        const int draws = 200_000;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var noise = new NoiseSource(3);
        using Prior prior = PriorCase.Named(name).Create(zeros(1, dtype: ScalarType.Float64));

        // w = sinh(u), denser still around zero, where the horseshoe's density is infinite: u = v^3.
        double limit = Math.Cbrt(16), step = 2 * limit / 400_000;
        Tensor v = linspace(-limit, limit, 400_001, dtype: ScalarType.Float64) + step / 3;
        Tensor u = v * v * v, w = u.sinh();
        Tensor mass = prior.LogDensity(w).exp() * u.cosh() * 3 * v.square() * step;
        Assert.Equal(1, mass.sum().item<double>(), 1e-5);

        Tensor sample = prior.Sample(noise, [draws], ScalarType.Float64, CPU);
        Tensor cumulative = mass.cumsum(0);
        foreach (double point in new[] { -3, -0.7, -0.05, 0.0, 0.1, 0.5, 1.3, 4 })
        {
            double expected = cumulative[w.lt(point).sum().item<long>() - 1].item<double>();
            double measured = sample.lt(point).to(ScalarType.Float64).mean().item<double>();
            Assert.Equal(expected, measured, 5 * Math.Sqrt(expected * (1 - expected) / draws) + 2e-5);
        }
    }

    /// <summary>The integral over lambda that the horseshoe is, by quadrature: w ~ N(0, tau^2 lambda^2), lambda = tan(phi).</summary>
    [Fact]
    public void TheHorseshoeIsItsIntegralOverLocalScales()
    {
        using var scope = NewDisposeScope();
        const double tau = 0.5;
        using var prior = new HorseshoePrior(tau);
        const int nodes = 400_000;
        Tensor phi = (arange(nodes, dtype: ScalarType.Float64) + 0.5) * (Math.PI / 2 / nodes);
        Tensor scale = phi.tan() * tau;
        foreach (double w in new[] { 0.01, 0.2, 1, 3, 10.5, 40 })
        {
            Tensor normal = (-0.5 * (w / scale).square()).exp() / (scale * Math.Sqrt(2 * Math.PI));
            double expected = Math.Log(normal.mean().item<double>());
            Assert.Equal(expected, prior.LogDensity(tensor(w)).item<double>(), 1e-5);
        }
    }

    /// <summary>Across the table's ends, and as far out as floating point goes.</summary>
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void TheHorseshoeIsFiniteAndSmoothEverywhere(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var prior = new HorseshoePrior(1);
        Tensor w = tensor(new[] { 0, 1e-30, 1e-12, 0.0012, 0.00129, 0.0013, 1, 28.3, 28.5, 1e6, 1e18 }, dtype: dtype).requires_grad_(true);
        Tensor density = prior.LogDensity(w);
        density.sum().backward();
        Assert.True(density.isfinite().all().item<bool>());
        Assert.True(w.grad!.isfinite().all().item<bool>());
        Assert.True((density[..^1] - density[1..]).min().to(ScalarType.Float64).item<double>() >= 0);

        foreach (double seam in new[] { Math.Sqrt(2 * Math.Exp(-14)), Math.Sqrt(2 * Math.Exp(6)) })
        {
            Tensor around = tensor(new[] { seam * (1 - 1e-7), seam * (1 + 1e-7) }, requires_grad: true);
            Tensor pair = prior.LogDensity(around);
            pair.sum().backward();
            Assert.Equal(pair[0].item<double>(), pair[1].item<double>(), 1e-6);
            Assert.Equal(1, (around.grad![0] / around.grad[1]).item<double>(), 1e-5);
        }
    }

    /// <summary>Where exp(ln N) underflows, the mixture's density is that of its wider component.</summary>
    [Fact]
    public void TheScaleMixtureDoesNotUnderflow()
    {
        using var scope = NewDisposeScope();
        using var prior = new ScaleMixturePrior(0.25, 1, 1e-3);
        Tensor w = tensor(new[] { 40f, 100f }, requires_grad: true);
        Tensor density = prior.LogDensity(w);
        density.sum().backward();
        for (int i = 0; i < 2; i++)
        {
            double x = w[i].item<float>(), expected = Math.Log(0.25) - x * x / 2 - 0.5 * Math.Log(2 * Math.PI);
            Assert.Equal(expected, density[i].item<float>(), 1e-5 * Math.Abs(expected));
            Assert.Equal(-x, w.grad![i].item<float>(), 1e-4);
        }
    }

    [Fact]
    public void TheLogUniformPriorIsImproper()
    {
        using var scope = NewDisposeScope();
        using var prior = new LogUniformPrior();
        using var noise = new NoiseSource(1);
        Assert.Equal(-Math.Log(2.5), prior.LogDensity(tensor(-2.5)).item<double>(), 1e-15);
        Assert.Contains("improper", Assert.Throws<NotSupportedException>(() => prior.Sample(noise, [2], ScalarType.Float32, CPU)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TheMatrixNormalPriorDrawsWhatItsDensitySays()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var noise = new NoiseSource(2);
        manual_seed(1);
        using var prior = (MatrixNormalPrior)PriorCase.Named("matrix normal").Create(randn(2, 3, dtype: ScalarType.Float64));
        Tensor a = prior.OutputFactor, b = prior.InputFactor;
        Tensor covariance = kron(a.mm(a.t()), b.mm(b.t()));
        Tensor weights = prior.Sample(noise, [20000, 2, 3], ScalarType.Float64, CPU);
        SampleMoments.AssertMeanAndCovariance(weights.flatten(1), prior.Mean.flatten(), covariance);
        Tensor centred = (weights[..5] - prior.Mean).flatten(1);
        Tensor expected = -0.5 * ((centred.mm(linalg.inv(covariance)) * centred).sum(dim: 1) + linalg.slogdet(covariance).Item2 + 6 * Math.Log(2 * Math.PI));
        Assert.True((prior.LogDensity(weights[..5]).squeeze(1) - expected).abs().max().item<double>() < 1e-10);
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        Assert.Throws<ArgumentOutOfRangeException>("scale", () => new LaplacePrior(0, 0));
        Assert.Throws<ArgumentOutOfRangeException>("scale", () => LaplacePrior.WithScale(double.NaN));
        Assert.Throws<ArgumentOutOfRangeException>("degreesOfFreedom", () => new StudentTPrior(0));
        Assert.Throws<ArgumentOutOfRangeException>("share", () => new ScaleMixturePrior(1, 1, 1));
        Assert.Throws<ArgumentOutOfRangeException>("secondStdDev", () => ScaleMixturePrior.With(0.5, 1, -1));
        Assert.Throws<ArgumentOutOfRangeException>("globalScale", () => new HorseshoePrior(0));
        Assert.Throws<ArgumentOutOfRangeException>("divergence", () => new LogUniformPrior((LogUniformKl)7));
        Assert.Throws<ArgumentOutOfRangeException>("initialStdDev", () => new LearnedGaussianPrior(0));
        Assert.Throws<ArgumentException>("inputFactor", () => new MatrixNormalPrior(zeros(2, 3), eye(2), ones(3, 3)));
        Assert.Throws<ArgumentException>("outputFactor", () => new MatrixNormalPrior(zeros(2, 3), eye(3), eye(3)));
    }
}
