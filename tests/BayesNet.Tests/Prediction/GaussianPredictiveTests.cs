using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Prediction;

public sealed class GaussianPredictiveTests
{
    private const int Samples = 7;
    private const int Batch = 4;
    private const int Outputs = 2;

    private static Likelihood LikelihoodOf(string kind, ScalarType dtype = ScalarType.Float64)
        => kind == "heteroscedastic" ? new HeteroscedasticGaussianLikelihood() : new GaussianLikelihood(noise: 0.3, dtype: dtype);

    private static GaussianPredictive Create(string kind, ScalarType dtype = ScalarType.Float64, int samples = Samples)
    {
        using Likelihood likelihood = LikelihoodOf(kind, dtype);
        return Create(likelihood, dtype, samples);
    }

    private static GaussianPredictive Create(Likelihood likelihood, ScalarType dtype = ScalarType.Float64, int samples = Samples)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(11, CPU);
        Tensor outputs = randn([samples, Batch, 2 * Outputs], ScalarType.Float64, generator: generator).to(dtype);
        return (GaussianPredictive)likelihood.Predict(likelihood is GaussianLikelihood ? outputs.narrow(2, 0, Outputs) : outputs);
    }

    private static Tensor Targets(ScalarType dtype = ScalarType.Float64)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(12, CPU);
        return randn([Batch, Outputs], ScalarType.Float64, generator: generator).to(dtype).MoveToOuterDisposeScope();
    }

    /// <summary>The mixture's distribution function by the error function, without the library's own code.</summary>
    private static Tensor Cdf(GaussianPredictive predictive, Tensor y)
        => ((special.erf((y - predictive.Components) / (predictive.Noise * Math.Sqrt(2))) + 1) / 2).mean([0]);

    [Theory]
    [InlineData("homoscedastic")]
    [InlineData("heteroscedastic")]
    public void VarianceObeysTheLawOfTotalVariance(string kind)
    {
        using var scope = NewDisposeScope();
        using GaussianPredictive predictive = Create(kind);
        Assert.Equal(Samples, predictive.Samples);
        Assert.Equal([Batch, Outputs], predictive.Mean.shape);
        double[] means = predictive.Components.data<double>().ToArray(), noises = predictive.Noise.data<double>().ToArray();
        int cells = Batch * Outputs;
        for (int cell = 0; cell < cells; cell++)
        {
            // The moments of the mixture itself: E y and E y^2 - (E y)^2.
            double first = 0, second = 0, noise = 0;
            for (int s = 0; s < Samples; s++)
            {
                (double m, double sd) = (means[s * cells + cell], noises[s * cells + cell]);
                first += m / Samples;
                second += (m * m + sd * sd) / Samples;
                noise += sd * sd / Samples;
            }

            double variance = second - first * first;
            Assert.Equal(first, predictive.Mean.flatten()[cell].item<double>(), 1e-13);
            Assert.Equal(Math.Sqrt(variance - noise), predictive.Epistemic.flatten()[cell].item<double>(), 1e-12);
            Assert.Equal(Math.Sqrt(noise), predictive.Aleatoric.flatten()[cell].item<double>(), 1e-13);
            Assert.Equal(Math.Sqrt(variance), predictive.StdDev.flatten()[cell].item<double>(), 1e-13);
        }
    }

    [Theory]
    [InlineData("homoscedastic")]
    [InlineData("heteroscedastic")]
    public void DrawsHaveTheMeanAndTheVariance(string kind)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(13, CPU);
        using GaussianPredictive predictive = Create(kind);
        Tensor chosen = randint(Samples, [40000], ScalarType.Int64, generator: generator);
        Tensor draws = predictive.Components.index_select(0, chosen)
            + predictive.Noise.index_select(0, chosen) * randn([40000, Batch, Outputs], ScalarType.Float64, generator: generator);
        SampleMoments.AssertMean(draws.flatten(1), predictive.Mean.flatten());
        SampleMoments.AssertVariance(draws.flatten(1), predictive.StdDev.square().flatten());
    }

    [Fact]
    public void OneSampleHasNoEpistemicPart()
    {
        using var scope = NewDisposeScope();
        using GaussianPredictive predictive = Create("heteroscedastic", samples: 1);
        Assert.Equal(0, predictive.Epistemic.abs().max().item<double>());
        Assert.True((predictive.StdDev - predictive.Noise[0]).abs().max().item<double>() < 1e-14);
        Tensor quantile = predictive.Quantile(0.975);
        Assert.True((quantile - predictive.Components[0] - 1.959963984540054 * predictive.Noise[0]).abs().max().item<double>() < 1e-12);
    }

    [Theory]
    [InlineData("homoscedastic")]
    [InlineData("heteroscedastic")]
    public void QuantilesInvertTheDistributionFunction(string kind)
    {
        using var scope = NewDisposeScope();
        using GaussianPredictive predictive = Create(kind);
        foreach (double probability in new[] { 1e-6, 0.025, 0.3, 0.5, 0.9, 0.975, 1 - 1e-6 })
        {
            Tensor quantile = predictive.Quantile(probability);
            Assert.Equal(predictive.Mean.shape, quantile.shape);
            Assert.True((Cdf(predictive, quantile) - probability).abs().max().item<double>() < 1e-14, $"at {probability}");
        }

        // By brute force: the first point of a fine grid whose distribution function reaches the probability.
        Tensor median = predictive.Quantile(0.5);
        const double Spacing = 1e-3;
        Tensor grid = arange(-8, 8, Spacing, ScalarType.Float64);
        for (int row = 0; row < Batch; row++)
        {
            Tensor means = predictive.Components[.., row, 0].unsqueeze(1), noise = predictive.Noise[.., row, 0].unsqueeze(1);
            Tensor reached = ((special.erf((grid - means) / (noise * Math.Sqrt(2))) + 1) / 2).mean([0]).ge(0.5).to(ScalarType.Int64);
            double first = grid[reached.argmax()].item<double>();
            Assert.InRange(median[row, 0].item<double>(), first - Spacing - 1e-9, first + 1e-9);
        }
    }

    [Fact]
    public void QuantilesFollowSeparateModes()
    {
        using var scope = NewDisposeScope();
        using var likelihood = new GaussianLikelihood(noise: 0.01, dtype: ScalarType.Float64);
        using GaussianPredictive predictive = likelihood.Predict(tensor(new[] { -100.0, -100.0, -100.0, 100.0 }).reshape(4, 1, 1));

        // 0.05 of the mixture is 1/15 of the lower mode, and 0.95 is 0.8 of the upper: Phi^-1(1/15) = -1.501085946, Phi^-1(0.8) = 0.841621234.
        (Tensor lower, Tensor upper) = predictive.Interval(0.9);
        Assert.Equal(-100.01501085946, lower.item<double>(), 1e-10);
        Assert.Equal(100.00841621234, upper.item<double>(), 1e-10);
    }

    [Theory]
    [InlineData("homoscedastic", ScalarType.Float32, 2e-6)]
    [InlineData("homoscedastic", ScalarType.Float64, 1e-13)]
    [InlineData("heteroscedastic", ScalarType.Float32, 2e-6)]
    [InlineData("heteroscedastic", ScalarType.Float64, 1e-13)]
    public void LogDensityIsTheLogOfTheMeanDensity(string kind, ScalarType dtype, double tolerance)
    {
        using var scope = NewDisposeScope();
        using GaussianPredictive predictive = Create(kind, dtype);
        Tensor target = Targets(dtype);
        Tensor computed = predictive.LogDensity(target).to(ScalarType.Float64);
        Assert.Equal([Batch], computed.shape);
        Tensor z = (target.to(ScalarType.Float64) - predictive.Components.to(ScalarType.Float64)) / predictive.Noise.to(ScalarType.Float64);
        Tensor density = ((z.square() / -2).exp() / (predictive.Noise.to(ScalarType.Float64) * Math.Sqrt(2 * Math.PI))).prod(2);
        Tensor exact = density.mean([0]).log();
        Assert.True(((computed - exact) / exact.abs().clamp_min(1)).abs().max().item<double>() < tolerance);
    }

    [Fact]
    public void LogDensityHoldsWhereDensitiesUnderflow()
    {
        using var scope = NewDisposeScope();
        using var likelihood = new HeteroscedasticGaussianLikelihood();
        using GaussianPredictive predictive = likelihood.Predict(tensor(new[] { 0f, 0f, 1f, -1f }).reshape(2, 1, 2));
        Tensor computed = predictive.LogDensity(tensor(new[,] { { 400f } }));

        // The densities, exp(-80000) and exp(-589350), are zero even in float64; the first component is all that counts.
        double first = GaussianLog(400, 0, 1), second = GaussianLog(400, 1, Math.Exp(-1));
        Assert.Equal(0, Math.Exp(first));
        Assert.True(second < first - 1000);
        Assert.Equal(first - Math.Log(2), computed.item<float>(), Math.Abs(first) * 1e-6);

        static double GaussianLog(double y, double mean, double noise)
            => -0.5 * Math.Pow((y - mean) / noise, 2) - Math.Log(noise) - 0.5 * Math.Log(2 * Math.PI);
    }

    [Theory]
    [InlineData("homoscedastic")]
    [InlineData("heteroscedastic")]
    public void RescaleIsAChangeOfUnits(string kind)
    {
        using var scope = NewDisposeScope();
        using GaussianPredictive predictive = Create(kind);
        using GaussianPredictive other = predictive.Rescale(scale: 20, offset: -3);
        AssertClose(predictive.Mean * 20 - 3, other.Mean);
        AssertClose(predictive.Epistemic * 20, other.Epistemic);
        AssertClose(predictive.Aleatoric * 20, other.Aleatoric);
        AssertClose(predictive.Noise * 20, other.Noise);
        AssertClose(predictive.Quantile(0.2) * 20 - 3, other.Quantile(0.2));

        // A density an output falls by the scale.
        Tensor target = Targets();
        AssertClose(predictive.LogDensity(target) - Outputs * Math.Log(20), other.LogDensity(target * 20 - 3));

        // Offsets far above the scale keep their digits, though the network's were float32.
        using GaussianPredictive single = Create(kind, ScalarType.Float32);
        using GaussianPredictive shifted = single.Rescale(scale: 1, offset: 1e9);
        Assert.True((shifted.Mean - 1e9 - single.Mean).abs().max().item<double>() < 1e-6);
        Assert.Throws<ArgumentOutOfRangeException>("scale", () => predictive.Rescale(0, 1));
        Assert.Throws<ArgumentOutOfRangeException>("offset", () => predictive.Rescale(1, double.NaN));

        static void AssertClose(Tensor expected, Tensor computed)
        {
            Assert.Equal(expected.shape, computed.shape);
            Assert.True((expected - computed).abs().max().item<double>() < 1e-11);
        }
    }

    [Fact]
    public void PropertiesAreComputedOnceAndWithoutGradients()
    {
        using var scope = NewDisposeScope();
        Tensor outputs = randn(3, 2, 2).requires_grad_(true);
        using var likelihood = new HeteroscedasticGaussianLikelihood();
        using GaussianPredictive predictive = likelihood.Predict(outputs * 1);
        Assert.Same(predictive.Mean, predictive.Mean);
        Assert.False(predictive.Components.requires_grad);
        Assert.False(predictive.StdDev.requires_grad);
        Assert.False(predictive.Quantile(0.5).requires_grad);
        Assert.False(predictive.LogDensity(zeros(2, 1)).requires_grad);
    }

    [Theory]
    [InlineData("homoscedastic")]
    [InlineData("heteroscedastic")]
    public void NothingIsLeftBehind(string kind)
    {
        // Made once: TorchSharp's count of live tensors keeps one for every Parameter, even after its disposal.
        using Likelihood likelihood = LikelihoodOf(kind);
        Use();
        long before = LiveTensors.Settled();
        for (int i = 0; i < 3; i++)
            Use();
        Assert.Equal(before, Tensor.TotalCount);

        void Use()
        {
            using GaussianPredictive predictive = Create(likelihood);
            using GaussianPredictive rescaled = predictive.Rescale(2, 1);
            _ = (predictive.Mean, predictive.StdDev, predictive.Noise, rescaled.StdDev);
            (Tensor lower, Tensor upper) = predictive.Interval();
            using (lower)
            using (upper)
            using (Tensor target = Targets())
            using (Tensor density = predictive.LogDensity(target))
                Assert.Equal(Batch, density.numel());
        }
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        GaussianPredictive predictive = Create("heteroscedastic");
        foreach (double probability in new[] { 0, 1, -0.1, double.NaN })
        {
            Assert.Throws<ArgumentOutOfRangeException>("probability", () => predictive.Quantile(probability));
            Assert.Throws<ArgumentOutOfRangeException>("level", () => predictive.Interval(probability));
        }

        Assert.Throws<ArgumentNullException>("target", () => predictive.LogDensity(null!));
        Assert.Throws<ArgumentException>("target", () => predictive.LogDensity(zeros(Batch)));
        Assert.Throws<ArgumentException>("target", () => predictive.LogDensity(zeros(Batch, 1)));
        predictive.Dispose();
        predictive.Dispose();
        Assert.Throws<ObjectDisposedException>(() => predictive.Mean);
        Assert.Throws<ObjectDisposedException>(() => predictive.Components);
        Assert.Throws<ObjectDisposedException>(() => predictive.Quantile(0.5));
        Assert.Throws<ObjectDisposedException>(() => predictive.Interval());
        Assert.Throws<ObjectDisposedException>(() => predictive.LogDensity(zeros(Batch, Outputs)));
        Assert.Throws<ObjectDisposedException>(() => predictive.Rescale(1, 0));
    }
}
