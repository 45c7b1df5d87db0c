using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using ScottPlot;

namespace BayesNet.Benchmarks.StepTime;

/// <summary>The report's text, tables and figure.</summary>
internal static class StepTimeText
{
    public static void Write(ReportDocument document, List<StepTimeRow> rows, List<StepTimeGap> gaps, StepTimeSettings settings, Pieces? pieces)
    {
        Target[] targets = [.. Target.All(rows), .. pieces is null ? [] : Target.All(pieces)];
        document.Section("Targets");
        document.Paragraph("Each is a quotient of medians (of peak megabytes where it says so), on the most threads measured. A compiled step, where the trainer takes one, stands for its estimator.");
        document.Table("targets", targets,
            ("shape", target => target.Shape),
            ("what", target => target.What),
            ("against", target => target.Against),
            ("measured", target => target.Measured is { } measured ? Number(measured) : "not measured"),
            ("limit", target => Number(target.Limit)),
            ("met", target => target.Met switch { true => "yes", false => "**no**", null => "-" }));

        int most = rows.Max(row => row.Threads);
        string[] shapes = [.. rows.Select(row => row.Shape).Distinct()];
        document.Section("Times");
        document.Paragraph(string.Create(
            CultureInfo.InvariantCulture,
            $"Medians of single steps, in milliseconds. All rows of a shape and number of threads were measured in one process, taking turns; at its turn a row repeats its step for a while, the first repetition not timed. Ratio: to the deterministic network in the same phase with the same optimizer. forward-backward: gradients set to zero, forward pass, loss (for Bayesian rows with the KL divergence), backward pass; step: the same and the optimizer. Peak: how much a process's resident memory grows, at its peak, while network, optimizer and data are made and ten steps run, each row in a fresh process (below a few megabytes it says little); {(settings.KeepMemory ? "memory kept (MemoryAllocation.KeepFreedMemory)" : "glibc's allocator as it is by default")}."));
        document.Paragraph("deterministic: TorchSharp's layers. gemm-floor: the matrix products of a local step and nothing else. textbook: plain TorchSharp operations, softplus, KL with a logarithm, as tutorials have it. The others are BayesNet's trainer: compiled, or through autograd.");
        document.Figure("step-time", Plot(rows, shapes, most), string.Create(
            CultureInfo.InvariantCulture, $"Median time on {most} thread{(most == 1 ? "" : "s")}. Dashed: the deterministic network's, in the colour of the phase and optimizer."));
        foreach (string shape in shapes)
        {
            foreach (IGrouping<int, StepTimeRow> group in rows.Where(row => row.Shape == shape).GroupBy(row => row.Threads))
            {
                StepTimeRow[] table = [.. group];
                StepTimeGap[] missing = [.. gaps.Where(gap => gap.Shape == shape && gap.Threads == group.Key)];
                document.Paragraph(string.Create(
                    CultureInfo.InvariantCulture,
                    $"### {shape}, batch {table[0].Batch}, {group.Key} thread{(group.Key == 1 ? "" : "s")}, {table[0].Device}, {table[0].Dtype}"));
                document.Table($"{shape}_{group.Key}_threads", table,
                    ("estimator", row => row.Estimator),
                    ("phase", row => row.Phase),
                    ("optimizer", row => row.Optimizer),
                    ("ms", row => Number(row.MedianMs)),
                    ("quartiles", row => $"{Number(row.LowerQuartileMs)} to {Number(row.UpperQuartileMs)}"),
                    ("ratio", row => Number(row.Ratio)),
                    ("peak MB", row => row.PeakMb is { } peak ? Number(peak) : "not measured"));
                foreach (IGrouping<(string, string), StepTimeGap> gap in missing.Where(gap => gap.Estimator != Names.GemmFloor).GroupBy(gap => (gap.Estimator, gap.Reason)))
                    document.Paragraph($"Not measured: {gap.Key.Item1} ({string.Join(", ", gap.Select(one => one.Optimizer))}): {gap.Key.Item2}.");
            }
        }

        document.Data("not_measured", gaps);
    }

    private static Figure Plot(List<StepTimeRow> rows, string[] shapes, int threads)
    {
        int columns = Math.Min(3, shapes.Length);
        var figure = new Figure(columns, (shapes.Length + columns - 1) / columns);
        string[] names = [.. Names.Estimators.Reverse().Where(name => rows.Any(row => row.Estimator == name && row.Threads == threads))];
        for (int panel = 0; panel < shapes.Length; panel++)
        {
            Plot plot = figure[panel];
            figure.Label(panel, shapes[panel], panel + columns >= shapes.Length ? "milliseconds" : "", "");
            figure.Categories(panel, names);
            foreach ((string optimizer, Color color, double shift) in new[]
                { (Names.None, Figure.Colors[3], 0.2), (Names.TorchSharpAdam, Figure.Colors[0], 0), (Names.FusedAdam, Figure.Colors[2], -0.2) })
            {
                StepTimeRow[] points = [.. rows.Where(row => row.IsAt(shapes[panel], threads) && row.Optimizer == optimizer)];
                if (points.Length == 0)
                    continue;
                string legend = optimizer == Names.None ? Names.ForwardBackward : $"step, {optimizer}";
                Figure.Line(
                    plot, [.. points.Select(row => Math.Log10(row.MedianMs))], [.. points.Select(row => Array.IndexOf(names, row.Estimator) + shift)], color, 0,
                    legend: panel == 0 ? legend : "", marker: 7);
                double reference = Math.Log10(points.First(row => row.Estimator == Names.Deterministic).MedianMs);
                Figure.Line(plot, [reference, reference], [-0.5, names.Length - 0.5], color, 1, LinePattern.Dashed);
            }
        }

        figure[0].ShowLegend(Alignment.LowerLeft);
        return figure;
    }

    private static string Number(double value) => value.ToString(value < 10 ? "G3" : value < 1000 ? "F1" : "F0", CultureInfo.InvariantCulture);
}
