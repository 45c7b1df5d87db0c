using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using ScottPlot;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.StepTime;

/// <summary>How a step grows with batch, width, depth and type of number, and what weights per example cost at the network that the claim is about.</summary>
internal static class StepTimeScaling
{
    private const string Claim = "784-1024-1024-1024-10", Middle = "784-400-400-10";
    private static readonly string[] Grown = [Names.TextbookLocal, Names.Local, Names.LocalCompiled, Names.SharedCompiled, Names.PerExample];
    private static readonly string[] Claimed = [Names.TextbookLocal, Names.TextbookPerExample, Names.LocalCompiled, Names.PerExample];

    /// <summary>A quantity that grows, and the shapes it takes.</summary>
    private sealed record Axis(string Name, string Network, Func<bool, IEnumerable<(double Value, StepTimeShape Shape)>> Shapes);

    private static readonly Axis[] Axes =
    [
        new("batch", $"{Middle}, batch B", isShort => (isShort ? [8, 64L] : new[] { 8, 16, 32, 64, 128, 256, 512L }).Select(batch => ((double)batch, StepTimeShape.Parse(Middle) with { Batch = batch }))),
        new("width", "784-W-W-10, batch 128", isShort => (isShort ? [100, 400] : new[] { 100, 200, 400, 800, 2048 }).Select(width => ((double)width, Dense(width, width)))),
        new("depth", "784, L layers of 400, 10, batch 128", isShort => (isShort ? [1, 2] : new[] { 1, 2, 3, 4, 5, 6 }).Select(depth => ((double)depth, Dense([.. Enumerable.Repeat(400, depth)])))),
    ];

    /// <summary>What is measured.</summary>
    public static IEnumerable<StepTimePoint> Points(int[] threads, Place place, StepTimeSettings settings)
    {
        StepTimeSettings grown = settings with { Estimators = string.Join(',', Grown), Optimizers = Names.FusedAdam };
        StepTimeSettings claimed = settings with { Estimators = string.Join(',', Claimed), Optimizers = Names.FusedAdam };
        foreach (StepTimeShape shape in Axes.SelectMany(axis => axis.Shapes(settings.Short)).Select(point => point.Shape).DistinctBy(shape => (shape.Name, shape.Batch)))
        {
            foreach (int count in threads)
                yield return new StepTimePoint(shape, place, count, grown);
        }

        foreach (int count in threads)
            yield return new StepTimePoint(StepTimeShape.Parse(Middle), place with { Dtype = ScalarType.Float64 }, count, grown);
        foreach (long batch in settings.Short ? [4] : new[] { 8, 32, 128L })
            yield return new StepTimePoint(StepTimeShape.Parse(Claim) with { Batch = batch }, place, threads.Max(), claimed);
    }

    /// <summary>Whether a row belongs to these tables.</summary>
    public static bool Has(StepTimeRow row) => row.Settings.Optimizers == Names.FusedAdam && (IsGrown(row) || IsClaimed(row));

