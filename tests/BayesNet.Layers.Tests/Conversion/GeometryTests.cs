using BayesNet.Estimators;
using BayesNet.Layers.Conversion;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Conversion;

/// <summary>A converted layer computes what the layer did, whatever its geometry, and so does what it is converted back to.</summary>
public sealed class GeometryTests
{
    private static readonly PaddingModes[] Modes = [PaddingModes.Zeros, PaddingModes.Reflect, PaddingModes.Replicate, PaddingModes.Circular];

    public static TheoryData<string> Names() => [.. Cases.Keys];

    private static Dictionary<string, (Func<nn.Module<Tensor, Tensor>> Layer, long[] Input)> Cases { get; } = All().ToDictionary(entry => entry.Name, entry => (entry.Layer, entry.Input));

    [Theory]
    [MemberData(nameof(Names))]
    public void ThereAndBack(string name)
    {
        using var scope = NewDisposeScope();
        (Func<nn.Module<Tensor, Tensor>> create, long[] shape) = Cases[name];
        nn.Module<Tensor, Tensor> layer = create();
        ScalarType type = layer.parameters().First().dtype;
        Tensor x = randn(shape, dtype: type);
        Tensor expected = layer.call(x);
        nn.Module<Tensor, Tensor> twin = layer.ToBayesian();
        Assert.IsAssignableFrom<IBayesianModule>(twin);
        double tolerance = type == ScalarType.Float64 ? 1e-12 : 1e-5;
        using (twin.WithEstimator(Estimator.MeanOnly))
            Assert.True(twin.call(x).allclose(expected, tolerance, tolerance));
        nn.Module<Tensor, Tensor> back = twin.ToDeterministic();
        Assert.Equal(layer.GetType(), back.GetType());
        Assert.Equal(layer.state_dict().Keys, back.state_dict().Keys);
        Assert.True(back.call(x).allclose(expected, tolerance, tolerance));
        if (layer is Convolution before)
        {
            var after = (Convolution)back;
            Assert.Equal(
                (before.padding_mode, before.padding_type == Padding.Same, before.groups, before.in_channels, before.out_channels),
                (after.padding_mode, after.padding_type == Padding.Same, after.groups, after.in_channels, after.out_channels));
            Assert.Equal(before.stride, after.stride);
            Assert.Equal(before.dilation, after.dilation);
            Assert.Equal(before.kernel_size, after.kernel_size);
        }
    }

