using BayesNet.Estimators;
using BayesNet.Reparameterization.Discrete;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Reparameterization.Discrete;

/// <summary>The relaxed Bernoulli's exact moments at temperature 1 and its expansions at small temperatures.</summary>
public sealed class RelaxedBernoulliTests
{
    private static readonly double[] Probabilities = [0.1, 0.35, 0.5, 0.9];

    /// <summary>a/(a-1) - a ln a/(a-1)^2 with a = p/(1-p): 0.816015 at p = 0.9.</summary>
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void TheMeanAtTemperatureOneIsExact(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(91);
        double[] probabilities = [0.1, 0.35, 0.9, 0.99];
        double[] means = [.. probabilities.Select(p =>
        {
            double a = p / (1 - p);
            return a / (a - 1) - a * Math.Log(a) / ((a - 1) * (a - 1));
        })];
        Assert.Equal(0.816015, means[2], 5e-7);
        var q = new RelaxedBernoulliDistribution(Logits(probabilities).to(dtype), 1);
        SampleMoments.AssertMean(q.Sample(noise, 200000).to(ScalarType.Float64), tensor(means));
        Assert.All(probabilities.Zip(means), pair => Assert.Equal(pair.Second, Quadrature(pair.First, 1, y => y), 1e-10));
    }

    /// <summary>Draws, and the gradient in the logit, y(1-y)/t, against quadrature over the noise.</summary>
    [Theory]
    [InlineData(0.1)]
    [InlineData(0.5)]
    [InlineData(2.0)]
    public void DrawsAndGradientsHaveTheMomentsOfQuadrature(double temperature)
    {
        const int draws = 200000;
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(92);
        Tensor logits = Logits(Probabilities).expand(draws, Probabilities.Length).clone().requires_grad_(true);
        Tensor y = new RelaxedBernoulliDistribution(logits, temperature).Sample(noise);
        y.sum().backward();
        y = y.detach();
        SampleMoments.AssertMean(y, Each(p => Quadrature(p, temperature, v => v)));
        SampleMoments.AssertMean(y * (1 - y), Each(p => Quadrature(p, temperature, v => v * (1 - v))));
        SampleMoments.AssertMean(logits.grad!, Each(p => Quadrature(p, temperature, v => v * (1 - v) / temperature)));
        SampleMoments.AssertVariance(logits.grad!, Each(p =>
            Quadrature(p, temperature, v => (v * (1 - v) / temperature).square()) - Math.Pow(Quadrature(p, temperature, v => v * (1 - v) / temperature), 2)));
    }

    /// <summary>
    /// The leading terms in the temperature t of the bias of E[y], -(pi^2/6) t^2 p(1-p)(2p-1), and of its gradient,
    /// -(pi^2/6) t^2 p(1-p)(6p(1-p)-1): what is left is of order t^4, a sixteenth at half the temperature.
    /// </summary>
    [Fact]
    public void TheBiasesHaveTheirLeadingTerms()
    {
        using var scope = NewDisposeScope();
        foreach (double p in Probabilities)
        {
            double v = p * (1 - p);
            AssertOrder(4, t => Quadrature(p, t, y => y) - p + Math.PI * Math.PI / 6 * t * t * v * (2 * p - 1));
            AssertOrder(4, t => Quadrature(p, t, y => y * (1 - y) / t) - v + Math.PI * Math.PI / 6 * t * t * v * (6 * v - 1));
        }
    }

    /// <summary>E[y(1-y)] = t p(1-p) + O(t^3), and the gradient's variance p(1-p)/(6t) - p^2(1-p)^2 + O(t).</summary>
    [Fact]
    public void TheSpreadHasItsLeadingTerms()
    {
        using var scope = NewDisposeScope();
        foreach (double p in Probabilities)
        {
            double v = p * (1 - p);
            AssertOrder(3, t => Quadrature(p, t, y => y * (1 - y)) - t * v);
            AssertOrder(1, t => Quadrature(p, t, y => (y * (1 - y) / t).square()) - Math.Pow(Quadrature(p, t, y => y * (1 - y) / t), 2) - (v / (6 * t) - v * v), 0.004);
        }
    }

    [Theory]
    [InlineData(0.2)]
    [InlineData(0.7)]
    [InlineData(2.0)]
    public void TheDensitiesIntegrateToOneAndAgree(double temperature)
    {
        const int points = 40001;
        using var scope = NewDisposeScope();
        Tensor logits = Logits(Probabilities);
        var q = new RelaxedBernoulliDistribution(logits, temperature);
        Tensor x = linspace(-40 / temperature, 40 / temperature, points, dtype: ScalarType.Float64).unsqueeze(1);
        Tensor density = q.LogDensityOfLogit(x).exp() * (80 / temperature / (points - 1));
        Assert.True((density.sum(dim: 0) - 1).abs().max().item<double>() < 1e-10);

        // Below 1/2 alone: 1 - y has no digits left where y is near 1.
        x = linspace(-12, 0, 100, dtype: ScalarType.Float64).unsqueeze(1);
        Tensor y = x.sigmoid();
        Assert.True((q.LogDensity(y) - (q.LogDensityOfLogit(x) - y.log() - (1 - y).log())).abs().max().item<double>() < 1e-9);
        Assert.True(q.LogDensity(tensor(new[] { 0.0, 1.0, -0.5, 2 })).isneginf().all().item<bool>());
    }

