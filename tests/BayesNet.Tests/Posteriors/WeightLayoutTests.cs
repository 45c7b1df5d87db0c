using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.TestKit;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Posteriors;

/// <summary>
/// A structured posterior of a weight with inputs first, (in, out / groups, kernel), is that of the same weight with outputs first: same
/// draws, same densities, same variances of outputs.
/// </summary>
public sealed class WeightLayoutTests
{
    private const int Draws = 4000;

    private static readonly Dictionary<string, PosteriorSpecification> Specifications = new()
    {
        ["full covariance per output"] = new FullCovarianceGaussianSpecification { InitialStdDev = 0.4 },
        ["low rank per output"] = new LowRankGaussianSpecification { InitialStdDev = 0.5, Rank = 2 },
        ["matrix normal"] = new MatrixNormalSpecification { InitialStdDev = 0.4 },
        ["variational dropout per output"] = new VariationalDropoutSpecification { InitialAlpha = 0.3, Sharing = ParameterSharing.PerOutput },
        ["variational dropout per input"] = new VariationalDropoutSpecification { InitialAlpha = 0.3, Sharing = ParameterSharing.PerInput },
        ["concrete dropout per input"] = new ConcreteDropoutSpecification { InitialRate = 0.2, RatePerInput = true, Temperature = 0.6 },
        ["gates per output"] = new SpikeAndSlabSpecification { InitialStdDev = 0.3, InitialInclusion = 0.7, Sharing = ParameterSharing.PerOutput },
        ["gates per input"] = new SpikeAndSlabSpecification { InitialStdDev = 0.3, InitialInclusion = 0.7, Sharing = ParameterSharing.PerInput },
    };

    public static IEnumerable<TheoryDataRow<string, long>> Cases()
        => from name in Specifications.Keys
           from groups in new long[] { 1, 2 }
           where groups == 1 || name is "full covariance per output" or "low rank per output" or "matrix normal"
           select new TheoryDataRow<string, long>(name, groups);

    [Theory]
    [MemberData(nameof(Cases))]
    public void TheLawIsThatOfOutputsFirst(string name, long groups)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        manual_seed(5);
        var map = new TransposedConvolutionMap(4, 2, [2], stride: [2], groups: groups);
        long[] shape = map.WeightShape.ToArray();
        using Posterior posterior = Specifications[name].Create(randn(shape, ScalarType.Float64), map.Layout);
        using Posterior twin = Specifications[name].Create(OutputsFirst(posterior.Mean.detach()));
        foreach (Parameter parameter in posterior.parameters())
            parameter.add_(randn_like(parameter) * 0.2);
        Dictionary<string, Parameter> own = posterior.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        foreach ((string parameter, Parameter value) in twin.named_parameters())
        {
            bool asWeight = parameter != "factor" && value.dim() == 3;
            value.copy_(asWeight ? OutputsFirst(own[parameter]) : own[parameter]);
        }

        posterior.eval();
        twin.eval();
        AssertClose(twin.Variance, OutputsFirst(posterior.Variance));
        PosteriorCase known = PosteriorCase.Named(name);
        if (known.HasDensity)
        {
            AssertClose(twin.Entropy(), posterior.Entropy());
            Tensor weight = randn(shape, ScalarType.Float64);
            AssertClose(twin.LogDensity(OutputsFirst(weight)), posterior.LogDensity(weight));
        }

        using var noise = new NoiseSource(3);
        Tensor draws = map.Layout.ToOutputsFirst(posterior.Sample(noise, Draws), shape).flatten(1);
        Tensor covariance = known.Covariance(twin);
        SampleMoments.AssertMeanAndCovariance(draws, twin.Mean.flatten(), covariance);

        Tensor input = randn([2, 4, 3], ScalarType.Float64);
        if (posterior is not ILocallyReparameterizable local || local.WhyNotLocally(map) is not null)
            return;
        Tensor jacobian = MapCase.Jacobian(map, input);
        Tensor ordered = map.Layout.ToOutputsFirst(jacobian, shape).flatten(1);
        AssertClose((ordered.mm(covariance) * ordered).sum([1]), local.OutputVariance(map, input, null).flatten());

        Tensor OutputsFirst(Tensor value) => map.Layout.ToOutputsFirst(value, value.shape).squeeze(0);
    }

    [Fact]
    public void LayoutsAreInversesOfEachOther()
    {
        using var scope = NewDisposeScope();
        WeightLayout layout = WeightLayout.InputsFirst(2);
        Tensor weights = randn(3, 4, 5, 2);
        Tensor ordered = layout.ToOutputsFirst(weights, [4, 5, 2]);
        Assert.Equal([3, 10, 2, 2], ordered.shape);
        Assert.True(layout.FromOutputsFirst(ordered).eq(weights).all().item<bool>());
        Assert.Equal([10, 2, 2], layout.ShapeOf([4, 5, 2]));

        // Output 7 is the third of the second group; its second input is the fourth.
        Assert.Equal(weights[1, 3, 2, 1].item<float>(), ordered[1, 7, 1, 1].item<float>());
        Assert.Throws<ArgumentOutOfRangeException>("groups", () => WeightLayout.InputsFirst(0));
    }

    [Fact]
    public void WhatHasNoShapeIsRefused()
    {
        using var scope = NewDisposeScope();
        WeightLayout layout = WeightLayout.InputsFirst(2);
        var perOutput = new VariationalDropoutSpecification { Sharing = ParameterSharing.PerOutput };
        Assert.Contains("PerInput", Assert.Throws<ArgumentException>("sharing", () => perOutput.Create(randn(4, 1, 2), layout)).Message, StringComparison.Ordinal);

        var grouped = new TransposedConvolutionMap(4, 2, [2], groups: 2);
        using var matrix = new MatrixNormal(randn(grouped.WeightShape.ToArray()), 0.1, grouped.Layout);
        Assert.Contains("groups", matrix.WhyNotLocally(grouped)!, StringComparison.Ordinal);
    }

    /// <summary>What structured posteriors can't do on maps whose outputs do not each read a row.</summary>
    [Fact]
    public void RowsThatAreNoOutputsAreRefusedLocally()
    {
        using var scope = NewDisposeScope();
        foreach (AffineMap map in new AffineMap[] { new EmbeddingMap(4, 3), new EmbeddingBagMap(4, 3), ScaleMap.OverEntries(4, 3) })
        {
            using var full = new FullCovarianceGaussian(randn(4, 3), 0.1);
            string reason = Estimator.LocalReparameterization.WhyNot(map, full, null)!;
            Assert.Contains(full.GetName(), reason, StringComparison.Ordinal);
            Assert.Contains("Estimator.WeightsPerExample", reason, StringComparison.Ordinal);
            Assert.Null(Estimator.SharedWeights.WhyNot(map, full, null));
        }

        using var bilinear = new FullCovarianceGaussian(randn(2, 3, 2), 0.1);
        Assert.Null(Estimator.LocalReparameterization.WhyNot(new BilinearMap(3, 2, 2), bilinear, null));
    }

    private static void AssertClose(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.shape, actual.shape);
        double scale = Math.Max(1, expected.abs().max().item<double>());
        Assert.True((expected - actual).abs().max().item<double>() <= 1e-12 * scale);
    }
}