    /// <summary>Adds tables and figures of what there is.</summary>
    public static void Write(ReportDocument document, IReadOnlyList<StepTimeRow> all)
    {
        StepTimeRow[] rows = [.. all.Where(Has)];
        if (rows.Length == 0)
            return;
        bool isShort = rows[0].Settings.Short;
        int most = rows.Where(row => row.Device == "cpu").Select(row => row.Threads).DefaultIfEmpty(1).Max();
        document.Section("Scaling");
        document.Paragraph(string.Create(
            CultureInfo.InvariantCulture,
            $"Whole steps with {Names.FusedAdam}, medians in milliseconds, float32, on {most} thread{(most == 1 ? "" : "s")} unless a column says otherwise; in parentheses the ratio to the deterministic network with the same optimizer. Speed-up: how many times as long the textbook's local reparameterization takes as the compiled step, and the compiled step on one thread as on {most}. GPU: {Names.Local} on CUDA, where it was measured."));
        var curves = new List<(Axis Axis, Entry[] Entries)>();
        foreach (Axis axis in Axes)
        {
            Entry[] entries = [.. axis.Shapes(isShort).Select(point => new Entry(point.Value, [.. rows.Where(row => IsGrown(row) && row.Dtype == "float32" && row.Shape == point.Shape.Name && row.Batch == point.Shape.Batch)])).Where(entry => entry.Rows.Length > 0)];
            if (entries.Length < 2)
                continue;
            curves.Add((axis, entries));
        }

        if (curves.Count > 0)
            document.Figure("scaling", Plot(curves, most), "Time of a step and peak memory against batch, width and depth, logarithmic axes. Memory: growth of a fresh process, as in the tables of times.");
        foreach ((Axis axis, Entry[] entries) in curves)
        {
            document.Paragraph($"### {char.ToUpperInvariant(axis.Name[0])}{axis.Name[1..]}: {axis.Network}, commit {Commits(entries.SelectMany(entry => entry.Rows))}");
            document.Table(null, entries,
            [
                (axis.Name, entry => Text(entry.Value)),
                .. new[] { Names.Deterministic }.Concat(Grown).Select<string, (string, Func<Entry, string>)>(name => (name, entry => Cell(entry.Row(name, "cpu", most)))),
                ($"{Names.LocalCompiled}, 1 thread", entry => Cell(entry.Row(Names.LocalCompiled, "cpu", 1))),
                ("speed-up over textbook", entry => Quotient(entry.Row(Names.TextbookLocal, "cpu", most), entry.Row(Names.LocalCompiled, "cpu", most))),
                ($"speed-up of {most} threads", entry => Quotient(entry.Row(Names.LocalCompiled, "cpu", 1), entry.Row(Names.LocalCompiled, "cpu", most))),
                ("peak MB: deterministic, compiled, textbook", entry => string.Join(", ", new[] { Names.Deterministic, Names.LocalCompiled, Names.TextbookLocal }.Select(name => entry.Row(name, "cpu", most)?.PeakMb is { } peak ? Text(peak) : "-"))),
                ("GPU", entry => Cell(entry.Rows.FirstOrDefault(row => row.Estimator == Names.Local && row.Device == "cuda"))),
            ]);
            Entry[] whole = [.. entries.Where(entry => Array.TrueForAll([Names.TextbookLocal, Names.LocalCompiled], name => entry.Row(name, "cpu", most) is not null))];
            if (whole.Length > 1)
            {
                double[] gains = [.. whole.Select(entry => entry.Row(Names.TextbookLocal, "cpu", most)!.MedianMs / entry.Row(Names.LocalCompiled, "cpu", most)!.MedianMs)];
                double[] ratios = [.. whole.Select(entry => entry.Row(Names.LocalCompiled, "cpu", most)!.Ratio)];
                document.Finding(string.Create(
                    CultureInfo.InvariantCulture,
                    $"From {axis.Name} {whole[0].Value:N0} to {whole[^1].Value:N0} ({axis.Network}; {most} thread{(most == 1 ? "" : "s")}) the compiled local step is {gains.Min():F1} to {gains.Max():F1} times as fast as the textbook's, and takes {ratios.Min():F2} to {ratios.Max():F2} times the deterministic one."));
            }

            if (entries.Length > 3)
            {
                Entry[] tail = [.. entries[^3..].Where(entry => entry.Row(Names.LocalCompiled, "cpu", most) is not null && entry.Row(Names.Deterministic, "cpu", most) is not null)];
                if (tail.Length == 3)
                    document.Paragraph(string.Create(CultureInfo.InvariantCulture, $"Exponent over the last three: compiled {Slope(tail, Names.LocalCompiled):F2}, deterministic {Slope(tail, Names.Deterministic):F2}."));
            }
        }

        Float64(document, [.. rows.Where(row => IsGrown(row) && row.Shape == Middle && row.Batch == 128 && row.Device == "cpu")]);
        PerExample(document, [.. rows.Where(IsClaimed)]);

        double Slope(Entry[] tail, string name) => Measure.LogSlope([.. tail.Select(entry => entry.Value)], [.. tail.Select(entry => entry.Row(name, "cpu", most)!.MedianMs)]);
    }

    private static void Float64(ReportDocument document, StepTimeRow[] rows)
    {
        (string Estimator, int Threads)[] places =
            [.. rows.Where(row => row.Dtype == "float64").Select(row => (row.Estimator, row.Threads)).Where(place => rows.Any(row => row.Dtype == "float32" && row.Estimator == place.Estimator && row.Threads == place.Threads))];
        if (places.Length == 0)
            return;
        document.Paragraph($"### float32 and float64: {Middle}, batch 128, commit {Commits(rows)}");
        document.Table(null, places,
            ("estimator", place => place.Estimator),
            ("threads", place => place.Threads.ToString(CultureInfo.InvariantCulture)),
            ("float32", place => Cell(Row(place, "float32"))),
            ("float64", place => Cell(Row(place, "float64"))),
            ("float64 / float32", place => Quotient(Row(place, "float64"), Row(place, "float32"))),
            ("float32, peak MB", place => Text(Row(place, "float32").PeakMb ?? double.NaN)),
            ("float64, peak MB", place => Text(Row(place, "float64").PeakMb ?? double.NaN)));

        StepTimeRow Row((string Estimator, int Threads) place, string dtype) => rows.First(row => row.Dtype == dtype && row.Estimator == place.Estimator && row.Threads == place.Threads);
    }

