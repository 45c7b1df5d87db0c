using BayesNet.Estimators;
using BayesNet.TestKit;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests;

/// <summary>The table of docs/layers.md is what the code does.</summary>
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
        ["`LSTM`, `GRU`, `RNN`"] = () => [bnn.LSTM(3, 2), bnn.GRU(3, 2), bnn.RNN(3, 2)],
        ["`MultiheadAttention`"] = () => [bnn.MultiheadAttention(4, 2)],
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
                    string? reason = WhyNot(layer, EstimatorCase.Named(estimators[column]).Estimator);
                    Assert.True(row[column] == "refused" == reason is not null, $"{name}, {estimators[column]}: the table says {row[column]}, the layer {reason}.");
                }

                Assert.Null(WhyNot(layer, Estimator.MeanOnly));
                layer.Dispose();
            }
        }
    }

    // Of the layer, or of those that it is made of.
    private static string? WhyNot(nn.Module layer, Estimator estimator)
        => layer.BayesianModules().Select(entry => entry.Module.WhyNot(estimator)).FirstOrDefault(reason => reason is not null);
}