    [Fact]
    public void DrawsHaveTheirDistributionFunction()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(93);
        Tensor logits = Logits(Probabilities);
        var q = new RelaxedBernoulliDistribution(logits, 0.7);
        KolmogorovSmirnov.AssertUniform((q.TransformLogit(q.SampleNoise(noise, 20000)) * 0.7 - logits).sigmoid());
        KolmogorovSmirnov.AssertUniform((q.Sample(noise, 20000).logit() * 0.7 - logits).sigmoid());
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void HardDrawsAreExactBernoulliDrawsWithTheRelaxedGradient(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(94);
        Tensor logits = Logits(Probabilities).to(dtype).requires_grad_(true);
        var q = new RelaxedBernoulliDistribution(logits, 0.3);
        Tensor eps = q.SampleNoise(noise, 100000), hard = q.TransformHard(eps);
        Assert.True(hard.eq(0).logical_or(hard.eq(1)).all().item<bool>());
        Assert.True(hard.eq(q.Transform(eps).gt(0.5).to(dtype)).all().item<bool>());
        SampleMoments.AssertMean(hard.detach().to(ScalarType.Float64), tensor(Probabilities));

        Tensor weight = noise.Normal([100000, Probabilities.Length], dtype, CPU);
        (hard * weight).sum().backward();
        Tensor gradient = logits.grad!.clone();
        logits.grad!.zero_();
        (q.Transform(eps) * weight).sum().backward();
        Assert.True(allclose(gradient, logits.grad!, dtype == ScalarType.Float64 ? 1e-9 : 1e-3, dtype == ScalarType.Float64 ? 1e-9 : 1e-2));
    }

    [Fact]
    public void GradientsAreThoseOfFiniteDifferencesWithTheNoiseHeldFixed()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(95);
        Tensor logits = Logits(Probabilities).requires_grad_(true);
        RelaxedBernoulliDistribution Create() => new(logits, 0.6);
        Tensor eps = Create().SampleNoise(noise, 5);
        Tensor y = linspace(0.2, 0.8, 4, dtype: ScalarType.Float64).requires_grad_(true), x = y.detach().logit().requires_grad_(true);
        FiniteDifferences.AssertGradients(() => Create().Transform(eps).square().sum(), ("logits", logits));
        FiniteDifferences.AssertGradients(() => Create().TransformLogit(eps).square().sum(), ("logits", logits));
        FiniteDifferences.AssertGradients(() => Create().LogDensity(y).sum(), ("logits", logits), ("y", y));
        FiniteDifferences.AssertGradients(() => Create().LogDensityOfLogit(x).sum(), ("logits", logits), ("x", x));
    }

    /// <summary>At a hundredth of a temperature in float32, y is 0 or 1 to rounding, and its logit and log density are still finite.</summary>
    [Fact]
    public void SmallTemperaturesStayFiniteInLogitSpace()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(96);
        Tensor logits = Logits(Probabilities).to(ScalarType.Float32).requires_grad_(true);
        var q = new RelaxedBernoulliDistribution(logits, 0.01);
        Tensor eps = q.SampleNoise(noise, 10000), x = q.TransformLogit(eps), y = q.Transform(eps);
        Tensor density = q.LogDensityOfLogit(x);
        (density.sum() + y.sum()).backward();
        Assert.True(density.isfinite().all().item<bool>());
        Assert.True(q.LogDensity(y).isfinite().all().item<bool>());
        Assert.True(logits.grad!.isfinite().all().item<bool>());
        Assert.True(y.gt(0).logical_and(y.lt(1)).all().item<bool>());
    }

    private static Tensor Logits(double[] probabilities) => tensor(probabilities).logit();

    private static Tensor Each(Func<double, double> function) => tensor(Probabilities.Select(function).ToArray());

    /// <summary>E[g(y)], by the trapezoidal rule over the relaxation's own logit, finer than its width at every temperature.</summary>
    private static double Quadrature(double probability, double temperature, Func<Tensor, Tensor> function)
    {
        // Over x = logit(y) = (l + eps) / t: g(y) varies on the scale 1, the law of x on the scale 1/t.
        using var scope = NewDisposeScope();
        double logit = Math.Log(probability / (1 - probability)), from = (logit - 45) / temperature, to = (logit + 45) / temperature;
        int points = (int)((to - from) / 0.02) + 1;
        Tensor x = linspace(from, to, points, dtype: ScalarType.Float64), eps = x * temperature - logit;
        Tensor density = eps.sigmoid() * (-eps).sigmoid() * temperature;
        return (function(x.sigmoid()) * density).sum().item<double>() * (to - from) / (points - 1);
    }

    /// <summary>Asserts that a remainder shrinks by 2^order when a small temperature is halved, or is zero.</summary>
    private static void AssertOrder(int order, Func<double, double> remainder, double temperature = 0.04)
    {
        double coarse = remainder(temperature), fine = remainder(temperature / 2);
        if (Math.Abs(coarse) < 1e-9)
            return;
        Assert.InRange(coarse / fine, Math.Pow(2, order) * 0.9, Math.Pow(2, order) * 1.1);
    }
}
