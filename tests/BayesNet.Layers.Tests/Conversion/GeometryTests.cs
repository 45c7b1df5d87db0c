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

        yield return ("conv2d valid", () => nn.Conv2d(2, 3, 3, Padding.Valid, 2), [2, 2, 7, 8]);
        yield return ("conv3d same", () => nn.Conv3d(2, 2, 3, Padding.Same, dtype: ScalarType.Float64), [2, 2, 5, 5, 5]);
    }
}
