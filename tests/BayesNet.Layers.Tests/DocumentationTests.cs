using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Priors;
using BayesNet.TestKit;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests;

/// <summary>The table of docs/layers.md is what the code does, and its examples run.</summary>
public sealed class DocumentationTests
{
    private static readonly Dictionary<string, Func<nn.Module[]>> Layers = new()
    {
        ["`Linear`"] = () => [bnn.Linear(3, 2)],
        ["`Linear` over positions"] = () => [bnn.Linear(3, 2)],
        ["`Conv1d/2d/3d`"] = () => [bnn.Conv1d(2, 3, 2), bnn.Conv2d(2, 3, 2), bnn.Conv3d(2, 3, 2)],
        ["`ConvTranspose1d/2d/3d`"] = () => [bnn.ConvTranspose1d(2, 3, 2), bnn.ConvTranspose2d(2, 3, 2), bnn.ConvTranspose3d(2, 3, 2)],
        ["`Embedding`"] = () => [bnn.Embedding(4, 2)],
        ["`EmbeddingBag`, sum or mean"] = () => [bnn.EmbeddingBag(4, 2), bnn.EmbeddingBag(4, 2, mode: EmbeddingBagMode.Sum)],
        ["`Bilinear`"] = () => [bnn.Bilinear(3, 2, 2)],
        ["`LayerNorm`, `BatchNorm1d/2d/3d`, `GroupNorm`, `InstanceNorm1d/2d/3d`"] = () => [bnn.LayerNorm(4), bnn.BatchNorm2d(4), bnn.GroupNorm(2, 4), bnn.InstanceNorm1d(4)],
        ["`Rank1Linear`, `Rank1Conv1d/2d/3d`"] = () => [bnn.Rank1Linear(3, 2), bnn.Rank1Conv1d(2, 3, 2), bnn.Rank1Conv2d(2, 3, 2, components: 2), bnn.Rank1Conv3d(2, 3, 2)],
    };

    [Fact]
    public void TheEstimatorsThatALayerTakesAreTheDocumentedOnes()
    {
        using var scope = NewDisposeScope();
        string[][] table = [.. File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "docs", "layers.md"))
            .Where(line => line.StartsWith("| ", StringComparison.Ordinal))
            .Select(line => line.Trim('|', ' ').Split(" | ").Select(cell => cell.Trim()).ToArray())];
        string[] estimators = table[0];
        foreach ((string name, Func<nn.Module[]> create) in Layers)
        {
            string[] row = table.Single(cells => cells[0] == name);
            foreach (nn.Module layer in create())
            {
                for (int column = 3; column < 7; column++)
                {
                    string? reason = ((IBayesianModule)layer).WhyNot(EstimatorCase.Named(estimators[column]).Estimator);
                    Assert.True(row[column] == "refused" == reason is not null, $"{name}, {estimators[column]}: the table says {row[column]}, the layer {reason}.");
                }

                Assert.Null(((IBayesianModule)layer).WhyNot(Estimator.MeanOnly));
                layer.Dispose();
            }
        }
    }

    [Fact]
    public void TheExamplesRun()
    {
        using var scope = NewDisposeScope();
        var model = nn.Sequential(
            ("words", bnn.Embedding(5000, 32, padding_idx: 0)),
            ("norm", bnn.LayerNorm(32)),
            ("flat", nn.Flatten()),
            ("hidden", bnn.Rank1Linear(640, 64, components: 4)),
            ("relu", nn.ReLU()),
            ("out", bnn.Linear(64, 2)));
        Assert.Equal([3, 2], model.call(randint(5000, [3, 20], ScalarType.Int64)).shape);
        model.Dispose();

        var decoder = nn.Sequential(
            ("up", bnn.ConvTranspose2d(16, 8, 3, stride: 2, padding: 1, output_padding: 1)),
            ("relu", nn.ReLU()),
            ("out", bnn.ConvTranspose2d(8, 1, 3, padding: 1)));
        Assert.Equal([2, 1, 28, 28], decoder.call(randn(2, 16, 14, 14)).shape);
        decoder.Dispose();

        using var words = nn.Embedding(5000, 32, padding_idx: 0);
        using var layer = new BayesEmbedding(words.weight!, paddingIndex: 0);
        using var bag = bnn.EmbeddingBag(5000, 32, mode: EmbeddingBagMode.Sum);
        Assert.Equal([2, 32], bag.call(randint(5000, [2, 7], ScalarType.Int64)).shape);
        Assert.True(layer.WithPadding(layer.WeightPosterior.Mean).eq(words.weight!).all().item<bool>());

        using var factors = bnn.Rank1Linear(640, 64, components: 4, options: new BayesOptions { Prior = GaussianPrior.WithStdDev(0.5) });
        using var up = new BayesRank1(new TransposedConvolutionMap(16, 8, [3, 3], stride: [2, 2]));
        Assert.Equal([2, 8, 29, 29], up.call(randn(2, 16, 14, 14)).shape);
    }
}
