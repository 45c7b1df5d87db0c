using BayesNet.Estimators;
using BayesNet.Estimators.Gradients;
using BayesNet.Reparameterization;
using BayesNet.Reparameterization.Discrete;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Reparameterization.Discrete;

public sealed class RelaxedCategoricalTests
{
    private static readonly double[] ClassProbabilities = [0.6, 0.3, 0.1];

    /// <summary>Two classes are a relaxed Bernoulli of the difference of the logits: the same law and the same density.</summary>
    [Theory]
    [InlineData(0.4)]
    [InlineData(1.5)]
    public void TwoClassesAreTheRelaxedBernoulli(double temperature)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(101);
        Tensor logits = tensor(new[] { 0.8, -0.5 });
        var q = new RelaxedCategoricalDistribution(logits, temperature);
        var binary = new RelaxedBernoulliDistribution(tensor(new[] { 1.3 }), temperature);
        Tensor logY = q.TransformLog(q.SampleNoise(noise, 20000));
        Tensor logit = logY.select(-1, 0) - logY.select(-1, 1);
        KolmogorovSmirnov.AssertUniform((logit * temperature - 1.3).sigmoid().unsqueeze(1));

        Tensor y = q.Sample(noise, 1000);
        Tensor first = y.narrow(-1, 0, 1).clamp(1e-9, 1 - 1e-9);
        Tensor error = (q.LogDensity(cat([first, 1 - first], -1)) - binary.LogDensity(first).squeeze(-1)).abs();
        Assert.True(error.max().item<double>() < 1e-6);
    }

    /// <summary>With a = ln y1/y3 and b = ln y2/y3, dy1 dy2 = y1 y2 y3 da db.</summary>
    [Theory]
    [InlineData(0.5)]
    [InlineData(1.0)]
    [InlineData(2.0)]
    public void TheDensityOfThreeClassesIntegratesToOne(double temperature)
    {
        const int points = 801;
        using var scope = NewDisposeScope();
        var q = new RelaxedCategoricalDistribution(tensor(ClassProbabilities).log() + 0.7, temperature);
        double width = 30 / temperature;
        Tensor line = linspace(-width, width, points, dtype: ScalarType.Float64);
        Tensor rows = line.unsqueeze(1).expand(points, points);
        Tensor logY = stack([rows, rows.t(), zeros_like(rows)], -1).log_softmax(-1);
        double cell = Math.Pow(2 * width / (points - 1), 2);
        Assert.Equal(1, q.LogDensityOfLog(logY).exp().sum().item<double>() * cell, 1e-8); // p(ln y) = p(y) y1 y2 y3

        Tensor some = logY.narrow(0, 350, 100).narrow(1, 350, 100);
        Assert.True((q.LogDensity(some.exp()) - (q.LogDensityOfLog(some) - some.sum(dim: -1))).abs().max().item<double>() < 1e-9);
    }

    /// <summary>The largest entry is a categorical draw at every temperature; the draw's mean is not the probabilities, unless all are equal.</summary>
    [Theory]
    [InlineData(0.1, ScalarType.Float32)]
    [InlineData(1.0, ScalarType.Float64)]
    [InlineData(5.0, ScalarType.Float32)]
    public void HardDrawsAreOneHotWithTheClassProbabilitiesAndTheRelaxedGradient(double temperature, ScalarType dtype)
    {
        const int draws = 100000;
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(102);
        Tensor logits = (tensor(ClassProbabilities).log() - 2).to(dtype).requires_grad_(true);
        var q = new RelaxedCategoricalDistribution(logits, temperature);
        Tensor eps = q.SampleNoise(noise, draws), hard = q.TransformHard(eps), soft = q.Transform(eps);
        Assert.True(hard.eq(0).logical_or(hard.eq(1)).all().item<bool>());
        Assert.True(hard.sum(dim: -1).eq(1).all().item<bool>());
        Assert.True(hard.argmax(-1).eq(soft.argmax(-1)).all().item<bool>());

        Tensor probabilities = tensor(ClassProbabilities);
        SampleMoments.AssertMeanAndCovariance(hard.detach().to(ScalarType.Float64), probabilities, probabilities.diag() - probabilities.outer(probabilities));

        Tensor weight = noise.Normal([draws, 3], dtype, CPU);
        (hard * weight).sum().backward();
        Tensor gradient = logits.grad!.clone();
        logits.grad!.zero_();
        (soft * weight).sum().backward();
        Assert.True(allclose(gradient, logits.grad!, 1e-3, dtype == ScalarType.Float64 ? 1e-9 : 1e-2));
    }

    [Fact]
    public void EqualClassesHaveTheirMeanAtEveryTemperature()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(103);
        foreach (double temperature in new[] { 0.2, 1, 4 })
        {
            var q = new RelaxedCategoricalDistribution(zeros(4, dtype: ScalarType.Float64), temperature);
            SampleMoments.AssertMean(q.Sample(noise, 50000), full(4, 0.25, dtype: ScalarType.Float64));
        }
    }

    [Fact]
    public void GradientsAreThoseOfFiniteDifferencesWithTheNoiseHeldFixed()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(104);
        Tensor logits = tensor(new[,] { { 0.3, -1, 0.5 }, { 2, 0.1, 0 } }).requires_grad_(true);
        RelaxedCategoricalDistribution Create() => new(logits, 0.8);
        Tensor eps = Create().SampleNoise(noise, 4), y = Create().Transform(eps / 3).detach().requires_grad_(true), log = y.detach().log().requires_grad_(true);
        FiniteDifferences.AssertGradients(() => Create().Transform(eps).square().sum(), ("logits", logits));
        FiniteDifferences.AssertGradients(() => Create().TransformLog(eps).sin().sum(), ("logits", logits));
        FiniteDifferences.AssertGradients(() => Create().LogDensity(y).sum(), ("logits", logits), ("y", y));
        FiniteDifferences.AssertGradients(() => Create().LogDensityOfLog(log).sum(), ("logits", logits), ("log", log));
    }

    /// <summary>The relaxation is a family as any other: the score function gradient, from the density, is the pathwise one, from the transform.</summary>
    [Fact]
    public void PathwiseAndScoreFunctionGradientsAgree()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(105);
        Tensor weight = tensor(new[] { 1.0, -2.0, 0.5 });
        ReparameterizedDistribution[] families =
        [
            new RelaxedCategoricalDistribution(tensor(new[] { 0.3, -1, 0.5 }), 0.7), new RelaxedBernoulliDistribution(tensor(new[] { 0.3, -1, 0.5 }), 0.7),
        ];
        foreach (ReparameterizedDistribution q in families)
        {
            Func<Tensor, Tensor> f = z => (z * weight).sum(dim: -1).square();
            GradientMoments pathwise = GradientStatistics.Measure(new PathwiseEstimator(), q, f, noise, 50000).Parameters[0];
            GradientMoments score = GradientStatistics.Measure(new ScoreFunctionEstimator(Baseline.LeaveOneOut), q, f, noise, 50000, 2).Parameters[0];
            Tensor error = (pathwise.StandardError.square() + score.StandardError.square()).sqrt();
            Assert.True(((pathwise.Mean - score.Mean).abs() / error).max().item<double>() < SampleMoments.StandardErrors);
        }
    }

    [Fact]
    public void GumbelNoiseHasNoAntitheticPairs()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(106);
        var q = new RelaxedCategoricalDistribution(zeros(3), 1);
        var error = Assert.Throws<NotSupportedException>(() => new PathwiseEstimator(antithetic: true).Estimate(q, z => z.sum(dim: -1), noise, 2));
        Assert.Contains("Gumbel noise, which is not symmetric", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SmallTemperaturesStayFinite()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(107);
        Tensor logits = zeros(5).requires_grad_(true);
        var q = new RelaxedCategoricalDistribution(logits, 0.01);
        Tensor eps = q.SampleNoise(noise, 5000);
        Tensor density = q.LogDensityOfLog(q.TransformLog(eps));
        (density.sum() + q.LogDensity(q.Transform(eps)).sum()).backward();
        Assert.True(density.isfinite().all().item<bool>());
        Assert.True(logits.grad!.isfinite().all().item<bool>());
    }

    [Fact]
    public void WrongUseIsNamed()
    {
        using var scope = NewDisposeScope();
        Assert.Throws<ArgumentOutOfRangeException>("temperature", () => new RelaxedCategoricalDistribution(zeros(3), 0));
        Assert.Throws<ArgumentOutOfRangeException>("temperature", () => new RelaxedBernoulliDistribution(zeros(3), -1));
        Assert.Throws<ArgumentException>("logits", () => new RelaxedCategoricalDistribution(zeros(3, 1), 1));
        Assert.Throws<ArgumentException>("logits", () => new RelaxedBernoulliDistribution(zeros(3) / 0, 1));
        var q = new RelaxedCategoricalDistribution(zeros(3), 1);
        Assert.False(q.HasClosedFormEntropy);
        Assert.Contains("has no closed form; estimate it", Assert.Throws<NotSupportedException>(q.Entropy).Message, StringComparison.Ordinal);
        Assert.Throws<NotSupportedException>(q.Mean);
        Assert.Throws<NotSupportedException>(new RelaxedBernoulliDistribution(zeros(3), 1).Variance);
        Assert.Throws<ArgumentException>("eps", () => q.TransformHard(zeros(2)));
        Assert.Throws<ArgumentException>("log", () => q.LogDensityOfLog(zeros(2)));
    }
}
