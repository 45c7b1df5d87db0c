using BayesNet.Benchmarks.Reporting;
using BayesNet.Layers;
using BayesNet.Layers.Conversion;
using BayesNet.Likelihoods;
using BayesNet.Pruning;
using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Layers;

/// <summary>LeNet-300-100 with weights pruned and with none, in the trainer and in a prediction.</summary>
internal static class PrunedTimes
{
    private const int Batch = 128;

    private sealed record Row(string Network, string Step, double StepMs, double StepRatio, double PassMs, double PassRatio);

    public static void Write(ReportDocument document, ReportOptions options)
    {
        using var scope = NewDisposeScope();
        Tensor x = randn(Batch, 784), y = randint(0, 10, [Batch], dtype: ScalarType.Int64);
        (string Name, bool Compile, double Share)[] networks = [("unpruned, compiled", true, 0), ("unpruned, autograd", false, 0), ("95 % pruned, autograd", true, 0.95)];
        nn.Module<Tensor, Tensor> plain = LeNet();
        using var adam = new FusedAdam(plain.parameters());
        var rows = new List<Row>();
        var actions = new List<Action>
        {
            () =>
            {
                using var step = NewDisposeScope();
                adam.zero_grad();
                nn.functional.cross_entropy(plain.call(x), y).backward();
                adam.step();
            },
            () => Pass(plain, x),
        };
        var owned = new List<IDisposable> { plain };
        foreach ((_, bool compile, double share) in networks)
        {
            nn.Module<Tensor, Tensor> model = LeNet().ToBayesian(new ConversionOptions { Options = new BayesOptions { Seed = options.Seed } });
            if (share > 0)
                model.Prune(PruningRule.LowestShare(share));
            var likelihood = new CategoricalLikelihood();
            var trainer = new VariationalTrainer(model, likelihood, 10_000, new TrainerOptions { Compile = compile });
            owned.AddRange([trainer, likelihood, model]);
            actions.Add(() => trainer.Step(x, y));
            actions.Add(() => Pass(model, x));
        }

        double[] ms = LayersReport.Milliseconds(options, [.. actions]);
        string[] names = ["TorchSharp's layers", .. networks.Select(network => network.Name)];
        for (int i = 0; i < names.Length; i++)
            rows.Add(new Row("LeNet-300-100", names[i], ms[2 * i], ms[2 * i] / ms[0], ms[2 * i + 1], ms[2 * i + 1] / ms[1]));
        foreach (IDisposable one in owned)
            one.Dispose();

        document.Section("Pruned layers");
        document.Paragraph(
            $"LeNet-300-100, batch {Batch}, float32, one thread, local reparameterization. Step: the trainer's, compiled where it can be; TorchSharp's layers with BayesNet's Adam. Pass: one forward "
            + "without gradients. Pruned weights are held as zeros of dense matrices: pruning makes a network small to store, not fast.");
        document.Table("pruned", rows,
            ("network", row => row.Step),
            ("step, ms", row => LayersReport.Text(row.StepMs)),
            ("ratio", row => LayersReport.Ratio(row.StepRatio)),
            ("pass, ms", row => LayersReport.Text(row.PassMs)),
            ("ratio", row => LayersReport.Ratio(row.PassRatio)),
            ("GPU", _ => "not measured"));
    }

    private static nn.Module<Tensor, Tensor> LeNet()
        => nn.Sequential(("fc1", nn.Linear(784, 300)), ("relu1", nn.ReLU()), ("fc2", nn.Linear(300, 100)), ("relu2", nn.ReLU()), ("fc3", nn.Linear(100, 10)));

    private static void Pass(nn.Module<Tensor, Tensor> model, Tensor x)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        model.call(x);
    }
}