    private static void PerExample(ReportDocument document, StepTimeRow[] rows)
    {
        if (rows.Length == 0)
            return;
        document.Paragraph($"### Weights per example against local reparameterization: {Claim}, commit {Commits(rows)}");
        document.Paragraph(
            "Kingma, Salimans and Welling (2015) give 1635 s an epoch with a weight sample for each example and 7.4 s with local reparameterization, 221 times, on the hardware of the day (quoted from memory of the paper's text). "
            + "Here both run on the same cores and batch, where time an epoch and time a step have the same ratio. literal: plain operations that hold a weight matrix for each example; ours: the same noise drawn block by block and never held.");
        Entry[] entries = [.. rows.GroupBy(row => row.Batch).OrderBy(group => group.Key).Select(group => new Entry(group.Key, [.. group]))];
        document.Table("weights_per_example",
            [.. entries.Select(entry => new
            {
                Batch = entry.Value,
                LiteralMs = Ms(entry, Names.TextbookPerExample),
                OursMs = Ms(entry, Names.PerExample),
                LocalTextbookMs = Ms(entry, Names.TextbookLocal),
                LocalCompiledMs = Ms(entry, Names.LocalCompiled),
                LiteralPeakMb = entry.Any(Names.TextbookPerExample)?.PeakMb,
                OursPeakMb = entry.Any(Names.PerExample)?.PeakMb,
            })],
            ("batch", row => Text(row.Batch)),
            ("literal", row => Text(row.LiteralMs)),
            ("ours", row => Text(row.OursMs)),
            ("local, textbook", row => Text(row.LocalTextbookMs)),
            ("local, compiled", row => Text(row.LocalCompiledMs)),
            ("literal / textbook local", row => Text(row.LiteralMs / row.LocalTextbookMs)),
            ("literal / compiled local", row => Text(row.LiteralMs / row.LocalCompiledMs)),
            ("ours / compiled local", row => Text(row.OursMs / row.LocalCompiledMs)),
            ("literal / ours", row => Text(row.LiteralMs / row.OursMs)),
            ("peak MB: literal, ours", row => $"{Text(row.LiteralPeakMb)}, {Text(row.OursPeakMb)}"),
            ("GPU", _ => "not measured"));

        Entry? largest = entries.LastOrDefault(entry => Ms(entry, Names.TextbookPerExample) is not null);
        if (largest is not null && Ms(largest, Names.TextbookPerExample) / Ms(largest, Names.LocalCompiled) is { } literal)
        {
            document.Finding(string.Create(
                CultureInfo.InvariantCulture,
                $"At {Claim}, batch {largest.Value:N0}, a step with a weight matrix held for each example takes {literal:F0} times as long as the compiled local step (Kingma et al. 2015: 221 an epoch)."));
        }

        static double? Ms(Entry entry, string name) => entry.Any(name)?.MedianMs;
    }

    private static Figure Plot(List<(Axis Axis, Entry[] Entries)> curves, int threads)
    {
        var figure = new Figure(curves.Count, 2);
        (string Name, Color Color)[] lines = [(Names.Deterministic, Figure.Ink), .. Grown.Zip(Figure.Colors)];
        for (int i = 0; i < curves.Count; i++)
        {
            (Axis axis, Entry[] entries) = curves[i];
            double[] values = [.. entries.Select(entry => entry.Value)];
            figure.Label(i, axis.Network, axis.Name, i == 0 ? "milliseconds a step" : "", values);
            figure.Label(curves.Count + i, "", axis.Name, i == 0 ? "peak megabytes" : "", values);
            foreach ((string name, Color color) in lines)
            {
                Curve(figure[i], row => row.MedianMs, i == 0 ? name : "");
                Curve(figure[curves.Count + i], row => row.PeakMb is >= 1 ? row.PeakMb : null, "");

                void Curve(Plot plot, Func<StepTimeRow, double?> value, string legend)
                {
                    (double X, double Y)[] points =
                    [
                        .. entries.Select(entry => (entry.Value, Row: entry.Row(name, "cpu", threads))).Where(entry => entry.Row is not null && value(entry.Row) is not null)
                            .Select(entry => (Math.Log10(entry.Value), Math.Log10(value(entry.Row!)!.Value))),
                    ];
                    if (points.Length > 0)
                        Figure.Line(plot, [.. points.Select(point => point.X)], [.. points.Select(point => point.Y)], color, legend: legend, marker: 5);
                }
            }
        }

        figure[0].ShowLegend(Alignment.UpperLeft);
        return figure;
    }

    private static bool IsGrown(StepTimeRow row) => row.Settings.Estimators == string.Join(',', Grown);

    private static bool IsClaimed(StepTimeRow row) => row.Settings.Estimators == string.Join(',', Claimed) && row.Shape == Claim;

    private static StepTimeShape Dense(params int[] hidden) => StepTimeShape.Parse(string.Join('-', [784, .. hidden, 10]));

    private static string Commits(IEnumerable<StepTimeRow> rows) => string.Join(", ", rows.Select(row => row.Settings.Commit).Distinct());

    private static string Cell(StepTimeRow? row) => row is null ? "not measured" : $"{Text(row.MedianMs)} ({Text(row.Ratio)})";

    private static string Quotient(StepTimeRow? numerator, StepTimeRow? denominator) => numerator is null || denominator is null ? "-" : Text(numerator.MedianMs / denominator.MedianMs);

    private static string Text(double? value) => value is { } number && double.IsFinite(number) ? StepTimeText.Number(number) : "not measured";

    /// <summary>What was measured at one value of an axis.</summary>
    private sealed record Entry(double Value, StepTimeRow[] Rows)
    {
        public StepTimeRow? Row(string estimator, string device, int threads) => Array.Find(Rows, row => row.Estimator == estimator && row.Device == device && row.Threads == threads);

        public StepTimeRow? Any(string estimator) => Array.Find(Rows, row => row.Estimator == estimator);
    }
}
