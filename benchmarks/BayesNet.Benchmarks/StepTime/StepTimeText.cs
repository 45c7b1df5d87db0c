using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using ScottPlot;

namespace BayesNet.Benchmarks.StepTime;

/// <summary>The report's text, tables and figure.</summary>
internal static class StepTimeText
{
    public static void Write(ReportDocument document, IReadOnlyList<StepTimeRow> all, List<StepTimeGap> gaps)
    {
        StepTimeRow[] rows = [.. all.Where(row => !StepTimeScaling.Has(row))];
        Sources(document, all);
        if (rows.Length > 0)
            Times(document, rows, gaps);
        StepTimeScaling.Write(document, all);
        document.Data("not_measured", gaps);
    }

    private static void Finding(ReportDocument document, StepTimeRow[] rows, int threads)
    {
        foreach (IGrouping<string, StepTimeRow> shape in rows.Where(row => row.Threads == threads && row.Optimizer == Names.FusedAdam).GroupBy(row => row.Shape))
        {
            (string Name, double Ratio)[] ratios =
                [.. new[] { Names.LocalCompiled, Names.Local, Names.SharedCompiled, Names.TextbookLocal }.SelectMany(name => shape.Where(row => row.Estimator == name).Take(1).Select(row => (name, row.Ratio)))];
            if (ratios.Length > 1)
                document.Finding($"{shape.Key}, {threads} thread{(threads == 1 ? "" : "s")}, steps over the deterministic one, all with {Names.FusedAdam}: {string.Join(", ", ratios.Select(ratio => $"{ratio.Name} {Number(ratio.Ratio)}"))}.");
        }
    }

    /// <summary>Adds what the pieces cost.</summary>
    public static void Write(ReportDocument document, Pieces pieces)
    {
        document.Section("Pieces");
        Targets(document, "pieces", Target.All(pieces));
    }

    private static void Targets(ReportDocument document, string key, IEnumerable<Target> targets) => document.Table(key, [.. targets],
        ("shape", target => target.Shape),
        ("what", target => target.What),
        ("against", target => target.Against),
        ("measured", target => target.Measured is { } measured ? Number(measured) : "not measured"),
        ("limit", target => Number(target.Limit)),
        ("met", target => target.Met switch { true => "yes", false => "**no**", null => "-" }));

    // Rows of several commands stand in one report: which commit and day each comes from, and the command that measures it again.
    private static void Sources(ReportDocument document, IReadOnlyList<StepTimeRow> all)
    {
        document.Section("Where the rows come from");
        document.Paragraph("Each table of times says its commit. A row is measured again, with all that took turns with it, by the command of its line.");
        var sources = all.GroupBy(row => (row.Settings, row.Date, row.Device, row.Dtype, row.Batch, row.Shape))
            .Select(group => (group.Key, Threads: string.Join(',', group.Select(row => row.Threads).Distinct().Order())))
            .GroupBy(source => (source.Key.Settings, source.Key.Date, source.Key.Device, source.Key.Dtype, Batch: IsOwnBatch(source.Key.Shape, source.Key.Batch) ? null : (long?)source.Key.Batch, source.Threads))
            .Select(group => (group.Key, Shapes: string.Join(',', group.Select(source => source.Key.Shape))));
        document.Table(null, [.. sources],
            ("commit", source => source.Key.Settings.Commit),
            ("day", source => source.Key.Date ?? "not recorded"),
            ("command", source => $"`step-time {string.Join(' ', Arguments(source.Key, source.Shapes))}`"));

        static bool IsOwnBatch(string shape, long batch) => StepTimeShape.Parse(shape).Batch == batch;
    }

    private static IEnumerable<string> Arguments((StepTimeSettings Settings, string? Date, string Device, string Dtype, long? Batch, string Threads) source, string shapes)
    {
        StepTimeSettings settings = source.Settings;
        yield return string.Create(CultureInfo.InvariantCulture, $"--seed {settings.Seed} --shapes {shapes} --threads {source.Threads}");
        if (source.Batch is { } batch)
            yield return string.Create(CultureInfo.InvariantCulture, $"--batch {batch}");
        if (settings.Estimators != string.Join(',', Names.Standard))
            yield return $"--estimators {settings.Estimators}";
        if (settings.Optimizers != string.Join(',', Names.Optimizers))
            yield return $"--optimizers {settings.Optimizers}";
        if (source.Device != "cpu")
            yield return $"--device {source.Device}";
        if (source.Dtype != "float32")
            yield return $"--dtype {source.Dtype}";
        if (settings.KeepMemory)
            yield return "--keep-memory";
        if (settings.Short)
            yield return "--short";
    }

