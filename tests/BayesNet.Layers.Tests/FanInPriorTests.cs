using BayesNet.Layers.Conversion;
using BayesNet.Posteriors;
using BayesNet.Priors;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests;

/// <summary>Priors whose deviation follows the number of terms that an output adds up, and posteriors that start at a share of it.</summary>
public sealed class FanInPriorTests
{
    private const double Gain = 3, Share = 0.05;

    private static readonly BayesOptions Options = new()
    {
        Prior = GaussianPrior.ByFanIn(Gain),
        Posterior = new MeanFieldGaussianSpecification { InitialShareOfPrior = Share },
    };

    private static readonly Dictionary<string, (Func<nn.Module> Layer, double[] FanIns)> Layers = new()
    {
        ["linear"] = (() => bnn.Linear(16, 4, options: Options), [16, 1]),
        ["convolution"] = (() => bnn.Conv2d(6, 4, 3, groups: 2, options: Options), [3 * 9, 1]),
        ["transposed convolution"] = (() => bnn.ConvTranspose1d(6, 4, 5, groups: 2, options: Options), [3 * 5, 1]),
        ["bilinear"] = (() => bnn.Bilinear(3, 5, 2, options: Options), [15, 1]),
        ["embedding"] = (() => bnn.Embedding(10, 4, options: Options), [1]),
        ["layer norm"] = (() => bnn.LayerNorm([4, 5], options: Options), [1, 1]),
        ["recurrent"] = (() => bnn.LSTM(7, 3, options: Options), [7, 3, 1, 1]),
        ["attention"] = (() => bnn.MultiheadAttention(8, 2, options: Options), [8, 8, 8, 8, 1, 1, 1, 1]),
        ["rank 1"] = (() => bnn.Rank1Linear(5, 4, options: Options), [1]),
        ["a given weight"] = (() => new BayesLinear(ones(2, 9), ones(2), Options), [9, 1]),
        ["converted"] = (() => nn.Sequential(nn.Linear(16, 9), nn.Linear(9, 2)).ToBayesian(new ConversionOptions { Options = Options }), [16, 1, 9, 1]),
    };

    public static TheoryData<string> Names() => [.. Layers.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void EachWeightHasThePriorOfItsFanIn(string name)
    {
        (Func<nn.Module> create, double[] fanIns) = Layers[name];
        using nn.Module layer = create();
        (Posterior, Prior)[] terms = [.. layer.BayesianModules().SelectMany(entry => entry.Module.DivergenceTerms!)];
        Assert.Equal(fanIns.Select(fanIn => Gain / Math.Sqrt(fanIn)).Order(), terms.Select(term => ((GaussianPrior)term.Item2).ScalarStdDev).Order());
        foreach ((Posterior posterior, Prior prior) in terms)
        {
            using var scope = NewDisposeScope();
            double stdDev = Share * ((GaussianPrior)prior).ScalarStdDev;
            Assert.True(((MeanFieldGaussian)posterior).StdDev.div(stdDev).sub(1).abs().max().item<float>() < 1e-5);
        }
    }

    /// <summary>Under the prior, an output of any fan-in has the variance gain^2 for inputs of size one, and gain^2 more for the bias.</summary>
    [Fact]
    public void OutputsOfThePriorHaveOneVariance()
    {
        using var scope = NewDisposeScope();
        manual_seed(3);
        foreach (long inputs in new[] { 4L, 400 })
        {
            using BayesLinear layer = bnn.Linear(inputs, 20_000, options: Options);
            Tensor weight = layer.WeightPrior.Sample(layer.Noise, layer.WeightPosterior.Shape, ScalarType.Float64, CPU);
            double variance = weight.sum(dim: 1).var().item<double>();
            Assert.Equal(1, variance / (Gain * Gain), 5 * Math.Sqrt(2.0 / 20_000));
        }
    }

    [Fact]
    public void ShapesShiftsAndNamesAreWhatTheyShouldBe()
    {
        using var scope = NewDisposeScope();
        Assert.Equal("GaussianPrior(0, 0.25)", GaussianPrior.ByFanIn().Create(zeros(3, 4, 2, 2)).ToString());
        Assert.Equal("GaussianPrior(0, 2)", GaussianPrior.ByFanIn(2).Create(zeros(3)).ToString());
        Assert.Equal("GaussianPrior(1, 0.5)", GaussianPrior.ByFanIn().Shifted(1).Create(zeros(3), 4).ToString());
        Assert.Equal(GaussianPrior.ByFanIn(2), GaussianPrior.ByFanIn(2));
        var share = new MeanFieldGaussianSpecification { InitialShareOfPrior = 0.5 };
        using var perEntry = (MeanFieldGaussian)share.Create(zeros(2, 3), default, new GaussianPrior(zeros(3), tensor(new[] { 1f, 2, 4 })));
        Assert.True(allclose(perEntry.StdDev, tensor(new[] { 0.5f, 1, 2, 0.5f, 1, 2 }).view(2, 3)));
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        Assert.Throws<ArgumentOutOfRangeException>("gain", () => GaussianPrior.ByFanIn(0));
        Assert.Throws<ArgumentOutOfRangeException>("InitialShareOfPrior", () => new MeanFieldGaussianSpecification { InitialShareOfPrior = -1 });
        var error = Assert.Throws<NotSupportedException>(() => bnn.Linear(2, 2, options: Options with { Prior = LaplacePrior.WithScale(1) }));
        Assert.Contains("set InitialStdDev", error.Message, StringComparison.Ordinal);
        using Tensor mean = zeros(2);
        Assert.Throws<InvalidOperationException>(() => Options.Posterior.Create(mean));
    }
}
