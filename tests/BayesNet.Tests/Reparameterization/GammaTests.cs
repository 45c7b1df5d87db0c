using BayesNet.Estimators;
using BayesNet.Reparameterization;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Reparameterization;

/// <summary>The Gamma's two ways to a draw, and the families made of it.</summary>
public sealed class GammaTests
{
    /// <summary>Small, ordinary and large shapes, at noise far into both tails.</summary>
    [Theory]
    [InlineData(0.01)]
    [InlineData(0.3)]
    [InlineData(1.0)]
    [InlineData(4.5)]
    [InlineData(1000.0)]
    public void TheQuantileSolvesItsEquation(double shape)
    {
        using var scope = NewDisposeScope();
        Tensor eps = linspace(-7, 7, 57, dtype: ScalarType.Float64), a = full(57, shape, dtype: ScalarType.Float64);
        Tensor logGamma = StandardGamma.LogQuantile(a, eps);
        Tensor large = logGamma > -600; // the others are below the range of float64, and known in closed form: F = g^a / Gamma(a + 1)
        Tensor lower = where(large, special.gammainc(a, logGamma.exp()).log(), a * logGamma - (a + 1).lgamma());
        Tensor upper = special.gammaincc(a, logGamma.exp()).log();
        Tensor error = where(eps < 0, lower - LogPhi(eps), upper - LogPhi(-eps));
        Assert.True(error.abs().max().item<double>() < 1e-9, $"{error.abs().max().item<double>():G3}");
        Assert.True((logGamma[1..] - logGamma[..^1]).min().item<double>() > 0);
    }

    /// <summary>Far into both tails, where the equation is solved by other branches than in the middle.</summary>
    [Theory]
    [InlineData(0.05)]
    [InlineData(0.9)]
    [InlineData(6.0)]
    [InlineData(150.0)]
    [InlineData(200.0)]
    public void TheDerivativeOfTheQuantileIsThatOfFiniteDifferences(double shape)
    {
        using var scope = NewDisposeScope();
        Tensor eps = linspace(-6, 6, 25, dtype: ScalarType.Float64), a = full(25, shape, dtype: ScalarType.Float64).requires_grad_(true);
        StandardGamma.LogQuantile(a, eps).sum().backward();

        // Five points a thousandth of the shape apart: a step of 1e-5 would enlarge the rounding of the incomplete gamma function.
        double h = shape / 1000;
        Tensor near = At(h) - At(-h), far = At(2 * h) - At(-2 * h), numeric = (8 * near - far) / (12 * h);
        Tensor error = (a.grad! - numeric).abs() / (numeric.abs() + 1e-3 / shape);

        // At 200 libtorch's function changes its method, with a jump near 1e-12 that both differences enlarge.
        double bound = shape == 200 ? 1e-6 : 1e-8;
        Assert.True(error.max().item<double>() < bound, $"{error.max().item<double>():G3}");

        Tensor At(double shift) => StandardGamma.LogQuantile(a.detach() + shift, eps);
    }

    /// <summary>The rejection sampler's derivative, pointwise, is that of the quantile function at the noise that gives the same draw.</summary>
    [Theory]
    [InlineData(0.05)]
    [InlineData(0.5)]
    [InlineData(2.0)]
    [InlineData(30.0)]
    public void BothWaysHaveTheSameDerivative(double shape)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(21);
        Tensor a = full(1000, shape, dtype: ScalarType.Float64).requires_grad_(true);
        Tensor drawn = StandardGamma.LogSample(a, noise, [1000]);
        drawn.sum().backward();
        Tensor sampled = a.grad!.clone();
        a.grad!.zero_();

