using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Likelihoods;
using ScottPlot;
using TorchSharp.Modules;
using static TorchSharp.torch;
using Color = ScottPlot.Color;
using Figure = BayesNet.Benchmarks.Reporting.Figure;

namespace BayesNet.Benchmarks.GradientVariance;

/// <summary>The experiment of Kingma, Salimans and Welling 2015, Table 1.</summary>
internal sealed class DropoutPart : VariancePart
{
    private const string Sampled = "minibatches drawn", Fixed = "minibatch fixed", Top = "top layer", Bottom = "bottom layer", Training = "training";

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

    /// <summary>The share of a figure from which on its standard error leaves it undecided.</summary>
    private const double Undecided = 0.3;
    private static readonly string[] Conditions = [Sampled, Fixed];

    private sealed record Plan(long[] Sizes, int Rows, int Batch, int[] Epochs, int Draws, int PerExampleDraws)
    {
        public static Plan Of(bool isShort) => isShort
            ? new([784, 128, 128, 128, 10], 1000, 200, [2, 6], 10, 6)
            : new([784, 1024, 1024, 1024, 10], 8000, 1000, [10, 100], 40, 12);
    }

    public override string Name => "dropout";

    public override int Threads(VarianceContext context) => context.IsShort ? 1 : get_num_threads();

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
        if (!context.Resume && folder.Exists)
            folder.Delete(recursive: true);
        foreach (int epoch in plan.Epochs.Where(epoch => !Conditions.All(condition => ContendersOf(condition).All(one => rows.Has(Name, Case(epoch, condition), one.Name)))))
        {
            // The first milestone is measured before the second is trained for.
            DropoutNetwork.Train(folder, plan.Sizes, data, rows.Settings.Seed, [.. plan.Epochs.Where(other => other <= epoch)]);
            using Sequential model = DropoutNetwork.Load(DropoutNetwork.Milestone(folder, epoch), plan.Sizes);
            using var likelihood = new CategoricalLikelihood();
            using var gradients = new NetworkGradients(model, likelihood);
            rows.Measure(Name, Case(epoch, Training), Contender.MeanOnly.Name, () =>
                [Row(rows, "error", null, DropoutNetwork.Error(model, data), plan.Rows) with { Quantity = "error" }]);
            foreach (string condition in Conditions)
            {
                foreach (Contender contender in ContendersOf(condition))
                    rows.Measure(Name, Case(epoch, condition), contender.Name, () => Variances(rows, plan, data, model, gradients, contender, epoch, condition));
            }
        }

