using BayesNet.Estimators;
using BayesNet.Kernels;
using BayesNet.Posteriors;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Estimators;

/// <summary>The fused draw of a mean-field Gaussian against its plain twin, <see cref="Posterior.Sample"/>, under the same noise.</summary>
public sealed class GaussianSampleTests
{
    public static TheoryData<ScalarType, long[], long[]> Shapes() => new()
    {
        { ScalarType.Float32, [7], [] },
        { ScalarType.Float32, [37, 61], [] },
        { ScalarType.Float64, [37, 61], [] },
        { ScalarType.Float32, [9, 5, 3, 3], [6] },
        { ScalarType.Float64, [40, 29], [3] },
        { ScalarType.Float32, [3], [5] },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void WeightsAndGradientsAreThoseOfTheTwin(ScalarType dtype, long[] shape, long[] leading)
    {
        using var scope = NewDisposeScope();
        using MeanFieldGaussian posterior = Create(shape, dtype);
        using NoiseSource noise = new(5), same = new(5);
        Tensor slope = randn([.. leading, .. shape], dtype: dtype);

        (Tensor weights, Tensor[] gradients) = Run(posterior, slope, () => GaussianSample.Weights(posterior, noise, leading));
        (Tensor expected, Tensor[] expectedGradients) = Run(posterior, slope, () => posterior.Sample(same, leading));

        AssertClose(expected, weights);
        for (int i = 0; i < gradients.Length; i++)
            AssertClose(expectedGradients[i], gradients[i]);
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void DeviationsAndTheirGradientAreThoseOfTheTwin(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using MeanFieldGaussian posterior = Create([23, 51], dtype);
        using NoiseSource noise = new(6), same = new(6);
        Tensor slope = randn([23, 51], dtype: dtype);

        (Tensor deviation, Tensor[] gradients) = Run(posterior, slope, () => GaussianSample.Deviation(posterior, noise));
        (Tensor expected, Tensor[] expectedGradients) = Run(posterior, slope, () => posterior.Deviation(posterior.SampleNoise(same, [])));

        AssertClose(expected, deviation);
        AssertClose(expectedGradients[^1], gradients[^1]);
    }

    /// <summary>sigma is 1e-12 of mu: w - mu holds nothing of the noise, and the gradient still has it.</summary>
    [Fact]
    public void TheGradientOfAnAbsorbedDeviationIsRight()
    {
        using var scope = NewDisposeScope();
        using var posterior = new MeanFieldGaussian(ones(500), 1e-12);
        using NoiseSource noise = new(7), same = new(7);
        GaussianSample.Weights(posterior, noise).sum().backward();
        using Tensor eps = same.Normal([500], ScalarType.Float32, CPU);
        Tensor expected = eps.mul(posterior.StdDev.detach());
        Assert.True(allclose(posterior.ScaleParameter.grad!, expected, rtol: 1e-5, atol: 0));
    }

    [Fact]
    public void AParameterThatIsHeldFixedGetsNoGradient()
    {
        using var scope = NewDisposeScope();
        using MeanFieldGaussian posterior = Create([11, 3], ScalarType.Float32);
        using var noise = new NoiseSource(8);
        posterior.Mean.requires_grad_(false);
        GaussianSample.Weights(posterior, noise).sum().backward();
        Assert.Null(posterior.Mean.grad);
        Assert.NotNull(posterior.ScaleParameter.grad);
    }

    [Fact]
    public void GradientsAddUpInAnOpenPass()
    {
        using var scope = NewDisposeScope();
        using MeanFieldGaussian posterior = Create([30, 50], ScalarType.Float32);
        using NoiseSource noise = new(9), same = new(9);
        using var buffers = new GradientBuffers([posterior.ScaleParameter, (TorchSharp.Modules.Parameter)posterior.Mean]);
        using (buffers.Open())
            (GaussianSample.Weights(posterior, noise).sum() + GaussianSample.Weights(posterior, noise).pow(2).sum()).backward();
        Tensor mean = posterior.Mean.grad!.clone(), scale = posterior.ScaleParameter.grad!.clone();
        posterior.zero_grad();
        (posterior.Sample(same).sum() + posterior.Sample(same).pow(2).sum()).backward();
        AssertClose(posterior.Mean.grad!, mean);
        AssertClose(posterior.ScaleParameter.grad!, scale);
    }

    [Fact]
    public void GradientsHaveGradients()
    {
        using var scope = NewDisposeScope();
        using MeanFieldGaussian posterior = Create([4, 3], ScalarType.Float64);
        using var noise = new NoiseSource(10);
        FiniteDifferences.AssertGradients(
            () =>
            {
                // Finite differences are taken without recording, and this function takes a gradient of its own.
                using var recording = enable_grad();
                noise.Seed = 3;
                Tensor loss = GaussianSample.Weights(posterior, noise, 2).pow(3).sum();
                IList<Tensor> first = autograd.grad([loss], [posterior.Mean, posterior.ScaleParameter], create_graph: true);
                return first[0].pow(2).sum() + first[1].pow(2).sum();
            },
            ("mean", posterior.Mean),
            ("log_scale", posterior.ScaleParameter));
    }

    [Fact]
    public void NoTensorIsLeftBehind()
    {
        using MeanFieldGaussian posterior = Create([200, 300], ScalarType.Float32);
        using var noise = new NoiseSource();
        for (int i = 0; i < 3; i++)
            Step();
        long before = LiveTensors.Settled();
        for (int i = 0; i < 50; i++)
            Step();
        Assert.Equal(before, LiveTensors.Settled());

        void Step()
        {
            using var scope = NewDisposeScope();
            (GaussianSample.Weights(posterior, noise).pow(2).sum() + GaussianSample.Deviation(posterior, noise).sum()).backward();
        }
    }

    private static MeanFieldGaussian Create(long[] shape, ScalarType dtype)
    {
        manual_seed(4);
        var posterior = new MeanFieldGaussian(randn(shape, dtype: dtype), 0.3);
        using (no_grad())
            posterior.ScaleParameter.add_(randn(shape, dtype: dtype) * 0.5);
        return posterior;
    }

    private static (Tensor Value, Tensor[] Gradients) Run(MeanFieldGaussian posterior, Tensor slope, Func<Tensor> draw)
    {
        posterior.zero_grad();
        Tensor weights = draw();
        (weights * slope + weights.pow(2) / 2).sum().backward();
        Tensor[] gradients = [posterior.Mean.grad?.clone() ?? zeros_like(posterior.Mean), posterior.ScaleParameter.grad!.clone()];
        return (weights.detach().clone(), gradients);
    }

    // Some ten roundings of numbers of size one to ten, and sums over at most six weights.
    private static void AssertClose(Tensor expected, Tensor actual)
    {
        double error = (expected - actual).abs().max().to(ScalarType.Float64).item<double>();
        double scale = Math.Max(1, expected.abs().max().to(ScalarType.Float64).item<double>());
        Assert.True(error <= scale * (expected.dtype == ScalarType.Float64 ? 1e-14 : 2e-6), $"They differ by {error:G3} at scale {scale:G3}.");
    }
}
