using System.Reflection;
using BayesNet.Estimators;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests;

/// <summary>Every layer is its TorchSharp twin when the noise is off: same arguments, same shapes, same numbers.</summary>
public sealed class TwinTests
{
    /// <summary>A Bayesian layer, its twin, and inputs with and without a batch dimension.</summary>
    public sealed record Twin(string Name, Func<BayesianLayer> Bayesian, Func<nn.Module<Tensor, Tensor>> Plain, long[][] Inputs)
    {
        public override string ToString() => Name;
    }

    private static readonly Twin[] Twins =
    [
        new("Linear", () => bnn.Linear(5, 3), () => nn.Linear(5, 3), [[5], [4, 5], [4, 2, 5], [4, 2, 3, 5]]),
        new("Linear without bias", () => bnn.Linear(5, 3, false), () => nn.Linear(5, 3, false), [[5], [4, 5]]),
        new("Conv1d", () => bnn.Conv1d(2, 4, 3, 2, 1, 2), () => nn.Conv1d(2, 4, 3, 2, 1, 2), [[2, 9], [3, 2, 9]]),
        new("Conv1d grouped without bias", () => bnn.Conv1d(4, 6, 3, groups: 2, bias: false), () => nn.Conv1d(4, 6, 3, groups: 2, bias: false), [[4, 9], [3, 4, 9]]),
        new("Conv1d same", () => bnn.Conv1d(2, 4, 4, Padding.Same, dilation: 2), () => nn.Conv1d(2, 4, 4, Padding.Same, dilation: 2), [[3, 2, 9]]),
        new("Conv1d valid", () => bnn.Conv1d(2, 4, 4, Padding.Valid, stride: 2), () => nn.Conv1d(2, 4, 4, Padding.Valid, stride: 2), [[3, 2, 9]]),
        .. Modes("Conv1d", (mode) => bnn.Conv1d(2, 3, 3, padding: 1, padding_mode: mode), (mode) => nn.Conv1d(2, 3, 3, padding: 1, padding_mode: mode), [3, 2, 7]),
        .. Modes("Conv1d same", (mode) => bnn.Conv1d(2, 3, 4, Padding.Same, padding_mode: mode), (mode) => nn.Conv1d(2, 3, 4, Padding.Same, padding_mode: mode), [3, 2, 7]),
        new("Conv2d", () => bnn.Conv2d(2, 4, 3, 2, 1, 2), () => nn.Conv2d(2, 4, 3, 2, 1, 2), [[2, 9, 8], [3, 2, 9, 8]]),
        new("Conv2d sizes", () => bnn.Conv2d(2, 4, (3, 2), (1, 2), (2, 0), (1, 2)), () => nn.Conv2d(2, 4, (3, 2), (1, 2), (2, 0), (1, 2)), [[3, 2, 9, 8]]),
        new("Conv2d same", () => bnn.Conv2d(2, 4, 4, Padding.Same), () => nn.Conv2d(2, 4, 4, Padding.Same), [[3, 2, 6, 7]]),
        new("Conv2d same sizes", () => bnn.Conv2d(2, 4, (3, 4), Padding.Same, dilation: (2, 1)), () => nn.Conv2d(2, 4, (3, 4), Padding.Same, dilation: (2, 1)), [[3, 2, 6, 7]]),
        new("Conv2d depthwise", () => bnn.Conv2d(3, 6, 3, groups: 3), () => nn.Conv2d(3, 6, 3, groups: 3), [[2, 3, 6, 5]]),
        .. Modes("Conv2d", (mode) => bnn.Conv2d(2, 3, (3, 2), padding: (1, 1), padding_mode: mode), (mode) => nn.Conv2d(2, 3, (3, 2), padding: (1, 1), padding_mode: mode), [3, 2, 6, 5]),
        new("Conv3d", () => bnn.Conv3d(2, 4, 3, 2, 1), () => nn.Conv3d(2, 4, 3, 2, 1), [[2, 5, 6, 7], [3, 2, 5, 6, 7]]),
        new("Conv3d sizes", () => bnn.Conv3d(2, 4, (1, 2, 3), (1, 2, 1), (0, 1, 1)), () => nn.Conv3d(2, 4, (1, 2, 3), (1, 2, 1), (0, 1, 1)), [[3, 2, 4, 5, 6]]),
        new("Conv3d same", () => bnn.Conv3d(2, 4, 2, Padding.Same), () => nn.Conv3d(2, 4, 2, Padding.Same), [[3, 2, 3, 4, 5]]),
        new("Conv3d same sizes", () => bnn.Conv3d(2, 4, (1, 2, 3), Padding.Same), () => nn.Conv3d(2, 4, (1, 2, 3), Padding.Same), [[3, 2, 3, 4, 5]]),
        new("ConvTranspose1d", () => bnn.ConvTranspose1d(2, 4, 3, 2, 1, 1, 2), () => nn.ConvTranspose1d(2, 4, 3, 2, 1, 1, 2), [[2, 5], [3, 2, 5]]),
        new("ConvTranspose1d grouped without bias", () => bnn.ConvTranspose1d(4, 6, 3, groups: 2, bias: false), () => nn.ConvTranspose1d(4, 6, 3, groups: 2, bias: false), [[3, 4, 5]]),
        new("ConvTranspose2d", () => bnn.ConvTranspose2d(2, 4, 3, 3, 1, 2), () => nn.ConvTranspose2d(2, 4, 3, 3, 1, 2), [[2, 4, 3], [3, 2, 4, 3]]),
        new("ConvTranspose2d sizes", () => bnn.ConvTranspose2d(2, 4, (3, 2), (2, 1), (1, 0), (1, 1), (1, 2)), () => nn.ConvTranspose2d(2, 4, (3, 2), (2, 1), (1, 0), (1, 1), (1, 2)), [[3, 2, 4, 3]]),
        new("ConvTranspose3d", () => bnn.ConvTranspose3d(2, 4, 2, 2), () => nn.ConvTranspose3d(2, 4, 2, 2), [[2, 2, 3, 2], [3, 2, 2, 3, 2]]),
        new("ConvTranspose3d sizes", () => bnn.ConvTranspose3d(2, 4, (1, 2, 3), (2, 2, 2), (0, 1, 0), (1, 1, 1)), () => nn.ConvTranspose3d(2, 4, (1, 2, 3), (2, 2, 2), (0, 1, 0), (1, 1, 1)), [[3, 2, 2, 3, 2]]),
        .. Modes("Conv3d", (mode) => bnn.Conv3d(1, 2, 2, padding: 1, padding_mode: mode), (mode) => nn.Conv3d(1, 2, 2, padding: 1, padding_mode: mode), [2, 1, 3, 3, 4], PaddingModes.Reflect),
    ];

