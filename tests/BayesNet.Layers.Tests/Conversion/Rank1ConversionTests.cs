using BayesNet.Estimators;
using BayesNet.Layers.Conversion;
using BayesNet.Maps;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Conversion;

/// <summary>A rank-1 layer becomes the layer around its weight W o r s'.</summary>
public sealed class Rank1ConversionTests
{
    private static readonly Dictionary<string, (Func<BayesRank1> Layer, long[] Input)> Cases = new()
    {
        ["linear"] = (() => bnn.Rank1Linear(5, 3), [4, 5]),
        ["linear without bias, components"] = (() => bnn.Rank1Linear(5, 3, hasBias: false, components: 3), [4, 5]),
        ["conv 1d"] = (() => bnn.Rank1Conv1d(4, 6, 3, groups: 2), [2, 4, 9]),
        ["conv 2d"] = (() => bnn.Rank1Conv2d(4, 6, 3, stride: 2, padding: 1, padding_mode: PaddingModes.Circular), [2, 4, 8, 8]),
        ["conv 3d"] = (() => bnn.Rank1Conv3d(2, 4, 2, dilation: 2, groups: 2), [2, 2, 5, 5, 5]),
        ["transposed"] = (() => new BayesRank1(new TransposedConvolutionMap(4, 6, [3, 3], stride: [2, 2], groups: 2), dtype: ScalarType.Float64), [2, 4, 5, 5]),
    };

    public static TheoryData<string> Names => [.. Cases.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void TheMeanIsThatOfMeanOnlyPasses(string name)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        random.manual_seed(4);
        (Func<BayesRank1> create, long[] shape) = Cases[name];
        using BayesRank1 layer = create();
        foreach (Tensor mean in layer.Factors.parameters().Take(1))
            mean.normal_(1, 0.5);
        Tensor x = randn(shape, dtype: layer.Weight.dtype);
        nn.Module<Tensor, Tensor> plain = layer.ToDeterministic(copy: true);
        using (layer.WithEstimator(Estimator.MeanOnly))
            Assert.True(plain.call(x).allclose(layer.call(x), 1e-4, 1e-5));
        Assert.Equal(layer.Bias is null ? ["weight"] : ["weight", "bias"], plain.state_dict().Keys.OrderDescending());

        // A draw is one of the factors: the same seed draws the same, another another.
        Tensor Drawn(ulong seed) => layer.ToDeterministic(DeterministicWeights.Sample, seed, copy: true).call(x);
        Assert.True(Drawn(1).equal(Drawn(1)).all().item<bool>());
        Assert.False(Drawn(1).allclose(Drawn(2)));
    }
}
