using System.Diagnostics;
using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Benchmarks.StepTime;
using ScottPlot;
using static TorchSharp.torch;
using Figure = BayesNet.Benchmarks.Reporting.Figure;

namespace BayesNet.Benchmarks.GradientVariance;

/// <summary>1 / (variance x time): how much certainty of a gradient each estimator gives for its time.</summary>
internal sealed class EfficiencyPart : VariancePart
{
    /// <summary>The estimators, with the name of the row of step-time that their gradient takes as long as; pairs are timed here.</summary>
    public static IReadOnlyList<(Contender Contender, string? StepTime)> Entries { get; } =
    [
        (Contender.Local, Names.LocalCompiled), (Contender.PerExample, Names.PerExample), (Contender.Flipout, Names.Flipout),
        (Contender.Shared, Names.SharedCompiled), (Contender.Local.Pair, null), (Contender.Shared.Pair, null),
    ];

    public static IReadOnlyList<StepTimeShape> Shapes { get; } = [StepTimeShape.Parse("784-400-400-10"), StepTimeShape.Parse("8-50-1")];

    public override string Name => "efficiency";

    public static string Case(StepTimeShape shape) => string.Create(CultureInfo.InvariantCulture, $"{shape.Name}, batch {shape.Batch}");

    public override void Measure(VarianceRows rows, VarianceContext context)
    {
        foreach (StepTimeShape shape in Shapes)
        {
            using var scope = NewDisposeScope();
            bool large = shape.InputSize[0] > 100;
            int draws = (context.IsShort, large) switch { (true, true) => 6, (true, false) => 100, (false, true) => 60, _ => 2000 };
            TrainedNetwork? network = null;
            foreach ((Contender contender, _) in Entries)
            {
                rows.Measure(Name, Case(shape), contender.Name, () =>
                {
                    network ??= new TrainedNetwork(shape, rows.Settings);
                    return network.Variances(contender, shape.Batch, draws, rows.Settings.Seed)
                        .Zip(TrainedNetwork.GradientNames, (found, name) => Row(rows, name, null, found.Variance, draws) with { StandardError = found.StandardError });
                });
            }

            network?.Dispose();
        }
    }

    public override void Write(ReportDocument document, VarianceRows rows, VarianceContext context)
    {
        IReadOnlyList<VarianceRow> own = rows.Of(Name), times = rows.Of(TimesPart.PartName);
        document.Section("Efficiency: 1 / (variance × time)");
        bool complete = Shapes.All(shape => rows.Has(TimesPart.PartName, Case(shape), null) && Entries.All(entry => rows.Has(Name, Case(shape), entry.Contender.Name)));
        if (Missing(document, own, complete))
            return;
        document.Paragraph(string.Create(
            CultureInfo.InvariantCulture,
            $"A gradient's variance falls as 1 over the number of draws that are averaged, so 1 / (variance × time) is the certainty that a second buys. Networks: {string.Join("; ", Shapes.Select(shape => TrainedNetwork.Describe(shape, rows.Settings.Short)))}; the variance, mean over all weights and biases, is that of the noise at a fixed minibatch. Time: medians of single gradients (forward, loss, KL divergence, backward), all in turns, float32, {TimesPart.Describe}; local reparameterization and shared weights as the trainer compiles them, weights per example and flipout through autograd. A pair is one gradient of two passes through autograd, which reflect the noise by one more product a layer; the library has no faster way to a pair."));
        document.Figure("efficiency", Plot(own, times), "Efficiency over that of local reparameterization, logarithmic: bars to the right are better, to the left worse.");
        foreach (StepTimeShape shape in Shapes)
        {
            string @case = Case(shape);
            document.Paragraph(Capital(@case) + ":");
            document.Table($"efficiency_{shape.Name}", [.. Entries.Select(entry => entry.Contender.Name)],
                ("estimator", name => name),
                ("ms", name => Number(Time(times, @case, name), 3)),
                ("variance in μ", name => WithError(Variance(own, @case, name, 0))),
                ("variance in ln σ", name => WithError(Variance(own, @case, name, 1))),
                ("efficiency in μ, local = 1", name => Number(Relative(own, times, @case, name, 0), 3)),
                ("efficiency in ln σ, local = 1", name => Number(Relative(own, times, @case, name, 1), 3)));
            document.Paragraph(string.Join(" ", TrainedNetwork.GradientNames.Select((gradient, i) =>
            {
                string[] order = [.. Entries.Select(entry => entry.Contender.Name).OrderByDescending(name => Relative(own, times, @case, name, i))];
                return $"In {gradient} the most efficient is {Ranked(order[0], i)}, then {Ranked(order[1], i)}; the least {Ranked(order[^1], i)}.";
            })));

            string Ranked(string name, int gradient) => $"{name} ({Number(Relative(own, times, @case, name, gradient), 3)})";
        }
    }

    private static string Capital(string text) => char.ToUpperInvariant(text[0]) + text[1..];

    private static double Time(IReadOnlyList<VarianceRow> times, string @case, string contender)
        => times.Single(row => row.Case == @case && row.Estimator == contender).Value;

