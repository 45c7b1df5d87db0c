using BayesNet.Estimators;
using BayesNet.Estimators.Local;
using BayesNet.Kernels;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.TestKit;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Estimators.Local;

/// <summary>The fused function of local reparameterization against its twin of plain operations, and what a graph may do with it.</summary>
public sealed class LocalNodeTests
{
    public static IEnumerable<TheoryDataRow<string, ScalarType, bool>> Cases()
        => from map in MapCase.All
           where map.Create() is ILocalProducts
           from dtype in new[] { ScalarType.Float32, ScalarType.Float64 }
           from hasBias in new[] { true, false }
           select new TheoryDataRow<string, ScalarType, bool>(map.Name, dtype, hasBias);

    /// <summary>The same sums in another order: a few units in the last place of the largest entry.</summary>
    private static double Tolerance(ScalarType dtype) => dtype == ScalarType.Float64 ? 1e-13 : 1e-5;

    [Theory]
    [MemberData(nameof(Cases))]
    public void OutputAndGradientsAreTheTwins(string map, ScalarType dtype, bool hasBias)
    {
        Assert.True(GraphNode.IsAvailable && ConvolutionGradient.IsAvailable);
        using var scope = NewDisposeScope();
        using var layer = new Layer(MapCase.Named(map).Create(), MapCase.Named(map).InputShape, dtype, hasBias);
        Tensor output = layer.Forward(), twin = layer.Twin();
        AssertClose(twin, output, "output");

        Tensor slope = randn_like(output);
        Tensor[] gradients = layer.Gradients(output, slope), expected = layer.Gradients(twin, slope);
        for (int i = 0; i < expected.Length; i++)
            AssertClose(expected[i], gradients[i], layer.Names[i]);
    }

    /// <summary>Loops on two threads, with tails that no vector holds, and a product cut into several blocks of rows.</summary>
    [Theory]
    [InlineData(ScalarType.Float32, 1)]
    [InlineData(ScalarType.Float32, 2)]
    [InlineData(ScalarType.Float64, 2)]
    public void LargeLayersAreTheTwins(ScalarType dtype, int threads)
    {
        int before = get_num_threads();
        set_num_threads(threads);
        try
        {
            using var scope = NewDisposeScope();
            using var layer = new Layer(new LinearMap(403, 301), [67, 403], dtype, hasBias: true);
            Tensor output = layer.Forward(), twin = layer.Twin();
            AssertClose(twin, output, "output");
            Tensor slope = randn_like(output);
            Tensor[] gradients = layer.Gradients(output, slope), expected = layer.Gradients(twin, slope);
            for (int i = 0; i < expected.Length; i++)
                AssertClose(expected[i], gradients[i], layer.Names[i]);
        }
        finally
        {
            set_num_threads(before);
        }
    }

    [Theory]
    [InlineData("linear")]
    [InlineData("linear over positions")]
    [InlineData("conv1d grouped, strided, dilated")]
    [InlineData("conv2d circular")]
    [InlineData("conv3d")]
    [InlineData("transposed conv1d, grouped, strided, cut, dilated")]
    [InlineData("transposed conv2d")]
    [InlineData("bilinear")]
    public void SecondDerivativesAreTheTwins(string map)
    {
        using var scope = NewDisposeScope();
        using var layer = new Layer(MapCase.Named(map).Create(), MapCase.Named(map).InputShape, ScalarType.Float64, hasBias: true);
        Tensor output = layer.Forward(), twin = layer.Twin(), slope = randn_like(output);
        Tensor[] second = Penalty(output), expected = Penalty(twin);
        for (int i = 0; i < expected.Length; i++)
            AssertClose(expected[i], second[i], layer.Names[i]);

        Tensor[] Penalty(Tensor y)
        {
            IList<Tensor> first = autograd.grad([y.square()], layer.Leaves, [slope], retain_graph: true, create_graph: true);
            Tensor norm = first.Select(gradient => gradient.square().sum()).Aggregate((a, b) => a + b);
            return layer.Gradients(norm, ones_like(norm));
        }
    }

    /// <summary>Two forward passes alive before a backward pass, a layer twice in one graph, a graph kept for a second backward pass.</summary>
    [Fact]
    public void GraphsMayOverlapAndBeUsedAgain()
    {
        using var scope = NewDisposeScope();
        using var layer = new Layer(new LinearMap(200, 200), [110, 200], ScalarType.Float32, hasBias: true);
        Tensor first = layer.Forward(layer.Input, 1), second = layer.Forward(first, 2), third = layer.Forward(layer.Input, 3);
        Tensor firstTwin = layer.Twin(layer.Input, 1), secondTwin = layer.Twin(firstTwin, 2), thirdTwin = layer.Twin(layer.Input, 3);
        Tensor slope = randn_like(first);
        Tensor[] expected = layer.Gradients(thirdTwin, slope, keep: true), expectedOfBoth = layer.Gradients(secondTwin + thirdTwin, slope);

        for (int round = 0; round < 2; round++)
        {
            Tensor[] own = layer.Gradients(third, slope, keep: true);
            for (int i = 0; i < own.Length; i++)
                AssertClose(expected[i], own[i], layer.Names[i]);
            Tensor[] both = layer.Gradients(second + third, slope, keep: true);
            for (int i = 0; i < both.Length; i++)
                AssertClose(expectedOfBoth[i], both[i], layer.Names[i]);
        }
    }

