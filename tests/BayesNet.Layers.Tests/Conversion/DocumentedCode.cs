using BayesNet.Diagnostics;
using BayesNet.Layers.Conversion;
using BayesNet.Persistence;
using BayesNet.Pruning;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Conversion;

/// <summary>The code of docs/conversion.md, line by line, as a program that runs.</summary>
public sealed class DocumentedCode
{
    [Fact]
    public void EveryLineOfThePageIsHere()
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "docs");
        HashSet<string> code = [.. File.ReadAllLines(Path.Combine(folder, "DocumentedCode.cs")).Select(line => line.Trim())];
        bool inCode = false;
        var lines = new List<string>();
        foreach (string line in File.ReadAllLines(Path.Combine(folder, "conversion.md")))
        {
            if (line.StartsWith("```", StringComparison.Ordinal))
                inCode = line == "```csharp";
            else if (inCode && line.Length > 0)
                lines.Add(line.Trim());
        }

        Assert.NotEmpty(lines);
        Assert.All(lines, line => Assert.Contains(line, code));
    }

    [Fact]
    public void ItRuns()
    {
        string folder = Directory.CreateTempSubdirectory("bayesnet-tests-").FullName;
        try
        {
            Run(Path.Combine(folder, "model"), Path.Combine(folder, "trained"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static nn.Module<Tensor, Tensor> Network() => nn.Sequential(("module", nn.Sequential(("fc", nn.Linear(3, 4)), ("relu", nn.ReLU()), ("out", nn.Linear(4, 2)))));

    private static void Run(string path, string trained)
    {
        using var scope = NewDisposeScope();
        nn.Module<Tensor, Tensor> model = Network();
        nn.Module<Tensor, Tensor> bayesian = model.ToBayesian();
        model = Network();
        model.ToBayesian(new ConversionOptions { Layers = LayerSelection.LastLayer }, out ConversionReport report);
        Console.WriteLine(report);
        model = Network();
        model.ToBayesian(new ConversionOptions { Options = BayesOptions.Moped(delta: 0.1) });
        nn.Module<Tensor, Tensor> mean = bayesian.ToDeterministic(copy: true);
        nn.Module<Tensor, Tensor> draw = bayesian.ToDeterministic(DeterministicWeights.Sample, seed: 1, copy: true);
        Assert.False(mean.parameters().First().eq(draw.parameters().First()).all().item<bool>());
        model.SaveSafeTensors(path);
        model.LoadSafeTensors(path);
        mean.SaveSafeTensors(trained);
        model = nn.Sequential(("fc", bnn.Linear(3, 4)), ("relu", nn.ReLU()), ("out", bnn.Linear(4, 2)));
        model.LoadSafeTensors(trained, new ModelLoading { MopedDelta = 0.1, Rename = name => name.Replace("module.", "") });
        Console.WriteLine(model.Summary());
        SparsityReport sparsity = model.Prune(PruningRule.LogAlphaAbove(3));
        Console.WriteLine(sparsity);
    }

    /// <summary>The page writes to the console; a test does not.</summary>
    private static class Console
    {
        public static void WriteLine(object value) => Assert.NotEmpty($"{value}");
    }
}