    private static VarianceRow Variance(IReadOnlyList<VarianceRow> own, string @case, string contender, int gradient)
        => own.Single(row => row.Case == @case && row.Estimator == contender && row.Gradient == TrainedNetwork.GradientNames[gradient]);

    private static double Relative(IReadOnlyList<VarianceRow> own, IReadOnlyList<VarianceRow> times, string @case, string contender, int gradient)
    {
        return Cost(Contender.Local.Name) / Cost(contender);

        double Cost(string one) => Variance(own, @case, one, gradient).Value * Time(times, @case, one);
    }

    private static Figure Plot(IReadOnlyList<VarianceRow> own, IReadOnlyList<VarianceRow> times)
    {
        Contender[] order = [.. Entries.Select(entry => entry.Contender).Reverse()];
        var figure = new Figure(Shapes.Count, 1, 520, 340);
        for (int panel = 0; panel < Shapes.Count; panel++)
        {
            Plot plot = figure[panel];
            string @case = Case(Shapes[panel]);
            figure.Label(panel, @case, "efficiency, local reparameterization = 1", "");
            figure.Categories(panel, [.. order.Select(contender => contender.Name)]);
            for (int gradient = 0; gradient < 2; gradient++)
            {
                Bar[] bars =
                [
                    .. order.Select((contender, i) => new Bar
                    {
                        Position = i + (gradient == 0 ? 0.2 : -0.2), Value = Math.Log10(Relative(own, times, @case, contender.Name, gradient)), Size = 0.36,
                        FillColor = Figure.Colors[gradient == 0 ? 3 : 1], LineWidth = 0,
                    }),
                ];
                ScottPlot.Plottables.BarPlot drawn = plot.Add.Bars(bars);
                drawn.Horizontal = true;
                drawn.LegendText = panel == 0 ? $"gradient in {TrainedNetwork.GradientNames[gradient]}" : "";
            }

            Figure.Line(plot, [0, 0], [-0.5, order.Length - 0.5], Figure.Ink, 1);
        }

        Curves.Room(figure[0], 0, -1.8);
        Curves.Room(figure[1], 0, -1.8);
        figure[0].ShowLegend(Alignment.LowerLeft);
        return figure;
    }
}

/// <summary>The time of one gradient under each estimator of <see cref="EfficiencyPart"/>.</summary>
internal sealed class TimesPart : VariancePart
{
    public const string PartName = "times";

    public override string Name => PartName;

    /// <summary>The threads that the times were taken with, for the text.</summary>
    public static string Describe => string.Create(CultureInfo.InvariantCulture, $"{Threads(EfficiencyPart.Shapes[0])} threads for the first network and {Threads(EfficiencyPart.Shapes[1])} for the second");

    public override void Measure(VarianceRows rows, VarianceContext context)
    {
        foreach (StepTimeShape shape in EfficiencyPart.Shapes)
            rows.Measure(Name, EfficiencyPart.Case(shape), null, () => Times(rows, shape, context.IsShort));
    }

    public override void Write(ReportDocument document, VarianceRows rows, VarianceContext context)
    {
    }

    // A network this small is fastest on one thread (docs/performance.md).
    private static int Threads(StepTimeShape shape) => shape.InputSize[0] > 100 ? Environment.ProcessorCount : 1;

    private static List<VarianceRow> Times(VarianceRows rows, StepTimeShape shape, bool isShort)
    {
        using var scope = NewDisposeScope();
        var place = new Place(CPU, ScalarType.Float32);
        var contestants = new List<Contestant>();
        using var network = new TrainedNetwork(shape, rows.Settings);
        set_num_threads(Threads(shape));
        var actions = new List<Action>();
        foreach ((Contender contender, string? name) in EfficiencyPart.Entries)
        {
            if (name is null)
            {
                actions.Add(() => network.DrawPair(contender, shape.Batch));
                continue;
            }

            (Contestant? contestant, string? reason) = Contestant.Create(shape, place, name, Names.None);
            contestants.Add(contestant ?? throw new InvalidOperationException($"{name} can't be timed at {shape.Name}: {reason}."));
            actions.Add(contestant.Run);
        }

        (double warmUp, double budget, double block) = isShort ? (0.1, 2, 0.02) : (1, 12, 0.1);
        foreach (Action action in actions)
        {
            var clock = Stopwatch.StartNew();
            while (clock.Elapsed.TotalSeconds < warmUp)
                action();
        }

        IReadOnlyList<double>[] seconds = Reporting.Measure.InTurns(actions, budget, leastRounds: 3, mostRounds: int.MaxValue, block);
        foreach (Contestant contestant in contestants)
            contestant.Dispose();
        return
        [
            .. EfficiencyPart.Entries.Select((entry, i) => Row(rows, "all", Threads(shape), 1000 * Reporting.Measure.Median(seconds[i]), seconds[i].Count) with
            {
                Estimator = entry.Contender.Name, Quantity = "milliseconds",
            }),
        ];
    }
}