        Tensor probability = special.gammainc(a.detach(), drawn.detach().exp());
        Tensor replayed = StandardGamma.LogQuantile(a, special.ndtri(probability));
        replayed.sum().backward();
        Tensor usable = (probability > 1e-8).logical_and(probability < 1 - 1e-8);
        Tensor error = ((sampled - a.grad!) / a.grad!).abs().masked_select(usable);
        Assert.True(usable.sum().item<long>() > 500);
        Assert.True((replayed - drawn).masked_select(usable).abs().max().item<double>() < 1e-6 / shape);
        Assert.True(error.max().item<double>() < 2e-3, $"{error.max().item<double>():G3}"); // libtorch's is an approximation
    }

    /// <summary>dE[g]/da = 1, dE[ln g]/da = psi'(a) and dE[g^2]/da = 2a + 1, by both ways.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void GradientsOfExpectationsAreExact(bool throughNoise)
    {
        const int draws = 50000;
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(22);
        foreach (double shape in new[] { 0.4, 3.0 })
        {
            Tensor a = full(draws, shape, dtype: ScalarType.Float64).requires_grad_(true);
            Tensor logGamma = throughNoise
                ? StandardGamma.LogQuantile(a, noise.Normal([draws], ScalarType.Float64, CPU))
                : StandardGamma.LogSample(a, noise, [draws]);
            Tensor[] gradients = [Gradient(logGamma.exp()), Gradient(logGamma), Gradient((2 * logGamma).exp())];
            Tensor exact = cat([ones(1, dtype: ScalarType.Float64), tensor(new[] { shape }).polygamma(1), tensor(new[] { 2 * shape + 1 })]);
            SampleMoments.AssertMean(stack(gradients, 1), exact);

            Tensor Gradient(Tensor value)
            {
                a.grad?.zero_();
                value.sum().backward([], retain_graph: true);
                return a.grad!.clone();
            }
        }
    }

    /// <summary>Where most draws are below the range of the type, logarithms still tell them apart.</summary>
    [Fact]
    public void SmallShapesStayInTheOpenSupport()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(23);
        Tensor tiny = full(3, 0.01f);
        var beta = new BetaDistribution(tiny, tiny);
        var dirichlet = new DirichletDistribution(tiny);
        foreach (ReparameterizedDistribution q in new ReparameterizedDistribution[] { new GammaDistribution(tiny, tiny), beta, dirichlet })
        {
            foreach (Tensor z in new[] { q.Sample(noise, 2000), q.Transform(q.SampleNoise(noise, 2000)) })
            {
                Assert.True(z.gt(0).all().item<bool>());
                Assert.True(q.LogDensity(z).isfinite().all().item<bool>());
            }
        }

        // A Beta(0.01, 0.01) draw is next to 0 or 1, half the time each: P(0.4 < z < 0.6) = 0.005 * 2 ln 1.5 to first order. Gammas that
        // both underflow would leave draws between.
        Tensor draws = beta.Transform(beta.SampleNoise(noise, 2000));
        double expected = 6000 * 0.01 * Math.Log(1.5);
        Assert.True(draws.gt(0.4f).logical_and(draws.lt(0.6f)).sum().item<long>() < expected + 5 * Math.Sqrt(expected));
        SampleMoments.AssertMean(draws.to(ScalarType.Float64), full(3, 0.5, dtype: ScalarType.Float64));
    }

    /// <summary>Noise kept from one distribution and transformed with other parameters gives draws of the other: common random numbers.</summary>
    [Fact]
    public void NoiseCanBeReplayedAtOtherParameters()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(24);
        Tensor Full(double value) => full(1, value, dtype: ScalarType.Float64);
        var from = new GammaDistribution(Full(0.7), Full(2));
        Tensor eps = from.SampleNoise(noise, 20000);
        Tensor z = new GammaDistribution(Full(3), Full(0.5)).Transform(eps);
        LineFamilyCase exact = LineFamilyCase.Named("Gamma, shape 3");
        KolmogorovSmirnov.AssertUniform(exact.Cdf(z, [Full(3), Full(0.5)]));

        // The order of the draws is that of the noise: the coupling of common random numbers.
        Assert.True((z.argsort(0) - from.Transform(eps).argsort(0)).abs().max().item<long>() == 0);
    }

    private static Tensor LogPhi(Tensor x) => ((-x / Math.Sqrt(2)).erfc() / 2).log();
}