    [Fact]
    public void WithoutGradientsNoneAreRecorded()
    {
        using var scope = NewDisposeScope();
        using var layer = new Layer(new LinearMap(3, 2), [5, 3], ScalarType.Float32, hasBias: true);
        using (no_grad())
            Assert.False(layer.Forward().requires_grad);
        layer.Weight.ScaleParameter.requires_grad_(false);
        Tensor output = layer.Forward();
        Assert.True(output.requires_grad);
        output.sum().backward();
        Assert.Null(layer.Weight.ScaleParameter.grad);
        Assert.NotNull(layer.Weight.Mean.grad);
    }

    /// <summary>An input changed in place between forward and backward is an error of the backward pass, and no end of the process.</summary>
    [Fact]
    public void AChangedInputIsAnError()
    {
        using var scope = NewDisposeScope();
        using var layer = new Layer(new LinearMap(3, 2), [5, 3], ScalarType.Float32, hasBias: true);
        Tensor hidden = layer.Input * 1, output = layer.Forward(hidden, 1);
        using (no_grad())
            hidden.mul_(2);
        Assert.ThrowsAny<Exception>(() => output.sum().backward());
        layer.Forward().sum().backward();
    }

    /// <summary>Transposed inputs, expanded gradients and parameters that are views compute what contiguous ones do.</summary>
    [Fact]
    public void StridesDoNotMatter()
    {
        using var scope = NewDisposeScope();
        using var layer = new Layer(new LinearMap(4, 4), [4, 4], ScalarType.Float64, hasBias: true);
        Tensor output = layer.Forward(layer.Input.t(), 1), twin = layer.Twin(layer.Input.t(), 1);
        AssertClose(twin, output, "output");
        Tensor slope = ones(1, 1, dtype: ScalarType.Float64).expand(4, 4);
        Tensor[] gradients = layer.Gradients(output, slope), expected = layer.Gradients(twin, slope);
        for (int i = 0; i < expected.Length; i++)
            AssertClose(expected[i], gradients[i], layer.Names[i]);
    }

    [Fact]
    public void WhatIsMadeIsFreed()
    {
        using var layer = new Layer(new LinearMap(200, 200), [110, 200], ScalarType.Float32, hasBias: true);
        Pass();
        long before = LiveTensors.Settled();
        for (int i = 0; i < 100; i++)
            Pass();
        Assert.Equal(before, Tensor.TotalCount);

        void Pass()
        {
            using var scope = NewDisposeScope();
            layer.Forward().sum().backward();
            layer.Forward();
            using (no_grad())
                layer.Forward();
            layer.Gradients(layer.Forward(), ones(110, 200));
        }
    }

    private static void AssertClose(Tensor expected, Tensor actual, string name)
    {
        Assert.Equal(expected.shape, actual.shape);
        double scale = expected.abs().max().to(ScalarType.Float64).item<double>();
        double error = (expected - actual).abs().max().to(ScalarType.Float64).item<double>();
        Assert.True(error <= Tolerance(expected.dtype) * scale, $"{name} differs by {error:G3} at scale {scale:G3}.");
    }

    /// <summary>A layer's parts with random parameters, its inputs as leaves, and both ways to compute it under the same noise.</summary>
    private sealed class Layer : IDisposable
    {
        private readonly AffineMap _map;
        private readonly MeanFieldGaussian? _bias;
        private readonly NoiseSource _noise = new(1);

        public Layer(AffineMap map, long[] inputShape, ScalarType dtype, bool hasBias)
        {
            manual_seed(5);
            _map = map;
            Weight = Posterior(map.WeightShape.ToArray());
            _bias = hasBias ? Posterior([map.OutputChannels]) : null;
            Input = randn(inputShape, dtype: dtype).requires_grad_(true);
            Leaves = [Input, (Parameter)Weight.Mean, Weight.ScaleParameter, .. _bias is null ? Array.Empty<Tensor>() : [_bias.Mean, _bias.ScaleParameter]];

            MeanFieldGaussian Posterior(long[] shape)
            {
                var posterior = new MeanFieldGaussian(randn(shape, dtype: dtype), 0.5);
                using (no_grad())
                    posterior.ScaleParameter.add_(randn(shape, dtype: dtype) * 0.3);
                return posterior;
            }
        }

        public MeanFieldGaussian Weight { get; }

        public Tensor Input { get; }

        public Tensor[] Leaves { get; }

        public string[] Names { get; } = ["input", "mean", "log scale", "bias mean", "bias log scale"];

        public Tensor Forward() => Forward(Input, 1);

        public Tensor Forward(Tensor input, ulong seed)
        {
            _noise.Seed = seed;
            return LocalNode.Forward(_map, Weight, _bias, input, _noise, VariancePrecision.Full);
        }

        public Tensor Twin() => Twin(Input, 1);

        public Tensor Twin(Tensor input, ulong seed)
        {
            _noise.Seed = seed;
            var products = (ILocalProducts)_map;
            Tensor[] inputs = [products.Prepare(input), .. Leaves[1..]];
            return products.Finish(LocalNode.Compose(products, inputs, s => _noise.Normal(s.shape, s.dtype, s.device), VariancePrecision.Full), input);
        }

        public Tensor[] Gradients(Tensor output, Tensor slope, bool keep = false)
            => [.. autograd.grad([output], Leaves, [slope], retain_graph: keep)];

        public void Dispose()
        {
            Weight.Dispose();
            _bias?.Dispose();
            _noise.Dispose();
            Input.Dispose();
        }
    }
}
