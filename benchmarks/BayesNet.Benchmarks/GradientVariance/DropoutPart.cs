using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Likelihoods;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.GradientVariance;

/// <summary>The experiment of Kingma, Salimans and Welling 2015, Table 1.</summary>
internal sealed class DropoutPart : VariancePart
{
    private const string Sampled = "minibatches drawn", Fixed = "minibatch fixed", Top = "top layer", Bottom = "bottom layer";

    // Table 1: local, per example, shared, none; top and bottom layer after 10 and 100 epochs.
    private static readonly Dictionary<(string Contender, string Layer), (double Ten, double Hundred)> Table = new()
    {
        [(Contender.Local.Name, Top)] = (7.8e3, 1.2e3),
        [(Contender.PerExample.Name, Top)] = (1.4e4, 2.6e3),
        [(Contender.Shared.Name, Top)] = (4.9e4, 4.3e3),
        [(Contender.MeanOnly.Name, Top)] = (2.8e3, 5.9e1),
        [(Contender.Local.Name, Bottom)] = (1.9e2, 1.1e2),
        [(Contender.PerExample.Name, Bottom)] = (4.3e2, 2.5e2),
        [(Contender.Shared.Name, Bottom)] = (8.5e2, 3.3e2),
        [(Contender.MeanOnly.Name, Bottom)] = (1.3e2, 9.0),
    };

    private static readonly Contender[] Contenders =
        [Contender.Local, Contender.PerExample, Contender.Shared, Contender.MeanOnly, Contender.Flipout, Contender.Local.Pair, Contender.Shared.Pair];

    private sealed record Plan(long[] Sizes, int Rows, int Batch, int[] Epochs, int Draws, int PerExampleDraws)
    {
        public static Plan Of(bool isShort) => isShort
            ? new([784, 128, 128, 128, 10], 1000, 200, [2, 6], 10, 6)
            : new([784, 1024, 1024, 1024, 10], 8000, 1000, [10, 100], 40, 12);
    }

    public override string Name => "dropout";

    public override void Measure(VarianceRows rows, VarianceContext context)
    {
        if (WhyNot(context) is { } reason)
        {
            Console.Error.WriteLine($"{Name}: left out: {reason}.");
            return;
        }

        Plan plan = Plan.Of(rows.Settings.Short);
        using var scope = NewDisposeScope();
        Digits data = rows.Settings.Short ? Digits.Made(plan.Rows, plan.Sizes[0], rows.Settings.Seed) : Digits.Load(context.Data!, plan.Rows);
        DirectoryInfo folder = new(Path.Combine(context.Output.FullName, "training"));
        if (rows.Settings.Short && folder.Exists)
            folder.Delete(recursive: true);
        foreach (int epoch in plan.Epochs)
        {
            // The first milestone is measured before the second is trained for.
            DropoutNetwork.Train(folder, plan.Sizes, data, rows.Settings.Seed, [.. plan.Epochs.Where(other => other <= epoch)]);
            using Sequential model = DropoutNetwork.Load(DropoutNetwork.Milestone(folder, epoch), plan.Sizes);
            using var likelihood = new CategoricalLikelihood();
            using var gradients = new NetworkGradients(model, likelihood);
            rows.Measure(Name, Case(epoch, "training"), Contender.MeanOnly.Name, () =>
                [Row(rows, "error", null, DropoutNetwork.Error(model, data), plan.Rows) with { Quantity = "error" }]);
            foreach (string condition in new[] { Sampled, Fixed })
            {
                foreach (Contender contender in Contenders.Where(one => condition == Sampled || one != Contender.MeanOnly))
                    rows.Measure(Name, Case(epoch, condition), contender.Name, () => Variances(rows, plan, data, model, gradients, contender, epoch, condition));
            }
        }
    }

    public override void Write(ReportDocument document, VarianceRows rows, VarianceContext context)
    {
        Plan plan = Plan.Of(rows.Settings.Short);
        document.Section("The experiment of Kingma, Salimans and Welling 2015, Table 1");
        VarianceRow[] own = [.. rows.Of(Name)];
        if (own.Length == 0)
        {
            document.Paragraph($"Left out: {WhyNot(context) ?? "not among the parts that were asked for"}.");
            return;
        }

        _ = plan;
    }

    private static string Case(int epoch, string condition) => string.Create(CultureInfo.InvariantCulture, $"{epoch} epochs, {condition}");

    private static string? WhyNot(VarianceContext context) => context.IsShort ? null : Digits.WhyNot(context.Data);

    private static IEnumerable<VarianceRow> Variances(
        VarianceRows rows, Plan plan, Digits data, Sequential model, NetworkGradients gradients, Contender contender, int epoch, string condition)
    {
        using var scope = NewDisposeScope();
        int count = contender == Contender.PerExample ? plan.PerExampleDraws : plan.Draws;
        using var generator = new Generator(rows.Settings.Seed * 1000 + (ulong)epoch, CPU);
        var draws = new List<Tensor>[] { [], [] };
        for (int k = 0; k < count; k++)
        {
            using var draw = NewDisposeScope();
            (Tensor, Tensor) batch = condition == Fixed
                ? data.First(plan.Batch)
                : data.Rows(randint(0, plan.Rows, [plan.Batch], dtype: ScalarType.Int64, generator: generator));
            Tensor[] found = gradients.Draw(contender, batch, rows.Settings.Seed * 100_000 + (ulong)(epoch * 1000 + k), () => DropoutNetwork.Gradients(model));
            for (int layer = 0; layer < 2; layer++)
                draws[layer].Add(found[layer].MoveToOuterDisposeScope());
        }

        double scale = (double)plan.Rows * plan.Rows;
        for (int layer = 0; layer < 2; layer++)
        {
            string name = layer == 0 ? Top : Bottom;
            (double variance, double error) = NetworkGradients.VarianceOf(draws[layer]);
            double? published = condition == Sampled && !rows.Settings.Short && Table.TryGetValue((contender.Name, name), out (double Ten, double Hundred) value)
                ? epoch == plan.Epochs[0] ? value.Ten : value.Hundred
                : null;
            yield return Row(rows, name, null, scale * variance, count) with { StandardError = scale * error, Published = published };
        }
    }
}