    public static IEnumerable<TheoryDataRow<string>> Names() => Twins.Select(twin => new TheoryDataRow<string>(twin.Name));

    private static IEnumerable<Twin> Modes(
        string name, Func<PaddingModes, BayesianLayer> bayesian, Func<PaddingModes, nn.Module<Tensor, Tensor>> plain, long[] input, PaddingModes? without = null)
        => new[] { PaddingModes.Zeros, PaddingModes.Reflect, PaddingModes.Replicate, PaddingModes.Circular }
            .Where(mode => mode != without)
            .Select(mode => new Twin($"{name}, {mode}", () => bayesian(mode), () => plain(mode), [input]));

    [Theory]
    [MemberData(nameof(Names))]
    public void TheMeanIsTheTwinsOutput(string name)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Twin twin = Twins.Single(candidate => candidate.Name == name);
        using BayesianLayer layer = twin.Bayesian();
        using nn.Module<Tensor, Tensor> plain = twin.Plain();
        Dictionary<string, Parameter> parameters = plain.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        layer.WeightPosterior.Mean.copy_(parameters["weight"]);
        layer.BiasPosterior?.Mean.copy_(parameters["bias"]);
        Assert.Equal(parameters.ContainsKey("bias"), layer.BiasPosterior is not null);

        foreach (long[] shape in twin.Inputs)
        {
            Tensor input = randn(shape);
            Tensor expected = plain.call(input);
            using (layer.WithEstimator(Estimator.MeanOnly))
            {
                Tensor output = layer.call(input);
                Assert.Equal(expected.shape, output.shape);
                Assert.True((output - expected).abs().max().item<float>() < 1e-5f);
            }

            foreach (Estimator estimator in new[] { Estimator.SharedWeights, Estimator.WeightsPerExample, Estimator.LocalReparameterization, Estimator.Flipout })
            {
                using (layer.WithEstimator(estimator))
                    Assert.Equal(expected.shape, layer.call(input).shape);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void InitialMeansAreDrawnAsTheTwinsWeights(string name)
    {
        using var scope = NewDisposeScope();
        Twin twin = Twins.Single(candidate => candidate.Name == name);
        double bound = 1 / Math.Sqrt(twin.Bayesian().Map.FanIn);
        double largest = 0, plainLargest = 0;
        for (int i = 0; i < 20; i++)
        {
            using BayesianLayer layer = twin.Bayesian();
            using nn.Module<Tensor, Tensor> plain = twin.Plain();
            largest = Math.Max(largest, layer.WeightPosterior.Mean.abs().max().item<float>());
            plainLargest = Math.Max(plainLargest, plain.named_parameters().First().parameter.abs().max().item<float>());
            Assert.True(layer.WeightPosterior.Variance.sqrt().sub(0.01f).abs().max().item<float>() < 1e-6f);
        }

        // The largest of at least 200 uniform draws is within 10 % of the bound with probability 1 - 1e-9.
        Assert.InRange(largest / bound, 0.9, 1 + 1e-6);
        Assert.InRange(plainLargest / bound, 0.9, 1 + 1e-6);
    }

    /// <summary>For every overload of torch.nn's factories there is one of ours whose parameters are the same, in order, with the same defaults.</summary>
    [Theory]
    [InlineData("Linear")]
    [InlineData("Conv1d")]
    [InlineData("Conv2d")]
    [InlineData("Conv3d")]
    [InlineData("ConvTranspose1d")]
    [InlineData("ConvTranspose2d")]
    [InlineData("ConvTranspose3d")]
    [InlineData("Embedding")]
    [InlineData("Embedding_from_pretrained")]
    [InlineData("EmbeddingBag")]
    [InlineData("EmbeddingBag_from_pretrained")]
    [InlineData("Bilinear")]
    [InlineData("LayerNorm")]
    [InlineData("BatchNorm1d")]
    [InlineData("BatchNorm2d")]
    [InlineData("BatchNorm3d")]
    [InlineData("GroupNorm")]
    [InlineData("LSTM")]
    [InlineData("GRU")]
    [InlineData("RNN")]
    [InlineData("MultiheadAttention")]
    [InlineData("TransformerEncoderLayer")]
    [InlineData("TransformerDecoderLayer")]
    public void FactoriesTakeTheTwinsArguments(string factory)
    {
        static string[] Signature(MethodInfo method) => [.. method.GetParameters().Where(parameter => parameter.ParameterType != typeof(BayesOptions))
            .Select(parameter => $"{parameter.ParameterType} {parameter.Name} = {(parameter.HasDefaultValue ? parameter.DefaultValue ?? "null" : "required")}")];
        string[] ours = [.. typeof(bnn).GetMethods().Where(method => method.Name == factory).Select(method => string.Join(", ", Signature(method)))];
        string[] theirs = [.. typeof(nn).GetMethods().Where(method => method.Name == factory && !method.GetParameters().Any(parameter => parameter.ParameterType.IsByRef))
            .Select(method => string.Join(", ", Signature(method)))];
        Assert.NotEmpty(theirs);
        Assert.All(theirs, signature => Assert.Contains(signature, ours));
    }
}
