using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Estimators.Local;

public sealed class VariancePrecisionTests
{
    /// <summary>
    /// Of the same noise, deviations differ by half the relative error of the variance: two factors and the sum rounded to seven bits are at most
    /// 3 * 2^-8 of it. Gradients of the scales are three such roundings off, that of the means none.
    /// </summary>
    [Fact]
    public void BFloat16ChangesAVarianceByItsRounding()
    {
        using var scope = NewDisposeScope();
        using Case full = new(Estimator.LocalReparameterization, CPU), low = new(Estimator.LocalReparameterizationWithVariancesIn(VariancePrecision.BFloat16), CPU);
        low.AssertNear(full, 0.5 * 3 / 256, 4.0 / 256);
        Assert.False(low.Output.eq(full.Output).all().item<bool>());
    }

    [Fact]
    public void OnCudaBothAreNearFull()
    {
        Device device = CudaDevice.Required();
        using var scope = NewDisposeScope();
        using Case full = new(Estimator.LocalReparameterization, device);
        using Case low = new(Estimator.LocalReparameterizationWithVariancesIn(VariancePrecision.BFloat16), device);
        using Case tensorFloat = new(Estimator.LocalReparameterizationWithVariancesIn(VariancePrecision.TF32), device);
        low.AssertNear(full, 0.5 * 3 / 256, 4.0 / 256);
        tensorFloat.AssertNear(full, 0.5 * 2 / 2048, 4.0 / 2048);
    }

    /// <summary>The fused function on CUDA is that of the CPU, noise and all.</summary>
    [Fact]
    public void OnCudaItIsTheFunctionOfTheCpu()
    {
        Device device = CudaDevice.Required();
        using var scope = NewDisposeScope();
        using Case onCpu = new(Estimator.LocalReparameterization, CPU), onCuda = new(Estimator.LocalReparameterization, device);
        onCuda.AssertNear(onCpu, 1e-5, 1e-4);
    }

    [Fact]
    public void WhatCanNotBeIsRefusedByName()
    {
        using var scope = NewDisposeScope();
        var map = new LinearMap(3, 2);
        using var noise = new NoiseSource(1);
        using var gaussian = new MeanFieldGaussian(zeros(2, 3), 0.1);
        using var softplus = new MeanFieldGaussian(zeros(2, 3), 0.1, ScaleParameterization.Softplus);
        Estimator tensorFloat = Estimator.LocalReparameterizationWithVariancesIn(VariancePrecision.TF32);
        Assert.Contains("CUDA", Assert.Throws<NotSupportedException>(() => tensorFloat.Forward(map, gaussian, null, ones(1, 3), noise)).Message, StringComparison.Ordinal);
        Assert.Contains("ScaleParameterization.Log", tensorFloat.WhyNot(map, softplus, null)!, StringComparison.Ordinal);
        Assert.Contains("TF32", tensorFloat.Name, StringComparison.Ordinal);
        Assert.Same(Estimator.LocalReparameterization, Estimator.LocalReparameterizationWithVariancesIn(VariancePrecision.Full));
        Assert.Throws<ArgumentOutOfRangeException>("precision", () => Estimator.LocalReparameterizationWithVariancesIn((VariancePrecision)7));
    }

    private sealed class Case : IDisposable
    {
        private readonly MeanFieldGaussian _weight, _bias;
        private readonly NoiseSource _noise = new(1);
        private readonly Tensor _meanOutput;

        public Case(Estimator estimator, Device device)
        {
            manual_seed(1);
            var map = new LinearMap(96, 40);
            _weight = new MeanFieldGaussian(randn(40, 96).to(device), 0.3);
            _bias = new MeanFieldGaussian(randn(40).to(device), 0.3);
            Tensor input = randn(64, 96).to(device);
            Output = estimator.Forward(map, _weight, _bias, input, _noise);
            _meanOutput = Estimator.MeanOnly.Forward(map, _weight, _bias, input, _noise);
            Output.sum().backward();
        }

        public Tensor Output { get; }

        public void AssertNear(Case other, double outputs, double gradients)
        {
            Tensor deviation = (Output - _meanOutput).cpu(), expected = (other.Output - other._meanOutput).cpu();
            double scale = expected.abs().max().item<float>();

            // The subtraction leaves the rounding of the outputs, 2^-24 of about 40, beside what is tested.
            Assert.True((deviation - expected).abs().sub(expected.abs() * outputs).max().item<float>() <= 1e-5 * scale);
            Near(_weight.Mean.grad!, other._weight.Mean.grad!, 1e-5);
            Near(_weight.ScaleParameter.grad!, other._weight.ScaleParameter.grad!, gradients);
            Near(_bias.ScaleParameter.grad!, other._bias.ScaleParameter.grad!, gradients);
        }

        public void Dispose()
        {
            _weight.Dispose();
            _bias.Dispose();
            _noise.Dispose();
        }

        private static void Near(Tensor actual, Tensor expected, double tolerance)
            => Assert.True((actual.cpu() - expected.cpu()).abs().max().item<float>() <= tolerance * expected.abs().max().item<float>());
    }
}