    [Fact]
    public void AnEmbedding()
    {
        using var scope = NewDisposeScope();
        Embedding layer = nn.Embedding(7, 3);
        Tensor x = tensor(new long[,] { { 0, 3 }, { 6, 3 } });
        nn.Module<Tensor, Tensor> twin = layer.ToBayesian();
        Assert.IsType<BayesEmbedding>(twin);
        using (twin.WithEstimator(Estimator.MeanOnly))
            Assert.True(twin.call(x).eq(layer.call(x)).all().item<bool>());
        Assert.True(twin.ToDeterministic().call(x).eq(layer.call(x)).all().item<bool>());
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public void ABilinearLayer(bool hasBias, bool wide)
    {
        using var scope = NewDisposeScope();
        ScalarType type = wide ? ScalarType.Float64 : ScalarType.Float32;
        Bilinear layer = nn.Bilinear(3, 4, 2, hasBias, dtype: type);
        Tensor a = randn(5, 3, dtype: type), b = randn(5, 4, dtype: type);
        var twin = Assert.IsType<BayesBilinear>(((nn.Module)layer).ToBayesian());
        using (twin.WithEstimator(Estimator.MeanOnly))
            Assert.True(twin.call(a, b).allclose(layer.call(a, b), 1e-5, 1e-6));
        var back = Assert.IsType<Bilinear>(((nn.Module)twin).ToDeterministic());
        Assert.True(back.call(a, b).allclose(layer.call(a, b)));
    }

    [Theory]
    [InlineData(true, true, true)]
    [InlineData(false, false, false)]
    public void RecurrentLayers(bool hasBias, bool batchFirst, bool bidirectional)
    {
        using var scope = NewDisposeScope();
        Tensor x = randn(3, 4, 5);
        LSTM lstm = nn.LSTM(5, 6, bias: hasBias, batchFirst: batchFirst, bidirectional: bidirectional);
        var twin = Assert.IsType<BayesLSTM>(((nn.Module)lstm).ToBayesian());
        Tensor expected = lstm.call(x).Item1;
        using (twin.WithEstimator(Estimator.MeanOnly))
            Assert.True(twin.call(x).Item1.allclose(expected, 1e-5, 1e-6));
        Assert.True(Assert.IsType<LSTM>(((nn.Module)twin).ToDeterministic()).call(x).Item1.allclose(expected, 1e-5, 1e-6));

        GRU gru = nn.GRU(5, 6, bias: hasBias, batchFirst: batchFirst, bidirectional: bidirectional);
        var gruTwin = Assert.IsType<BayesGRU>(((nn.Module)gru).ToBayesian());
        expected = gru.call(x).Item1;
        using (gruTwin.WithEstimator(Estimator.MeanOnly))
            Assert.True(gruTwin.call(x).Item1.allclose(expected, 1e-5, 1e-6));
        Assert.True(Assert.IsType<GRU>(((nn.Module)gruTwin).ToDeterministic()).call(x).Item1.allclose(expected, 1e-5, 1e-6));
    }

    private static IEnumerable<(string Name, Func<nn.Module<Tensor, Tensor>> Layer, long[] Input)> All()
    {
        yield return ("linear", () => nn.Linear(4, 3), [5, 4]);
        yield return ("linear without bias, float64", () => nn.Linear(4, 3, false, dtype: ScalarType.Float64), [5, 2, 4]);
        foreach (PaddingModes mode in Modes)
        {
            yield return ($"conv1d {mode}", () => nn.Conv1d(4, 6, 3, 2, 1, 1, mode, 2, false), [2, 4, 9]);
            yield return ($"conv1d same {mode}", () => nn.Conv1d(4, 6, 4, Padding.Same, 1, 2, mode, 1, true, dtype: ScalarType.Float64), [2, 4, 9]);
            yield return ($"conv2d {mode}", () => nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 2), (1, 2), mode, 2, true), [2, 4, 7, 8]);
            yield return ($"conv2d same {mode}", () => nn.Conv2d(4, 4, 3, Padding.Same, 1, 2, mode, 4, false), [2, 4, 7, 8]);
            if (mode != PaddingModes.Reflect)
            {
                // libtorch has no reflection over three dimensions of a batch of this kind.
                yield return ($"conv3d {mode}", () => nn.Conv3d(2, 4, (3, 2, 1), (2, 1, 1), (1, 1, 0), (1, 2, 1), mode, 2, true), [2, 2, 5, 6, 4]);
            }
        }

        // One output padding: nn.ConvTranspose2d of TorchSharp 0.107 takes the first for both dimensions.
        yield return ("transposed 1d", () => nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, 1, groups: 2), [2, 4, 9]);
        yield return ("transposed 2d", () => nn.ConvTranspose2d(4, 6, (3, 2), (2, 3), (1, 0), (1, 1), (1, 2), groups: 2, bias: false, dtype: ScalarType.Float64), [2, 4, 5, 4]);
        yield return ("transposed 3d", () => nn.ConvTranspose3d(2, 4, (3, 2, 2), (2, 2, 2), (1, 0, 1), (1, 1, 1), (1, 1, 1), groups: 2), [2, 2, 4, 3, 3]);
        yield return ("conv2d valid", () => nn.Conv2d(2, 3, 3, Padding.Valid, 2), [2, 2, 7, 8]);
        yield return ("conv3d same", () => nn.Conv3d(2, 2, 3, Padding.Same, dtype: ScalarType.Float64), [2, 2, 5, 5, 5]);
    }
}
