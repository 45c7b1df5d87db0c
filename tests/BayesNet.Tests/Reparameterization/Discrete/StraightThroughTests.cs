using BayesNet.Estimators;
using BayesNet.Reparameterization.Discrete;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Reparameterization.Discrete;

public sealed class StraightThroughTests
{
    /// <summary>
    /// For f = c1 b + c2 b^2 the straight-through gradient is f'(b) p(1-p), of mean (c1 + 2 c2 p) p(1-p); the true one is (c1 + c2) p(1-p):
    /// unbiased for linear f, biased by c2 (2p - 1) p(1-p) otherwise.
    /// </summary>
    [Fact]
    public void BernoulliDrawsCarryTheGradientOfTheirProbabilities()
    {
        const int draws = 100000;
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(111);
        Tensor p = tensor(new[] { 0.2, 0.5, 0.9 });
        Tensor logits = p.logit().expand(draws, 3).clone().requires_grad_(true);
        Tensor b = StraightThrough.Bernoulli(logits, noise);
        Assert.True(b.eq(0).logical_or(b.eq(1)).all().item<bool>());
        SampleMoments.AssertMeanAndCovariance(b.detach(), p, (p * (1 - p)).diag());
        (3 * b + 2 * b.square()).sum().backward();
        SampleMoments.AssertMean(logits.grad!, (3 + 4 * p) * p * (1 - p));
    }

    [Fact]
    public void CategoricalDrawsCarryTheGradientOfTheirProbabilities()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(112);
        Tensor p = tensor(new[] { 0.6, 0.3, 0.1 });
        Tensor logits = (p.log() + 5).requires_grad_(true);
        Tensor z = StraightThrough.Categorical(logits, noise, 50000);
        Assert.Equal([50000L, 3L], z.shape);
        Assert.True(z.sum(dim: -1).eq(1).logical_and(z.amax([-1]).eq(1)).all().item<bool>());
        SampleMoments.AssertMeanAndCovariance(z.detach(), p, p.diag() - p.outer(p));

        // For a linear function the gradient is exact, draw by draw: that of w'softmax(logits).
        Tensor weight = tensor(new[] { 1.0, -2.0, 4.0 });
        (z * weight).sum(dim: -1).mean().backward();
        Tensor exact = p * (weight - (p * weight).sum());
        Assert.True((logits.grad! - exact).abs().max().item<double>() < 1e-12);
    }

    /// <summary>(hard - soft) + soft would round: values must come through bit by bit.</summary>
    [Fact]
    public void AttachKeepsValuesBitByBitAndPassesTheGradient()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(113);
        Tensor soft = (noise.Normal([100000], ScalarType.Float32, CPU) * 3).requires_grad_(true);
        Tensor hard = noise.Normal([100000], ScalarType.Float32, CPU).requires_grad_(true);
        Tensor result = StraightThrough.Attach(hard, soft);
        Assert.True(result.eq(hard).all().item<bool>());
        result.sum().backward();
        Assert.True(soft.grad!.eq(1).all().item<bool>());
        Assert.Null(hard.grad);
        Assert.Throws<ArgumentException>("hard", () => StraightThrough.Attach(zeros(2), zeros(3)));
        Assert.Throws<ArgumentException>("logits", () => StraightThrough.Bernoulli(zeros(2) / 0, noise));
    }

    [Fact]
    public void TemperaturesFallToTheirMinimum()
    {
        Assert.Equal(0.7, TemperatureSchedule.Constant(0.7).Temperature(12));
        TemperatureSchedule schedule = TemperatureSchedule.Exponential(initial: 1, minimum: 0.5, rate: 0.1);
        Assert.Equal(1, schedule.Temperature(0));
        Assert.Equal(Math.Exp(-0.25), schedule.Temperature(2.5), 1e-15);
        Assert.Equal(0.5, schedule.Temperature(10));
        Assert.Equal(TemperatureSchedule.Exponential(1, 0.5, 0.1), schedule);
        Assert.Throws<ArgumentOutOfRangeException>("temperature", () => TemperatureSchedule.Constant(0));
        Assert.Throws<ArgumentOutOfRangeException>("minimum", () => TemperatureSchedule.Exponential(1, 2, 0.1));
        Assert.Throws<ArgumentOutOfRangeException>("rate", () => TemperatureSchedule.Exponential(1, 0.5, 0));
    }
}
