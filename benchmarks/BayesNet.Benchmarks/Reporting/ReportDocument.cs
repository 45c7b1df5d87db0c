using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace BayesNet.Benchmarks.Reporting;

/// <summary>A report under way: Markdown in the order it is added, the same numbers as JSON, and plots beside both.</summary>
internal sealed class ReportDocument(DirectoryInfo folder, string name)
{
    private static readonly JsonSerializerOptions JsonFormat = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DictionaryKeyPolicy = JsonNamingPolicy.SnakeCaseLower,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    private static readonly JsonSerializerOptions RowFormat = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    private readonly StringBuilder _text = new();
    private readonly Dictionary<string, object> _data = [];
    private bool _hasRows;

    private string JsonFile => Path.Combine(folder.FullName, name + ".json");

    public void Section(string heading) => _text.Append(CultureInfo.InvariantCulture, $"## {heading}\n\n");

    public void Paragraph(string text) => _text.Append(text).Append("\n\n");

    /// <summary>A table in the text, its rows under <paramref name="key"/> in the JSON.</summary>
    public void Table<T>(string key, IReadOnlyList<T> rows, params (string Header, Func<T, string> Cell)[] columns)
    {
        _data.Add(key, rows);
        Row(columns.Select(column => column.Header));
        Row(columns.Select(_ => "---"));
        foreach (T row in rows)
            Row(columns.Select(column => column.Cell(row)));
        _text.Append('\n');

        void Row(IEnumerable<string> cells) => _text.Append("| ").AppendJoin(" | ", cells).Append(" |\n");
    }

    /// <summary>Numbers that go to the JSON alone.</summary>
    public void Data(string key, object value) => _data.Add(key, value);

    /// <summary>A figure with a caption, beside the report.</summary>
    public void Figure(string key, Figure figure, string caption)
    {
        figure.Save(Path.Combine(folder.FullName, key + ".png"));
        _text.Append(CultureInfo.InvariantCulture, $"![{key.Replace('-', ' ')}]({key}.png)\n\n*{caption}*\n\n");
    }

    /// <summary>
    /// Makes the report's JSON an array of objects, camel case, and writes it at once, so that a run that ends half-way keeps what it has; what
    /// else goes to the JSON is written beside it, as .environment.json.
    /// </summary>
    public void SaveRows<T>(IReadOnlyList<T> rows)
    {
        _hasRows = true;
        Replace(JsonFile, JsonSerializer.Serialize(rows, RowFormat));
    }

    /// <summary>The rows that an earlier run left in the folder; none where there is no such file.</summary>
    public IReadOnlyList<T> SavedRows<T>()
        => File.Exists(JsonFile) ? JsonSerializer.Deserialize<List<T>>(File.ReadAllText(JsonFile), RowFormat) ?? [] : [];

    /// <summary>Writes all files; returns the Markdown file's path.</summary>
    public string Save(string title, ReportEnvironment environment)
    {
        string head = $"# {title}\n\n{string.Join("\n", environment.Lines().Select(line => $"- {line}"))}\n\n";
        string file = Path.Combine(folder.FullName, name + ".md");
        Replace(file, head + _text.ToString().TrimEnd());
        var json = new Dictionary<string, object> { ["report"] = name, ["environment"] = environment, ["results"] = _data };
        Replace(_hasRows ? Path.ChangeExtension(JsonFile, ".environment.json") : JsonFile, JsonSerializer.Serialize(json, JsonFormat));
        return file;
    }

    // By way of another file: one that is half written replaces nothing.
    private static void Replace(string file, string text)
    {
        string written = file + ".new";
        File.WriteAllText(written, text + "\n");
        File.Move(written, file, overwrite: true);
    }
}
