using BayesNet.Metrics;
using BayesNet.Prediction;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Metrics;

public sealed class TemperatureScalingTests
{
    private static (Tensor Logits, Tensor Target) Random(int batch, double scale, ScalarType dtype = ScalarType.Float64)
    {
        using var generator = new Generator(41, CPU);
        Tensor logits = 1.5 * randn([batch, 4], ScalarType.Float64, generator: generator);
        Tensor target = logits.softmax(1).multinomial(1, generator: generator).squeeze(1);
        return ((logits * scale).to(dtype), target);
    }

    private static double Loss(Tensor logits, Tensor target, double temperature)
    {
        using var scope = NewDisposeScope();
        return nn.functional.cross_entropy(logits / temperature, target).item<double>();
    }

    [Theory]
    [InlineData(0.02)]
    [InlineData(0.5)]
    [InlineData(1.0)]
    [InlineData(3.0)]
    [InlineData(1000.0)]
    public void TheTemperatureIsTheLikeliest(double scale)
    {
        using var scope = NewDisposeScope();
        (Tensor logits, Tensor target) = Random(500, scale);
        TemperatureScaling fit = TemperatureScaling.Fit(logits, target);
        Assert.Equal(Loss(logits, target, 1), fit.NegativeLogLikelihoodBefore, 1e-12 * Math.Max(1, scale));
        Assert.Equal(Loss(logits, target, fit.Temperature), fit.NegativeLogLikelihoodAfter, 1e-12);

        // The loss is flat at its minimum: a step of 1e-3 costs 5e-7 of the curvature, far above rounding.
        Assert.True(Loss(logits, target, fit.Temperature * 1.001) > fit.NegativeLogLikelihoodAfter);
        Assert.True(Loss(logits, target, fit.Temperature / 1.001) > fit.NegativeLogLikelihoodAfter);

        // Temperatures go with the logits.
        (Tensor unscaled, _) = Random(500, 1);
        Assert.Equal(1, fit.Temperature / (scale * TemperatureScaling.Fit(unscaled, target).Temperature), 1e-9);
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void LogitsThatWereScaledAreScaledBack(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        (Tensor logits, Tensor target) = Random(20000, 3, dtype);
        TemperatureScaling fit = TemperatureScaling.Fit(logits, target);

        // The standard error of 1/T is 1 / sqrt(n E Var_p z), with E Var_p z of these logits above 2 * 9: 0.0017 of 1/3, 0.5 % of it.
        Assert.Equal(3, fit.Temperature, 5 * 0.005 * 3);
        Tensor calibrated = fit.Apply(logits);
        Assert.Equal(dtype, calibrated.dtype);
        Assert.True((calibrated.to(ScalarType.Float64) - (logits.to(ScalarType.Float64) / fit.Temperature).log_softmax(1)).abs().max().item<double>() < 1e-5);
        Assert.True(calibrated.argmax(1).eq(logits.argmax(1)).all().item<bool>());
    }

    [Fact]
    public void APredictiveIsScaledAfterItsSamplesWereAveraged()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(42, CPU);
        (Tensor logits, Tensor target) = Random(300, 2);
        using var predictive = new CategoricalPredictive(logits + randn([5, 300, 4], ScalarType.Float64, generator: generator));
        using Predictive moments = predictive.WithoutSamples(5, predictive.Mean, predictive.Epistemic, predictive.Averages);
        TemperatureScaling expected = TemperatureScaling.Fit(predictive.Mean.log(), target);
        TemperatureScaling fit = TemperatureScaling.Fit(predictive, target);
        Assert.Equal(expected.Temperature, fit.Temperature, 1e-10);
        Assert.Equal(expected.Temperature, TemperatureScaling.Fit((CategoricalPredictive)moments, target).Temperature, 1e-10);
        Tensor exact = predictive.Mean.pow(1 / fit.Temperature);
        exact /= exact.sum(dim: 1, keepdim: true);
        Assert.True((fit.Apply(predictive).exp() - exact).abs().max().item<double>() < 1e-12);
        Assert.Equal(fit.NegativeLogLikelihoodAfter, ClassificationMetrics.NegativeLogLikelihood(fit.Apply(predictive).exp(), target), 1e-12);
    }

    [Fact]
    public void ProbabilitiesThatUnderflowAreNoError()
    {
        using var scope = NewDisposeScope();
        using var predictive = new CategoricalPredictive(tensor(new[] { 0f, -2000f, 5f, 0f, 0f, 1f }).reshape(1, 3, 2));
        using Predictive moments = predictive.WithoutSamples(1, predictive.Mean, predictive.Epistemic, predictive.Averages);
        TemperatureScaling fit = TemperatureScaling.Fit((CategoricalPredictive)moments, tensor(new[] { 0L, 0, 0 }));
        Assert.True(fit.Temperature > 0 && double.IsFinite(fit.NegativeLogLikelihoodAfter));
    }

    [Fact]
    public void WhereNoTemperatureIsBestAnErrorSaysSo()
    {
        using var scope = NewDisposeScope();
        Tensor logits = tensor(new[,] { { 2.0, 0 }, { 0, 1 } });
        Assert.Contains("for ever", Assert.Throws<ArgumentException>("target", () => TemperatureScaling.Fit(logits, tensor(new[] { 0L, 1 }))).Message);
        Assert.Contains("chance", Assert.Throws<ArgumentException>("logits", () => TemperatureScaling.Fit(logits, tensor(new[] { 1L, 0 }))).Message);
        Assert.Throws<ArgumentException>("target", () => TemperatureScaling.Fit(logits, tensor(new[] { 1L })));
        Assert.Throws<ArgumentException>("logits", () => TemperatureScaling.Fit(logits.log(), tensor(new[] { 1L, 0 })));
        Assert.Throws<ArgumentException>("logits", () => TemperatureScaling.Fit(logits[0], tensor(new[] { 1L, 0 })));
    }

    [Fact]
    public void NothingIsLeftBehind()
    {
        Use();
        long before = LiveTensors.Settled();
        for (int i = 0; i < 3; i++)
            Use();
        Assert.Equal(before, Tensor.TotalCount);

        static void Use()
        {
            using Tensor logits = tensor(new[,] { { 2.0, 0 }, { 0, 1 }, { 3, 0 } }), target = tensor(new[] { 0L, 0, 0 });
            using Tensor calibrated = TemperatureScaling.Fit(logits, target).Apply(logits);
            Assert.Equal([3, 2], calibrated.shape);
        }
    }
}
