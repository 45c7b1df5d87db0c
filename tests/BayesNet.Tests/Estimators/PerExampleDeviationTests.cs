using BayesNet.Estimators;
using BayesNet.Kernels;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.TestKit;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Estimators;

/// <summary>Weights per example that never exist as a tensor, against their plain twin under the same noise.</summary>
public sealed class PerExampleDeviationTests
{
    /// <summary>Inputs of one row and of sequences; several rows a tile and one; rows beside whole groups of noise.</summary>
    public static TheoryData<ScalarType, long[], long> Shapes() => new()
    {
        { ScalarType.Float64, [3, 4], 5 },
        { ScalarType.Float64, [6, 130], 70 },
        { ScalarType.Float32, [6, 130], 70 },
        { ScalarType.Float64, [5, 1500], 3 },
        { ScalarType.Float64, [4, 3, 20], 61 },
        { ScalarType.Float32, [2, 3, 2, 64], 40 },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void OutputAndGradientsAreThoseOfTheTwin(ScalarType dtype, long[] shape, long outputs)
    {
        using var scope = NewDisposeScope();
        using var parts = new Parts(shape[^1], outputs, dtype);
        Tensor slope = Slope([.. shape[..^1], outputs], dtype);
        AssertSame(parts.Run(parts.Fused, Values(shape, dtype), slope), parts.Run(parts.Twin, Values(shape, dtype), slope), dtype);
    }

    [Fact]
    public void AnInputMayHaveAnyStrides()
    {
        using var scope = NewDisposeScope();
        using var parts = new Parts(9, 7, ScalarType.Float64);
        Tensor slope = Slope([5, 7], ScalarType.Float64), x = Values([9, 5], ScalarType.Float64).t();
        AssertSame(parts.Run(parts.Fused, x, slope), parts.Run(parts.Twin, x, slope), ScalarType.Float64);
    }

    [Fact]
    public void NoExamplesGiveNoGradient()
    {
        using var scope = NewDisposeScope();
        using var parts = new Parts(7, 3, ScalarType.Float64);
        Tensor[] results = parts.Run(parts.Fused, zeros([0, 7], ScalarType.Float64), zeros([0, 3], ScalarType.Float64));
        Assert.Equal([0, 3], results[0].shape);
        Assert.All(results[1..], gradient => Assert.True(gradient.eq(0).all().item<bool>()));
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void WhatIsHeldFixedGetsNoGradient(bool inputNeeded, bool scaleNeeded)
    {
        using var scope = NewDisposeScope();
        using var parts = new Parts(30, 20, ScalarType.Float64);
        parts.Weight.ScaleParameter.requires_grad_(scaleNeeded);
        Tensor slope = Slope([4, 20], ScalarType.Float64);
        Tensor[] fused = parts.Run(parts.Fused, Values([4, 30], ScalarType.Float64), slope, inputNeeded);
        AssertSame(fused, parts.Run(parts.Twin, Values([4, 30], ScalarType.Float64), slope, inputNeeded), ScalarType.Float64);
        Assert.Equal(scaleNeeded, parts.Weight.ScaleParameter.grad is not null);
    }

    [Fact]
    public void NothingIsRecordedWithoutGradients()
    {
        using var scope = NewDisposeScope();
        using var parts = new Parts(30, 20, ScalarType.Float64);
        Tensor x = Values([4, 30], ScalarType.Float64), recorded = parts.Fused(x).detach();
        using var _ = no_grad();
        Tensor output = parts.Fused(x);
        Assert.False(output.requires_grad);
        Assert.True(output.eq(recorded).all().item<bool>());
    }

    /// <summary>One posterior twice in a graph, in a pass over standing gradients and outside of one.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void GradientsOfTwoUsesAddUp(bool inPass)
    {
        using var scope = NewDisposeScope();
        using var parts = new Parts(40, 40, ScalarType.Float64);
        using var buffers = new GradientBuffers([parts.Weight.ScaleParameter, (Parameter)parts.Weight.Mean]);
        using (inPass ? buffers.Open() : null)
            parts.Twice(parts.Next).backward();
        Tensor scale = parts.Weight.ScaleParameter.grad!.clone(), mean = parts.Weight.Mean.grad!.clone();
        parts.Weight.zero_grad();
        parts.Twice(parts.NextTwin).backward();
        AssertSame([mean, scale], [parts.Weight.Mean.grad!, parts.Weight.ScaleParameter.grad!], ScalarType.Float64);
    }

    [Fact]
    public void GradientsHaveGradients()
    {
        using var scope = NewDisposeScope();
        using var parts = new Parts(3, 4, ScalarType.Float64);
        Tensor x = Values([2, 3], ScalarType.Float64).requires_grad_(true);
        FiniteDifferences.AssertGradients(
            () =>
            {
                // Finite differences are taken without recording, and this function takes a gradient of its own.
                using var recording = enable_grad();
                IList<Tensor> first = autograd.grad([parts.Fused(x).pow(3).sum()], [x, parts.Weight.ScaleParameter], retain_graph: true, create_graph: true);
                return first[0].pow(2).sum() + first[1].pow(2).sum();
            },
            ("input", x),
            ("mean", parts.Weight.Mean),
            ("log_scale", parts.Weight.ScaleParameter));
    }

    [Fact]
    public void ResultsDoNotDependOnTheThreads()
    {
        using var scope = NewDisposeScope();
        using var parts = new Parts(300, 50, ScalarType.Float32);
        Tensor x = Values([20, 300], ScalarType.Float32), slope = Slope([20, 50], ScalarType.Float32);
        int before = get_num_threads();
        try
        {
            Tensor[][] results = [.. new[] { 1, 2, 3 }.Select(threads =>
            {
                set_num_threads(threads);
                return parts.Run(input => PerExampleDeviation.Product(parts.Weight, input, parts.Restarted()), x, slope);
            })];
            foreach (Tensor[] result in results[1..])
                Assert.All(result.Zip(results[0]), pair => Assert.True(pair.First.eq(pair.Second).all().item<bool>()));
        }
        finally
        {
            set_num_threads(before);
        }
    }

    [Fact]
    public void NoTensorIsLeftBehind()
    {
        using var parts = new Parts(200, 300, ScalarType.Float32);
        for (int i = 0; i < 3; i++)
            Step();
        long before = LiveTensors.Settled();
        for (int i = 0; i < 30; i++)
            Step();
        Assert.Equal(before, LiveTensors.Settled());

        void Step()
        {
            using var scope = NewDisposeScope();
            parts.Run(parts.Fused, Values([4, 200], ScalarType.Float32), Slope([4, 300], ScalarType.Float32));
        }
    }

    // Sums of up to 1,500 products of size one: their roundings, and float32's are 2^29 times as large.
    private static void AssertSame(Tensor[] actual, Tensor[] expected, ScalarType dtype)
    {
        double rounding = dtype == ScalarType.Float32 ? Math.ScaleB(1e-14, 29) : 1e-14;
        Assert.Equal(expected.Length, actual.Length);
        foreach ((Tensor a, Tensor e) in actual.Zip(expected))
        {
            Assert.Equal(e.shape, a.shape);
            double error = (a - e).abs().max().to(ScalarType.Float64).item<double>();
            double scale = Math.Max(1, e.abs().max().to(ScalarType.Float64).item<double>());
            Assert.True(error <= rounding * scale, $"They differ by {error:G3} at scale {scale:G3}.");
        }
    }

    private static Tensor Values(long[] shape, ScalarType dtype)
        => (arange(shape.Aggregate(1L, (a, b) => a * b), dtype: dtype) * 0.7).sin().reshape(shape);

    // Zeros in blocks, as behind rectifiers: the first example has no gradient at all.
    private static Tensor Slope(long[] shape, ScalarType dtype)
    {
        Tensor slope = Values(shape, dtype).add(0.2).relu();
        if (shape[0] > 1)
            slope[0].zero_();
        return slope;
    }

    private sealed class Parts : IDisposable
    {
        private readonly LinearMap _map;
        private readonly MeanFieldGaussian _bias;
        private readonly NoiseSource _noise = new(3);

        internal Parts(long inputs, long outputs, ScalarType dtype)
        {
            using var scope = NewDisposeScope();
            _map = new LinearMap(inputs, outputs);
            Weight = new MeanFieldGaussian(Values([outputs, inputs], dtype), 0.3);
            _bias = new MeanFieldGaussian(Values([outputs], dtype), 0.5);
            using (no_grad())
                Weight.ScaleParameter.add_(Values([outputs, inputs], dtype).mul(0.3));
        }

        internal MeanFieldGaussian Weight { get; }

        internal NoiseSource Restarted()
        {
            _noise.Seed = 3;
            return _noise;
        }

        internal Tensor Fused(Tensor x)
        {
            Restarted();
            return Next(x);
        }

        internal Tensor Twin(Tensor x)
        {
            Restarted();
            return NextTwin(x);
        }

        internal Tensor Next(Tensor x) => Estimator.WeightsPerExample.Forward(_map, Weight, _bias, x, _noise);

        internal Tensor NextTwin(Tensor x)
            => _map.ApplyPerExample(x, Weight.Sample(_noise, x.size(0)), _bias.Sample(_noise, x.size(0)));

        internal Tensor Twice(Func<Tensor, Tensor> layer)
        {
            Restarted();
            return layer(layer(Values([6, 40], ScalarType.Float64)).tanh()).pow(2).sum();
        }

        /// <summary>The output and the gradients of input and parameters.</summary>
        internal Tensor[] Run(Func<Tensor, Tensor> forward, Tensor input, Tensor slope, bool inputNeeded = true)
        {
            Weight.zero_grad();
            _bias.zero_grad();
            Tensor x = input.detach().requires_grad_(inputNeeded), y = forward(x);
            (y * slope).sum().backward();
            Tensor?[] gradients = [x.grad, Weight.Mean.grad, Weight.ScaleParameter.grad, _bias.Mean.grad, _bias.ScaleParameter.grad];
            return [y.detach(), .. gradients.Where(gradient => gradient is not null).Select(gradient => gradient!.clone())];
        }

        public void Dispose()
        {
            Weight.Dispose();
            _bias.Dispose();
            _noise.Dispose();
        }
    }
}