    private static void Times(ReportDocument document, StepTimeRow[] rows, List<StepTimeGap> gaps)
    {
        Target[] targets = [.. Target.All(rows)];
        if (targets.Length > 0)
        {
            document.Section("Targets");
            document.Paragraph("Each is a quotient of medians (of peak megabytes where it says so), on the most threads measured. A compiled step, where the trainer takes one, stands for its estimator.");
            Targets(document, "targets", targets);
        }

        int most = rows.Max(row => row.Threads);
        string[] shapes = [.. rows.Select(row => row.Shape).Distinct()];
        Finding(document, rows, most);
        document.Section("Times");
        document.Paragraph("Medians of single steps, in milliseconds. All rows of a shape and number of threads were measured in one process, taking turns; at its turn a row repeats its step for a while, the first repetition not timed. Ratio: to the deterministic network in the same phase with the same optimizer. forward-backward: gradients set to zero, forward pass, loss (for Bayesian rows with the KL divergence), backward pass; step: the same and the optimizer. Peak: how much a process's resident memory grows, at its peak, while network, optimizer and data are made and ten steps run, each row in a fresh process (below a few megabytes it says little), with glibc's allocator as it is by default unless the table says that memory is kept.");
        document.Paragraph("deterministic: TorchSharp's layers. gemm-floor: the matrix products of a local step and nothing else. textbook: plain TorchSharp operations, softplus, KL with a logarithm, as tutorials have it. The others are BayesNet's trainer: compiled, or through autograd.");
        document.Figure("step-time", Plot(rows, shapes, most), string.Create(
            CultureInfo.InvariantCulture, $"Median time on {most} thread{(most == 1 ? "" : "s")}. Dashed: the deterministic network's, in the colour of the phase and optimizer."));
        foreach (var group in rows.GroupBy(row => (row.Shape, row.Batch, row.Threads, row.Device, row.Dtype, row.Settings)))
        {
            StepTimeRow[] table = [.. group];
            StepTimeSettings settings = group.Key.Settings;
            document.Paragraph(string.Create(
                CultureInfo.InvariantCulture,
                $"### {group.Key.Shape}, batch {group.Key.Batch}, {group.Key.Threads} thread{(group.Key.Threads == 1 ? "" : "s")}, {group.Key.Device}, {group.Key.Dtype}{(settings.KeepMemory ? ", memory kept (MemoryAllocation.KeepFreedMemory)" : "")}, commit {settings.Commit}"));
            document.Table(null, table,
                ("estimator", row => row.Estimator),
                ("phase", row => row.Phase),
                ("optimizer", row => row.Optimizer),
                ("ms", row => Number(row.MedianMs)),
                ("quartiles", row => $"{Number(row.LowerQuartileMs)} to {Number(row.UpperQuartileMs)}"),
                ("ratio", row => Number(row.Ratio)),
                ("peak MB", row => row.PeakMb is { } peak ? Number(peak) : "not measured"));
            IEnumerable<StepTimeGap> missing = gaps.Where(gap => gap.Shape == group.Key.Shape && gap.Batch == group.Key.Batch && gap.Threads == group.Key.Threads && gap.Estimator != Names.GemmFloor);
            foreach (IGrouping<(string, string), StepTimeGap> gap in missing.GroupBy(gap => (gap.Estimator, gap.Reason)))
                document.Paragraph($"Not measured: {gap.Key.Item1} ({string.Join(", ", gap.Select(one => one.Optimizer))}): {gap.Key.Item2}.");
        }
    }

    private static Figure Plot(StepTimeRow[] rows, string[] shapes, int threads)
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
                StepTimeRow[] points = [.. rows.Where(row => row.Shape == shapes[panel] && row.Threads == threads && row.Optimizer == optimizer)];
                if (points.Length == 0)
                    continue;
                string legend = optimizer == Names.None ? Names.ForwardBackward : $"step, {optimizer}";
                Figure.Line(
                    plot, [.. points.Select(row => Math.Log10(row.MedianMs))], [.. points.Select(row => Array.IndexOf(names, row.Estimator) + shift)], color, 0,
                    legend: panel == 0 ? legend : "", marker: 7);
                if (Array.Find(points, row => row.Estimator == Names.Deterministic) is { } deterministic)
                {
                    double reference = Math.Log10(deterministic.MedianMs);
                    Figure.Line(plot, [reference, reference], [-0.5, names.Length - 0.5], color, 1, LinePattern.Dashed);
                }
            }
        }

        figure[0].ShowLegend(Alignment.LowerLeft);
        return figure;
    }

    /// <summary>A number of a few digits.</summary>
    public static string Number(double value) => value.ToString(value < 10 ? "G3" : value < 1000 ? "F1" : "F0", CultureInfo.InvariantCulture);
}
