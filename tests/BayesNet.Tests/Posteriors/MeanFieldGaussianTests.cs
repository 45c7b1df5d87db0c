using BayesNet.Estimators;
using BayesNet.Posteriors;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Posteriors;

public sealed class MeanFieldGaussianTests
{
    public static TheoryData<string> Scales() => new() { "log", "softplus" };

    private static ScaleParameterization Scale(string name) => name == "log" ? ScaleParameterization.Log : ScaleParameterization.Softplus;

    [Theory]
    [InlineData("log", ScalarType.Float32, 1e-6)]
    [InlineData("log", ScalarType.Float64, 1e-14)]
    [InlineData("softplus", ScalarType.Float32, 1e-5)]
    [InlineData("softplus", ScalarType.Float64, 1e-12)]
    public void ScaleAndItsInverseAgreeFromTinyToLarge(string name, ScalarType dtype, double tolerance)
    {
        using var scope = NewDisposeScope();
        ScaleParameterization parameterization = Scale(name);
        Assert.Equal(name, parameterization.ToString());
        foreach (double sigma in new[] { 1e-8, 1e-4, 0.01, 0.5, 1, 3, 15, 50 })
        {
            Tensor rho = tensor(new[] { parameterization.Inverse(sigma) }, dtype: dtype);
            double relative = parameterization.Scale(rho).to(ScalarType.Float64).item<double>() / sigma - 1;
            double logError = parameterization.LogScaleOf(rho).to(ScalarType.Float64).item<double>() - Math.Log(sigma);
            // Above 1 rounding of rho itself moves exp(rho) by rho * eps.
            double allowed = tolerance * Math.Max(1, Math.Abs(rho.to(ScalarType.Float64).item<double>()));
            Assert.InRange(relative, -allowed, allowed);
            Assert.InRange(logError, -allowed, allowed);
            Assert.Equal(rho.to(ScalarType.Float64).item<double>(), parameterization.Inverse(tensor(sigma, dtype: ScalarType.Float64)).item<double>(), allowed * 10);
        }
    }

    [Fact]
    public void SoftplusKeepsItsLogarithmWhereTheScaleIsSubnormal()
    {
        using var scope = NewDisposeScope();
        Tensor rho = tensor(new[] { -200f, -90f, -25f, -19f }, requires_grad: true);
        Tensor log = ScaleParameterization.Softplus.LogScaleOf(rho);
        log.sum().backward();
        Assert.True((log - rho).abs().max().item<float>() < 1e-5f);
        Assert.True((rho.grad! - 1).abs().max().item<float>() < 1e-5f);
    }

    [Theory]
    [MemberData(nameof(Scales))]
    public void ScaleGradientsAreThoseOfFiniteDifferences(string name)
    {
        using var scope = NewDisposeScope();
        Tensor rho = linspace(-24, 24, 9, dtype: ScalarType.Float64).mul(0.9).requires_grad_(true);
        Tensor bounded = linspace(-24, 3, 9, dtype: ScalarType.Float64).requires_grad_(true);
        FiniteDifferences.AssertGradients(() => Scale(name).LogScaleOf(rho).sum(), ("rho", rho));
        FiniteDifferences.AssertGradients(() => Scale(name).Scale(bounded).sum(), ("rho", bounded));
    }

    [Theory]
    [MemberData(nameof(Scales))]
    public void DensityIsTheGaussians(string name)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var posterior = new MeanFieldGaussian(tensor(new[] { 0.5, -1.0 }), 0.25, Scale(name));
        Tensor weights = tensor(new[,] { { 0.4, -1.2 }, { 3.0, 0.0 } });
        for (int row = 0; row < 2; row++)
        {
            double expected = 0;
            for (int i = 0; i < 2; i++)
            {
                double standardised = (weights[row, i].item<double>() - posterior.Mean[i].item<double>()) / 0.25;
                expected += -0.5 * standardised * standardised - Math.Log(0.25) - 0.5 * Math.Log(2 * Math.PI);
            }

            Assert.Equal(expected, posterior.LogDensity(weights)[row].item<double>(), 1e-11);
        }
    }

    [Theory]
    [MemberData(nameof(Scales))]
    public void SamplesHaveTheMomentsAndTheirGradientIsPathwise(string name)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(8);
        PosteriorCase known = PosteriorCase.Named($"mean-field Gaussian, {(name == "log" ? "log scale" : name)}");
        using Posterior posterior = known.Create(noise.Normal([2, 2], ScalarType.Float64, CPU));
        using (no_grad())
        {
            SampleMoments.AssertMeanAndCovariance(posterior.Sample(noise, 20000).flatten(1), posterior.Mean.flatten(), known.Covariance(posterior));
        }

        Tensor eps = posterior.SampleNoise(noise, [3]);
        Tensor slope = noise.Normal([3, 2, 2], ScalarType.Float64, CPU);
        (string, Tensor)[] leaves = [.. posterior.named_parameters().Select(entry => (entry.name, (Tensor)entry.parameter))];
        FiniteDifferences.AssertGradients(() => (posterior.Transform(eps) * slope).sum(), leaves);
        Assert.True((posterior.Transform(eps) - posterior.Mean - posterior.Deviation(eps)).abs().max().item<double>() < 1e-14);
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        Assert.Throws<ArgumentOutOfRangeException>("initialStdDev", () => new MeanFieldGaussian(zeros(2), 0));
        Assert.Throws<ArgumentOutOfRangeException>("initialStdDev", () => new MeanFieldGaussian(zeros(2), double.NaN));
        var half = Assert.Throws<NotSupportedException>(() => new MeanFieldGaussian(zeros(2, dtype: ScalarType.BFloat16), 0.1));
        Assert.Contains("float32 or float64", half.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>("InitialStdDev", () => new MeanFieldGaussianSpecification { InitialStdDev = -1 });
    }
}
