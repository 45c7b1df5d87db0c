using BayesNet.Estimators;
using BayesNet.Layers.Conversion;
using BayesNet.Priors;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Conversion;

/// <summary>Normalisation layers get a Bayesian scale and shift on request, and lose them again.</summary>
public sealed class NormalizationConversionTests
{
    public static readonly TheoryData<string> Kinds =
    [
        "layer", "layer without shift", "group", "batch 1d", "batch 2d, float64", "batch 3d, no statistics", "batch 1d, cumulative", "instance 1d", "instance 2d, statistics", "instance 3d",
    ];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void ThereAndBack(string kind)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        random.manual_seed(2);
        (nn.Module<Tensor, Tensor> layer, Tensor x) = Create(kind);
        foreach (Parameter parameter in layer.parameters())
            parameter.normal_(0.5, 1);

        // Running statistics of their own.
        layer.call(x.mul(3));
        Assert.Same(layer, layer.ToBayesian(null, out ConversionReport report));
        Assert.Equal("normalisations are, unless ConversionOptions.Normalizations is true", Assert.Single(report.Kept).Reason);
        var options = new ConversionOptions { Normalizations = true };
        var twin = Assert.IsType<BayesNormalization>(layer.ToBayesian(options));
        var back = twin.ToDeterministic(copy: true);
        Assert.Equal(layer.GetType(), back.GetType());
        Assert.Equal(layer.state_dict().Keys, back.state_dict().Keys);
        Assert.Equal(layer.state_dict().Values.Select(value => value.dtype), back.state_dict().Values.Select(value => value.dtype));
        foreach (bool training in new[] { false, true, false })
        {
            foreach (nn.Module module in new nn.Module[] { layer, twin, back })
                module.train(training);
            Tensor expected = layer.call(x);
            Assert.True(back.call(x).allclose(expected));
            using (twin.WithEstimator(Estimator.MeanOnly))
                Assert.True(twin.call(x).allclose(expected, 1e-4, 1e-5));
        }
    }

    [Fact]
    public void MopedPutsThePriorAtTheTrainedScaleAndOthersAreMovedToOne()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        BatchNorm2d layer = nn.BatchNorm2d(3);
        layer.weight!.copy_(tensor(new[] { 0.5f, 2, 3 }));
        var moped = (BayesNormalization)layer.ToBayesian(new ConversionOptions { Normalizations = true, Options = BayesOptions.Moped() });
        Assert.True(((GaussianPrior)moped.WeightPrior).Mean!.equal(layer.weight).all().item<bool>());
        var plain = (BayesNormalization)layer.ToBayesian(new ConversionOptions { Normalizations = true });
        Assert.Equal(1, ((GaussianPrior)plain.WeightPrior).ScalarMean);
        Assert.True(plain.WeightPosterior.Mean.equal(layer.weight).all().item<bool>());
    }

    [Fact]
    public void OneWithoutScaleIsKeptAndAModelKeepsItsOrder()
    {
        using var scope = NewDisposeScope();
        using var model = new SmallCnn();
        var options = new ConversionOptions { Normalizations = true, Layers = LayerSelection.OfType<BatchNorm2d>() };
        model.ToBayesian(options, out ConversionReport report);
        Assert.Equal("_features.norm", Assert.Single(report.Converted).Name);
        Assert.IsType<BatchNorm2d>(Assert.IsType<BayesNormalization>(model.BayesianModules().Single().Module).Normalization);
        model.call(randn(2, 1, 8, 8)).sum().backward();
        nn.InstanceNorm2d(3).ToBayesian(options with { Layers = LayerSelection.All }, out report);
        Assert.Equal("it has no scale and shift", Assert.Single(report.Kept).Reason);
    }

    private static (nn.Module<Tensor, Tensor> Layer, Tensor Input) Create(string kind)
    {
        BatchNorm1d cumulative = nn.BatchNorm1d(4);
        cumulative.momentum = null;
        return kind switch
        {
            "layer" => (nn.LayerNorm([4, 3], 1e-4), randn(5, 4, 3)),
            "layer without shift" => (nn.LayerNorm(4, bias: false), randn(5, 4)),
            "group" => (nn.GroupNorm(2, 4, 1e-3), randn(5, 4, 3, 2)),
            "batch 1d" => (nn.BatchNorm1d(4, 1e-3, 0.3), randn(6, 4)),
            "batch 2d, float64" => (nn.BatchNorm2d(4, dtype: ScalarType.Float64), randn([6, 4, 3, 3], dtype: ScalarType.Float64)),
            "batch 3d, no statistics" => (nn.BatchNorm3d(4, track_running_stats: false), randn([3, 4, 2, 2, 2])),
            "batch 1d, cumulative" => (cumulative, randn(6, 4, 3)),
            "instance 1d" => (nn.InstanceNorm1d(4, affine: true), randn(3, 4, 5)),
            "instance 2d, statistics" => (nn.InstanceNorm2d(4, affine: true, track_running_stats: true), randn(3, 4, 5, 5)),
            _ => (nn.InstanceNorm3d(4, affine: true), randn([3, 4, 3, 3, 3])),
        };
    }
}
