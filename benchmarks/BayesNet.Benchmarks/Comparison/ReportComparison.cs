using System.Text.Json;

namespace BayesNet.Benchmarks.Comparison;

/// <summary>A figure that two runs both have.</summary>
/// <param name="Table">Its table.</param>
/// <param name="Row">The values of the row's key columns.</param>
/// <param name="Figure">Its column.</param>
/// <param name="A">In the first run.</param>
/// <param name="B">In the second.</param>
internal sealed record ComparedFigure(string Table, string Row, string Figure, double A, double B)
{
    /// <summary>B/A; 1 where both are the same, 0 or infinite; NaN where there is no ratio.</summary>
    public double Ratio => A.Equals(B) ? 1 : A == 0 || !double.IsFinite(A) || !double.IsFinite(B) ? double.NaN : B / A;

    /// <summary>How far apart they are: |ln ratio|, infinite where they differ and have no positive ratio.</summary>
    public double Change => Ratio > 0 ? Math.Abs(Math.Log(Ratio)) : double.PositiveInfinity;
}

/// <summary>A row that only one of two runs has.</summary>
internal sealed record UnmatchedRow(string Table, string Row, string OnlyIn);

/// <summary>What two runs differ in besides their figures.</summary>
internal sealed record Difference(string What, string A, string B);

/// <summary>Two runs of one report side by side.</summary>
/// <param name="Report">The report's name.</param>
/// <param name="Differences">Of environment and command, on top.</param>
/// <param name="Figures">By change, the largest first.</param>
/// <param name="Unmatched">Rows of one run alone.</param>
internal sealed record ReportComparison(string Report, IReadOnlyList<Difference> Differences, IReadOnlyList<ComparedFigure> Figures, IReadOnlyList<UnmatchedRow> Unmatched)
{
    // What every two runs differ in.
    private static readonly string[] OfEveryRun = ["minutes", "load_at_start", "load_at_end"];

    /// <summary>Compares the runs in two folders.</summary>
    /// <exception cref="ArgumentException">A folder has no report's JSON, or they have different reports.</exception>
    public static ReportComparison Of(DirectoryInfo first, DirectoryInfo second)
    {
        Run a = Run.Read(first), b = Run.Read(second);
        if (a.Report != b.Report)
            throw new ArgumentException($"{first.FullName} has the report '{a.Report}' and {second.FullName} '{b.Report}'; only runs of the same report can be compared.", nameof(second));
        var figures = new List<ComparedFigure>();
        var unmatched = new List<UnmatchedRow>();
        foreach (string name in a.Tables.Keys.Union(b.Tables.Keys))
        {
            ComparedTable empty = new(name, []);
            Match(a.Tables.GetValueOrDefault(name, empty), b.Tables.GetValueOrDefault(name, empty), figures, unmatched);
        }

        return new ReportComparison(a.Report, [.. Differences(a.Environment, b.Environment)], [.. figures.OrderByDescending(figure => figure.Change)], unmatched);

        static IEnumerable<Difference> Differences(IReadOnlyDictionary<string, string> a, IReadOnlyDictionary<string, string> b)
            => a.Keys.Union(b.Keys).Except(OfEveryRun)
                .Select(key => new Difference(key, a.GetValueOrDefault(key, "-"), b.GetValueOrDefault(key, "-"))).Where(difference => difference.A != difference.B);
    }

    /// <summary>Matches the rows of two tables by their key columns.</summary>
    internal static void Match(ComparedTable a, ComparedTable b, List<ComparedFigure> figures, List<UnmatchedRow> unmatched)
    {
        int columns = Math.Max(a.KeyColumns(), b.KeyColumns());
        Dictionary<string, Dictionary<string, JsonElement>> first = Index(a), second = Index(b);
        foreach ((string key, Dictionary<string, JsonElement> row) in first)
        {
            if (!second.TryGetValue(key, out Dictionary<string, JsonElement>? other))
            {
                unmatched.Add(new UnmatchedRow(a.Name, key, "A"));
                continue;
            }

            foreach ((string column, JsonElement value) in row)
            {
                if (ComparedTable.Number(value) is { } x && other.TryGetValue(column, out JsonElement theirs) && ComparedTable.Number(theirs) is { } y)
                    figures.Add(new ComparedFigure(a.Name, key, column, x, y));
            }
        }

        unmatched.AddRange(second.Keys.Except(first.Keys).Select(key => new UnmatchedRow(b.Name, key, "B")));

        // Rows that their columns do not tell apart are told apart by their order.
        Dictionary<string, Dictionary<string, JsonElement>> Index(ComparedTable table)
        {
            var rows = new Dictionary<string, Dictionary<string, JsonElement>>();
            foreach (IReadOnlyList<KeyValuePair<string, JsonElement>> row in table.Rows)
            {
                string key = ComparedTable.Key(row, columns), own = key;
                for (int again = 2; rows.ContainsKey(own); again++)
                    own = $"{key} ({again})";
                rows.Add(own, row.Skip(columns).ToDictionary());
            }

            return rows;
        }
    }

    /// <summary>What a run's folder has.</summary>
    private sealed record Run(string Report, Dictionary<string, string> Environment, Dictionary<string, ComparedTable> Tables)
    {
        public static Run Read(DirectoryInfo folder)
        {
            JsonElement? results = null, rows = null, environment = null;
            string? report = null;
            foreach (FileInfo file in folder.Exists ? folder.GetFiles("*.json").OrderBy(file => file.Name, StringComparer.Ordinal) : Enumerable.Empty<FileInfo>())
            {
                JsonElement root = JsonSerializer.Deserialize<JsonElement>(File.ReadAllText(file.FullName));
                if (root.ValueKind == JsonValueKind.Array)
                {
                    rows = root;
                }
                else if (root.TryGetProperty("report", out JsonElement name) && root.TryGetProperty("results", out JsonElement found))
                {
                    (report, results) = (name.GetString(), found);
                    environment = root.GetProperty("environment");
                }
            }

            if (report is null)
                throw new ArgumentException($"{folder.FullName} has no report: a report's folder holds its JSON, as --out wrote it.", nameof(folder));
            IEnumerable<ComparedTable> tables = rows is { } array ? ComparedTable.All(report, array) : [];
            return new Run(
                report,
                environment!.Value.EnumerateObject().ToDictionary(property => property.Name, property => property.Value.ToString()),
                tables.Concat(ComparedTable.All("", results!.Value)).ToDictionary(table => table.Name));
        }
    }
}
