using BayesNet.Diagnostics;
using BayesNet.Estimators;
using BayesNet.Posteriors;
using BayesNet.TestKit;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Diagnostics;

/// <summary>What brings absorbed noise back and what does not, at mu = 1.5 and sigma = 3e-8 in float32: 95.3 % absorbed, 0.741 of the variance.</summary>
public sealed class AbsorptionRemedyTests
{
    private const double Mean = 1.5, StdDev = 3e-8;
    private const long Count = 200_000;

    private static readonly MeanFieldGaussianSpecification Posterior = new() { InitialStdDev = StdDev };

    /// <summary>The estimators' outputs where the means cancel: 1.5 - 1.5 with a variance of 2 sigma^2.</summary>
    [Theory]
    [InlineData("shared weights", false)]
    [InlineData("local reparameterization", true)]
    [InlineData("flipout", true)]
    public void OutputsThatCancelKeepTheNoiseThatWeightsLose(string estimator, bool restored)
    {
        using var scope = NewDisposeScope();
        using BayesLinear layer = Layer(2);
        layer.Estimator = EstimatorCase.Named(estimator).Estimator;
        Tensor output = layer.call(tensor(new[] { 1f, -1f }).unsqueeze(0)).flatten();
        AssertRatio(output, 2, restored ? 1 : layer.Absorption(draws: 2).Total.VarianceRatio.Predicted);
    }

    /// <summary>Where the output is one weight, its mean absorbs the noise whichever side of the product the noise comes from.</summary>
    [Theory]
    [InlineData("shared weights")]
    [InlineData("local reparameterization")]
    [InlineData("flipout")]
    public void OutputsThatDoNotCancelAbsorbAsWeightsDo(string estimator)
    {
        using var scope = NewDisposeScope();
        using BayesLinear layer = Layer(1);
        layer.Estimator = EstimatorCase.Named(estimator).Estimator;
        Tensor output = layer.call(ones(1, 1)).flatten();
        AssertRatio(output - Mean, 1, layer.Absorption(draws: 2).Total.VarianceRatio.Predicted);
        AssertShare(output.eq(Mean), layer.Absorption(draws: 2).Total.AbsorbedShare.Predicted);
    }

    /// <summary>A float64 layer keeps everything; its weights rounded to float32 have lost it again.</summary>
    [Fact]
    public void Float64KeepsTheNoiseUntilItIsRounded()
    {
        using var scope = NewDisposeScope();
        using BayesLinear layer = Layer(1);
        AbsorptionEntry lost = layer.Absorption(draws: 2).Total;
        layer.to(ScalarType.Float64);
        Tensor weight = layer.WeightPosterior.Sample(layer.Noise).flatten();
        AssertRatio(weight - Mean, 1, 1);
        AssertRatio(weight.to(ScalarType.Float32) - Mean, 1, lost.VarianceRatio.Predicted);
    }

    /// <summary>Reference weights apart from a posterior of the residual, whose mean is small: the weights keep their noise, and so do outputs that cancel.</summary>
    [Fact]
    public void AResidualPosteriorKeepsTheNoise()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(92);
        const double residual = 1e-7;
        using var posterior = new MeanFieldGaussian(full([Count, 2], residual, dtype: ScalarType.Float32), StdDev);
        Tensor x = tensor(new[] { 1f, -1f });
        Tensor sampled = posterior.Sample(noise);
        AssertRatio(sampled.select(1, 0).to(ScalarType.Float64) - residual, 1, 1);
        Tensor reference = full([Count, 2], Mean, dtype: ScalarType.Float32);
        AssertRatio(reference.mv(x) + sampled.mv(x), 2, 1);
    }

    /// <summary>Rounding once in place of twice rounds the same sum: the share and the variance stay.</summary>
    [Fact]
    public void AFusedMultiplyAddChangesNothing()
    {
        using var scope = NewDisposeScope();
        using BayesLinear layer = Layer(1);
        AbsorptionEntry lost = layer.Absorption(draws: 2).Total;
        float[] eps = layer.Noise.Normal([Count], ScalarType.Float32, CPU).data<float>().ToArray();
        Tensor fused = tensor(eps.Select(e => MathF.FusedMultiplyAdd((float)StdDev, e, (float)Mean)).ToArray());
        AssertShare(fused.eq(Mean), lost.AbsorbedShare.Predicted);
        AssertRatio(fused - Mean, 1, lost.VarianceRatio.Predicted);
    }

    /// <summary>w = c w' scales mean and deviation alike: to the last digit for a power of two, and to the place between two powers otherwise.</summary>
    [Fact]
    public void ScalingTheWeightsChangesNothing()
    {
        using BayesLinear plain = Layer(1), scaled = Layer(1, 1024), between = Layer(1, 1.25);
        AbsorptionEntry expected = plain.Absorption(draws: 2).Total;
        Assert.Equal(expected.AbsorbedShare.Predicted, scaled.Absorption(draws: 2).Total.AbsorbedShare.Predicted, 1e-5);
        Assert.Equal(expected.VarianceRatio.Predicted, scaled.Absorption(draws: 2).Total.VarianceRatio.Predicted, 1e-4);
        Assert.InRange(between.Absorption(draws: 2).Total.AbsorbedShare.Predicted, 0.88, expected.AbsorbedShare.Predicted);
    }

    /// <summary>Where all of the noise is lost to the weights, the gradient in the scale still holds it: d(sum of w) / d ln sigma = sigma eps.</summary>
    [Fact]
    public void TheGradientKeepsTheNoiseThatTheWeightsLost()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(93);
        using var posterior = new MeanFieldGaussian(full([1000], Mean, dtype: ScalarType.Float32), 1e-9);
        Tensor eps = posterior.SampleNoise(noise, []);
        Tensor weight = posterior.Transform(eps);
        Assert.True(weight.eq(Mean).all().item<bool>());
        weight.sum().backward();
        Tensor error = (posterior.ScaleParameter.grad! - posterior.StdDev * eps).abs();
        Assert.True(eps.abs().max().item<float>() > 2);
        Assert.True(error.max().item<float>() < 1e-14);
    }

    private static BayesLinear Layer(long inputs, double factor = 1)
    {
        using var scope = NewDisposeScope();
        return new BayesLinear(
            full([Count, inputs], Mean * factor, dtype: ScalarType.Float32),
            options: new BayesOptions { Posterior = Posterior with { InitialStdDev = StdDev * factor }, Seed = 91 });
    }

    /// <summary>Asserts that independent deviations have a mean square of ratio * terms * sigma^2.</summary>
    private static void AssertRatio(Tensor deviations, int terms, double ratio)
    {
        using var scope = NewDisposeScope();
        Tensor squares = deviations.to(ScalarType.Float64).square() / (terms * StdDev * StdDev);
        SampleMoments.AssertMean(squares.unsqueeze(1), tensor(new[] { ratio }));
    }

    private static void AssertShare(Tensor absorbed, double share)
        => SampleMoments.AssertMean(absorbed.to(ScalarType.Float64).unsqueeze(1), tensor(new[] { share }));
}
