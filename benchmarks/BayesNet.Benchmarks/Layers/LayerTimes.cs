using BayesNet.Benchmarks.Reporting;
using BayesNet.Estimators;
using BayesNet.Layers;
using BayesNet.Layers.Conversion;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Layers;

/// <summary>One layer of each kind, converted, beside what it was converted from.</summary>
internal static class LayerTimes
{
    private sealed record Row(string Layer, string Estimator, double StepMs, double StepRatio, double PassMs, double PassRatio);

    private sealed record Case(string Name, Func<nn.Module> Create, Func<nn.Module, Tensor> Forward, Estimator[] Estimators);

    public static void Write(ReportDocument document, ReportOptions options)
    {
        var rows = new List<Row>();
        using var scope = NewDisposeScope();
        foreach (Case one in Cases())
        {
            string[] names = ["TorchSharp's layer", .. one.Estimators.Select(estimator => $"{estimator}")];
            LayerContestant[] contestants =
            [
                new(one.Create(), one.Forward),
                .. one.Estimators.Select(estimator => new LayerContestant(
                    one.Create().ToBayesian(new ConversionOptions { Options = new BayesOptions { Estimator = estimator, Seed = options.Seed } }), one.Forward)),
            ];
            double[] ms = LayersReport.Milliseconds(options, [.. contestants.SelectMany(contestant => new Action[] { contestant.Step, contestant.Pass })]);
            for (int i = 0; i < contestants.Length; i++)
            {
                rows.Add(new Row(one.Name, names[i], ms[2 * i], ms[2 * i] / ms[0], ms[2 * i + 1], ms[2 * i + 1] / ms[1]));
                contestants[i].Dispose();
            }
        }

        document.Section("One layer");
        document.Paragraph(
            "A layer by itself, converted by ToBayesian, float32, one thread. Step: forward, mean squared error, backward, the KL divergence and its gradient as the trainer adds them, and BayesNet's Adam for both. Pass: forward "
            + "without gradients, with noise. Medians of runs taken in turns after warming up; ratios to TorchSharp's layer.");
        document.Table("layers", rows,
            ("layer", row => row.Layer),
            ("estimator", row => row.Estimator),
            ("step, ms", row => LayersReport.Text(row.StepMs)),
            ("ratio", row => LayersReport.Ratio(row.StepRatio)),
            ("pass, ms", row => LayersReport.Text(row.PassMs)),
            ("ratio", row => LayersReport.Ratio(row.PassRatio)),
            ("GPU", _ => "not measured"));
    }

    private static IEnumerable<Case> Cases()
    {
        Tensor words = randint(0, 5000, [32, 20], dtype: ScalarType.Int64);
        Tensor left = randn(128, 64), right = randn(128, 64), sequence = randn(20, 32, 64);
        Estimator local = Estimator.LocalReparameterization, shared = Estimator.SharedWeights, flipout = Estimator.Flipout;
        yield return new("embedding 5000 x 64, 32 x 20 words", () => nn.Embedding(5000, 64), layer => ((nn.Module<Tensor, Tensor>)layer).call(words), [local, shared]);
        yield return new(
            "bag of sums 5000 x 64, 32 x 20 words", () => nn.EmbeddingBag(5000, 64, mode: EmbeddingBagMode.Sum),
            layer => layer is BayesEmbeddingBag bag ? bag.call(words) : ((EmbeddingBag)layer).call(words), [local, shared]);
        yield return new("bilinear 64, 64 to 64, batch 128", () => nn.Bilinear(64, 64, 64), layer => ((nn.Module<Tensor, Tensor, Tensor>)layer).call(left, right), [local, shared, flipout]);
        yield return new(
            "LSTM 64 to 128, 20 steps, batch 32", () => nn.LSTM(64, 128),
            layer => ((nn.Module<Tensor, (Tensor, Tensor)?, (Tensor, Tensor, Tensor)>)layer).call(sequence, null).Item1, [shared, local, flipout]);
        yield return new(
            "GRU 64 to 128, 20 steps, batch 32", () => nn.GRU(64, 128), layer => ((nn.Module<Tensor, Tensor?, (Tensor, Tensor)>)layer).call(sequence, null).Item1, [shared]);
        yield return new(
            "attention 64, 4 heads, 20 positions, batch 32", () => nn.MultiheadAttention(64, 4),
            layer => ((nn.Module<Tensor, Tensor, Tensor, Tensor?, bool, Tensor?, Tuple<Tensor, Tensor?>>)layer).call(sequence, sequence, sequence, null, false, null).Item1,
            [local, shared, flipout]);
        yield return new(
            "encoder layer 64, 4 heads, 128 hidden, 20 positions, batch 32", () => nn.TransformerEncoderLayer(64, 4, 128),
            layer => ((nn.Module<Tensor, Tensor>)layer).call(sequence), [local, shared, flipout]);
    }
}