        if (folder.Exists)
            folder.Delete(recursive: true);
    }

    public override void Write(ReportDocument document, VarianceRows rows, VarianceContext context)
    {
        Plan plan = Plan.Of(rows.Settings.Short);
        document.Section("The experiment of Kingma, Salimans and Welling 2015, Table 1");
        IReadOnlyList<VarianceRow> own = rows.Of(Name);
        if (own.Count == 0)
        {
            document.Paragraph($"Left out: {WhyNot(context) ?? "it was not among the parts that were asked for"}.");
            return;
        }

        string sizes = string.Join('-', plan.Sizes);
        string data = rows.Settings.Short
            ? $"{plan.Rows:N0} rows of made data in place of MNIST, and a small network, to see that it works: the figures say nothing of the paper's"
            : $"rows 0 to {plan.Rows - 1:N0} of the MNIST test images as the training set";
        document.Paragraph(string.Create(
            CultureInfo.InvariantCulture,
            $"{sizes} with ReLU; weights θ(1 + √α ε) (`VariationalDropout`), α held at what the dropout rates 0.2 for inputs and 0.5 for hidden units stand for, p/(1 - p); {data}. Trained by local reparameterization, Adam, learning rate 1e-3, minibatches of {DropoutNetwork.BatchSize}. Then, at the weights after {plan.Epochs[0]} and {plan.Epochs[^1]} epochs, gradients in θ of N times the mean negative log likelihood of a minibatch of {plan.Batch:N0}, N = {plan.Rows:N0}, under every estimator; the mean over a layer's weights of the variance over {plan.Draws} gradients ({plan.PerExampleDraws} for weights per example). Minibatches drawn: rows with replacement for every gradient, as the published figures include the sampling of data. Minibatch fixed: the first {plan.Batch:N0} rows, so that what varies is the noise alone. {Errors(own, plan)}"));
        if (!rows.Settings.Short)
        {
            document.Paragraph(
                "What differs from the paper: 8,000 training images in place of 60,000 (the variance with N = 60,000 in its place would be 56 times that of the table, ratios the same), so that an epoch is 40 steps where theirs, with minibatches of 1,000, has 60; α is held, not learned; weights have the paper's independent noise, biases none. Published figures are those of the paper's Table 1. An independent reproduction (gngdb/variational-dropout, minibatches of 200, N = 60,000) finds 2.0 (top) and 2.4 (bottom) at 10 epochs for weights per example over local reparameterization.");
        }

        foreach (string condition in Conditions)
        {
            bool published = condition == Sampled && !rows.Settings.Short;
            (int Epoch, string Layer)[] columns = [.. from layer in new[] { Top, Bottom } from epoch in plan.Epochs where Find(own, epoch, condition, Contender.Local.Name, layer) is not null select (epoch, layer)];
            document.Paragraph($"{condition[..1].ToUpperInvariant()}{condition[1..]}:");
            document.Table(
                $"dropout_{(condition == Sampled ? "minibatches_drawn" : "minibatch_fixed")}",
                [.. ContendersOf(condition).Select(contender => contender.Name)],
            [
                ("estimator", name => name == Contender.MeanOnly.Name ? "no noise (mean only)" : name),
                .. columns.SelectMany(column => new (string, Func<string, string>)[]
                {
                    ($"{column.Layer}, {column.Epoch} epochs", name => Find(own, column.Epoch, condition, name, column.Layer) is { } row ? WithError(row) : "not measured"),
                    ($"/ local{(published ? " (published)" : "")}", name => Ratio(own, column.Epoch, condition, name, column.Layer, published)),
                }),
            ]);
        }

        document.Figure(
            "dropout", Plot(own, plan),
            "Variance over that of local reparameterization, with bars of two standard errors, those figures aside that these leave undecided (below); open marks: the paper's.");
        document.Paragraph(Reliability(own, plan));
        document.Paragraph(Conclusion(own, plan));
    }

    private static VarianceRow? Find(IReadOnlyList<VarianceRow> rows, int epoch, string condition, string contender, string layer)
        => rows.FirstOrDefault(row => row.Case == Case(epoch, condition) && row.Estimator == contender && row.Gradient == layer);

    /// <summary>A row over that of local reparameterization, with its standard error.</summary>
    private static (double Value, double Error)? Quotient(IReadOnlyList<VarianceRow> rows, int epoch, string condition, string contender, string layer)
    {
        if (Find(rows, epoch, condition, contender, layer) is not { } over || Find(rows, epoch, condition, Contender.Local.Name, layer) is not { } under)
            return null;
        double relative = Math.Sqrt(Math.Pow(over.StandardError!.Value / over.Value, 2) + Math.Pow(under.StandardError!.Value / under.Value, 2));
        return (over.Value / under.Value, relative * over.Value / under.Value);
    }

    private static double? Published(string contender, string layer, bool last)
        => Table.TryGetValue((contender, layer), out (double Ten, double Hundred) over) && Table[(Contender.Local.Name, layer)] is var under
            ? last ? over.Hundred / under.Hundred : over.Ten / under.Ten
            : null;

    private static string Ratio(IReadOnlyList<VarianceRow> rows, int epoch, string condition, string contender, string layer, bool published)
    {
        if (contender == Contender.Local.Name || Quotient(rows, epoch, condition, contender, layer) is not { } quotient)
            return "1";
        bool last = epoch == Plan.Of(rows[0].Settings.Short).Epochs[^1];
        string paper = published && Published(contender, layer, last) is { } value ? string.Create(CultureInfo.InvariantCulture, $" ({value:G2})") : "";
        return string.Create(CultureInfo.InvariantCulture, $"{Number(quotient.Value, 3)} ± {Number(quotient.Error, 2)}{paper}");
    }

    private static string Errors(IReadOnlyList<VarianceRow> own, Plan plan)
        => string.Join(" ", plan.Epochs.Select(epoch => own.FirstOrDefault(row => row.Case == Case(epoch, Training)) is { } row
            ? string.Create(CultureInfo.InvariantCulture, $"After {epoch} epochs {row.Value:P2} of the training rows are classified wrongly at the means.")
            : string.Create(CultureInfo.InvariantCulture, $"{epoch} epochs were not reached in this run.")));

    // What the standard errors say of the figures, and what they can't say.
    private static string Reliability(IReadOnlyList<VarianceRow> own, Plan plan)
    {
        IEnumerable<string> lines = plan.Epochs.Select(epoch =>
        {
            double[] relative = [.. own.Where(row => row.StandardError is not null && Conditions.Any(condition => row.Case == Case(epoch, condition))).Select(Relative)];
            return relative.Length == 0 ? null : string.Create(
                CultureInfo.InvariantCulture,
                $"After {epoch} epochs the standard errors are {relative.Min():P0} to {relative.Max():P0} of the figures, and {relative.Count(value => value > Undecided)} of {relative.Length} above {Undecided:P0}.");
        }).OfType<string>();
        return string.Join(" ", lines) + string.Create(
            CultureInfo.InvariantCulture,
            $" Where they are that large, a few gradients carry the variance (rows that are known by heart but for rare noise), the errors are too small themselves, and a quotient decides nothing: the ranges below leave such figures out. Minibatches are the same for every estimator, but weights per example see the first {plan.PerExampleDraws} of the {plan.Draws} only, so that with minibatches drawn its figures have another sample of rare rows; flipout, whose examples have the same law each, says more there.");
    }

    private static double Relative(VarianceRow row) => row.StandardError!.Value / row.Value;

    // The range of every estimator's quotients, from the numbers.
    private static string Conclusion(IReadOnlyList<VarianceRow> own, Plan plan)
    {
        string[] lines =
        [
            .. Contenders.Where(one => one != Contender.Local).Select(contender =>
                $"- {contender.Name}: " + string.Join(", ", new[] { Range(contender, Sampled), Range(contender, Fixed), Range(contender, null) }.OfType<string>())),
        ];
        return "Variance over that of local reparameterization, least to greatest over layers and epochs:\n\n" + string.Join('\n', lines)
            + "\n\nA pair costs two passes: at equal cost, against the mean of two draws, its ratio is to be doubled, and gains where it is below one half.";

        string? Range(Contender contender, string? condition)
        {
            double[] quotients =
            [
                .. from layer in new[] { Top, Bottom }
                   from epoch in plan.Epochs
                   let quotient = condition is null
                       ? own[0].Settings.Short ? null : Published(contender.Name, layer, epoch == plan.Epochs[^1])
                       : Quotient(own, epoch, condition, contender.Name, layer) is { } found && found.Error < Undecided * found.Value ? found.Value : (double?)null
                   where quotient is not null
                   select quotient.Value,
            ];
            return quotients.Length == 0 ? null : $"{Number(quotients.Min(), 2)} to {Number(quotients.Max(), 2)} ({condition ?? "published"})";
        }
    }

    private static Figure Plot(IReadOnlyList<VarianceRow> own, Plan plan)
    {
        Contender[] order = [.. Contenders.Where(contender => contender != Contender.Local).Reverse()];
        var figure = new Figure(2, 1, 520, 400);
        for (int panel = 0; panel < 2; panel++)
        {
            string layer = panel == 0 ? Top : Bottom;
            Plot plot = figure[panel];
            figure.Label(panel, $"Weights of the {layer}", "variance, local reparameterization = 1", "");
            figure.Categories(panel, [.. order.Select(contender => contender == Contender.MeanOnly ? "no noise" : contender.Name)]);
            int series = 0;
            foreach (string condition in Conditions)
            {
                foreach (int epoch in plan.Epochs)
                {
                    Color color = Figure.Colors[condition == Sampled ? 3 : 0].WithAlpha(epoch == plan.Epochs[0] ? 1 : 0.55);
                    double shift = 0.3 - 0.2 * series++;
                    var all = order.Select((contender, i) => (Y: i + shift, Quotient: Quotient(own, epoch, condition, contender.Name, layer), Published: Published(contender.Name, layer, epoch == plan.Epochs[^1]))).ToList();
                    var points = all.Where(point => point.Quotient is { } quotient && quotient.Error < Undecided * quotient.Value).ToList();
                    if (condition == Sampled && !own[0].Settings.Short)
                    {
                        var paper = all.Where(point => point.Published is not null).ToList();
                        ScottPlot.Plottables.Scatter open = Figure.Line(
                            plot, [.. paper.Select(point => Math.Log10(point.Published!.Value))], [.. paper.Select(point => point.Y)], color, 0,
                            legend: panel == 0 ? $"{epoch} epochs, published" : "", marker: 9);
                        open.MarkerShape = MarkerShape.OpenDiamond;
                    }

                    if (points.Count == 0)
                        continue;
                    double[] x = [.. points.Select(point => Math.Log10(point.Quotient!.Value.Value))], y = [.. points.Select(point => point.Y)];
                    for (int i = 0; i < points.Count; i++)
                    {
                        double reach = 2 * points[i].Quotient!.Value.Error / points[i].Quotient!.Value.Value / Math.Log(10);
                        Figure.Line(plot, [x[i] - reach, x[i] + reach], [y[i], y[i]], color);
                    }

                    Figure.Line(plot, x, y, color, 0, legend: panel == 0 ? $"{epoch} epochs, {condition}" : "", marker: 7);
                }
            }

            Figure.Line(plot, [0, 0], [-0.5, order.Length - 0.5], Figure.Ink, 1, LinePattern.Dashed);
        }

        Curves.Room(figure[0], 0, -3);
        Curves.Room(figure[1], 0, -3);
        figure[0].ShowLegend(Alignment.LowerRight);
        return figure;
    }

    // Without noise nothing varies at a fixed minibatch.
    private static IEnumerable<Contender> ContendersOf(string condition) => Contenders.Where(contender => condition == Sampled || contender != Contender.MeanOnly);

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
