using System.CommandLine;
using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using ScottPlot;

namespace BayesNet.Benchmarks.Comparison;

/// <summary>Sets two runs of a report side by side.</summary>
internal static class CompareCommand
{
    private const int MostRows = 60, MostColumns = 24, MostUnmatched = 40;

    public static Command Command()
    {
        var a = new Argument<DirectoryInfo>("A") { Description = "The folder of one run of a report." };
        var b = new Argument<DirectoryInfo>("B") { Description = "The folder of another run of the same report." };
        var output = new Option<DirectoryInfo>("--out") { Description = "The folder for compare.md, compare.json and a plot; default out/compare." };
        var command = new Command("compare", "Two runs of a report: the ratio B/A of every figure, rows matched by what they are of.") { a, b, output };
        command.SetAction(parsed =>
        {
            DirectoryInfo folder = parsed.GetValue(output) ?? new DirectoryInfo(Path.Combine("out", "compare"));
            ReportComparison comparison;
            try
            {
                comparison = ReportComparison.Of(parsed.GetValue(a)!, parsed.GetValue(b)!);
            }
            catch (ArgumentException error)
            {
                Console.Error.WriteLine(error.Message);
                return 1;
            }

            Console.WriteLine($"Written: {Write(folder, comparison)}");
            return 0;
        });
        return command;
    }

    /// <summary>Writes the comparison; returns the Markdown file.</summary>
    public static string Write(DirectoryInfo folder, ReportComparison comparison)
    {
        folder.Create();
        var text = new MarkdownText();
        text.Paragraph($"# Two runs of {comparison.Report}");
        text.Section("Differences of environment");
        if (comparison.Differences.Count == 0)
            text.Paragraph("None: machine, versions, seed, commit and command are the same.");
        else
            text.Table(comparison.Differences, ("", row => row.What), ("A", row => row.A), ("B", row => row.B));

        Column[] columns =
        [
            .. comparison.Figures.GroupBy(figure => Column.Of(figure)).Select(group => new Column(group.Key, [.. group.Select(figure => figure.Ratio).Where(double.IsFinite)], group.Count(figure => figure.A.Equals(figure.B)), group.Count()))
                .OrderByDescending(column => column.Spread),
        ];
        text.Section("Ratios B/A by figure");
        Column[] drawn = [.. columns.Where(column => column.Positive.Length > 0 && column.Spread > 0).Take(MostColumns)];
        if (drawn.Length > 0)
        {
            Plot(drawn).Save(Path.Combine(folder.FullName, "compare.png"));
            text.Figure("compare", $"B/A of every row, logarithmic, the figures that change most{(columns.Length > drawn.Length ? $" ({drawn.Length} of {columns.Length})" : "")}. Dashed: no change.");
        }

        text.Table(columns,
            ("figure", column => column.Name),
            ("rows", column => column.Count.ToString(CultureInfo.InvariantCulture)),
            ("the same", column => column.Same.ToString(CultureInfo.InvariantCulture)),
            ("median B/A", column => Number(column.Ratios.Length > 0 ? Measure.Median(column.Ratios) : double.NaN)),
            ("least", column => Number(column.Ratios.Length > 0 ? column.Ratios.Min() : double.NaN)),
            ("largest", column => Number(column.Ratios.Length > 0 ? column.Ratios.Max() : double.NaN)));

        ComparedFigure[] changed = [.. comparison.Figures.Where(figure => figure.Change > 0)];
        text.Section("What changed most");
        text.Paragraph(changed.Length == 0
            ? $"Nothing: all {comparison.Figures.Count:N0} figures are the same."
            : string.Create(CultureInfo.InvariantCulture, $"{changed.Length:N0} of {comparison.Figures.Count:N0} figures differ{(changed.Length > MostRows ? $"; the first {MostRows}, all in compare.json" : "")}."));
        if (changed.Length > 0)
        {
            text.Table(changed.Take(MostRows),
                ("table", figure => figure.Table), ("row", figure => figure.Row), ("figure", figure => figure.Figure), ("A", figure => Number(figure.A)), ("B", figure => Number(figure.B)), ("B/A", figure => Number(figure.Ratio)));
        }

        text.Section("Rows without a match");
        if (comparison.Unmatched.Count == 0)
            text.Paragraph("None.");
        else
            text.Table(comparison.Unmatched.Take(MostUnmatched), ("only in", row => row.OnlyIn), ("table", row => row.Table), ("row", row => row.Row));
        if (comparison.Unmatched.Count > MostUnmatched)
            text.Paragraph(string.Create(CultureInfo.InvariantCulture, $"And {comparison.Unmatched.Count - MostUnmatched:N0} more, in compare.json."));
        ReportFiles.Replace(Path.Combine(folder.FullName, "compare.json"), comparison, ReportFiles.Results);
        string file = Path.Combine(folder.FullName, "compare.md");
        ReportFiles.Replace(file, text.ToString());
        return file;
    }

    private static Figure Plot(Column[] columns)
    {
        var figure = new Figure(1, 1, 640, 120 + 24 * columns.Length);
        Plot plot = figure[0];
        figure.Label(0, "B/A of every row", "ratio", "");
        figure.Categories(0, [.. columns.Reverse().Select(column => column.Name)]);
        for (int i = 0; i < columns.Length; i++)
        {
            double[] x = [.. columns[i].Positive.Select(Math.Log10)];
            double y = columns.Length - 1 - i;
            Figure.Line(plot, x, [.. x.Select(_ => y)], Figure.Colors[3].WithAlpha(0.5), 0, marker: 6);
            Figure.Line(plot, [Math.Log10(Measure.Median(columns[i].Positive))], [y], Figure.Colors[0], 0, marker: 9);
        }

        Figure.Line(plot, [0, 0], [-0.5, columns.Length - 0.5], Figure.Ink, 1, LinePattern.Dashed);
        return figure;
    }

    private static string Number(double value) => value.ToString("G4", CultureInfo.InvariantCulture);

    /// <summary>The ratios of one figure in all rows.</summary>
    private sealed record Column(string Name, double[] Ratios, int Same, int Count)
    {
        public double[] Positive => [.. Ratios.Where(ratio => ratio > 0)];

        /// <summary>The root mean square of the ratios' logarithms.</summary>
        public double Spread => Positive is { Length: > 0 } positive ? Math.Sqrt(positive.Average(ratio => Math.Log(ratio) * Math.Log(ratio))) : 0;

        /// <summary>Series of one kind, such as curves by seed, share the name up to the last dot.</summary>
        public static string Of(ComparedFigure figure) => figure.Figure == "value" && figure.Table.Contains('.', StringComparison.Ordinal) ? figure.Table[..figure.Table.IndexOf('.')] : $"{figure.Table}: {figure.Figure}";
    }
}
