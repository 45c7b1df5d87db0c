using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace BayesNet.Benchmarks.Reporting;

/// <summary>
/// A report under way: Markdown in the order it is added, the same numbers as JSON, and plots beside both. What is measured within a
/// <see cref="Part"/> is on disk once the part is done, and a later run with <c>--resume</c> takes it from there.
/// </summary>
internal sealed class ReportDocument
{
    private readonly DirectoryInfo _folder;
    private readonly string _name, _title;
    private readonly ReportEnvironment _environment;
    private readonly Resumption _resumption;
    private readonly Dictionary<string, PartRecord> _kept = [], _parts = [];
    private readonly Dictionary<string, JsonElement> _keptResults = [];
    private readonly Dictionary<string, object> _results = [];
    private readonly List<Failure> _failures = [];
    private readonly MarkdownText _text = new();
    private readonly List<string> _findings = [];
    private PartRecord? _part;
    private bool _hasRows;

    public ReportDocument(DirectoryInfo folder, string name, string title, ReportEnvironment environment, Resumption resumption)
    {
        (_folder, _name, _title, _environment, _resumption) = (folder, name, title, environment, resumption);
        if (Resumes)
            ReadParts();
    }

    /// <summary>What went wrong: a part of the report, and the error.</summary>
    public IReadOnlyList<Failure> Failures => _failures;

    /// <summary>Whether it goes on where an earlier run ended.</summary>
    public bool Resumes => _resumption != Resumption.None;

    private string JsonFile => Path.Combine(_folder.FullName, _name + ".json");

    private string EnvironmentFile => Path.ChangeExtension(JsonFile, ".environment.json");

    private string MarkdownFile => Path.Combine(_folder.FullName, _name + ".md");

    private MarkdownText Text => _part?.Body ?? _text;

    public void Section(string heading) => Text.Section(heading);

    public void Paragraph(string text) => Text.Paragraph(text);

    /// <summary>A sentence for the list of findings on the report's top.</summary>
    public void Finding(string text)
    {
        _findings.Add(text);
        _part?.Findings.Add(text);
    }

    /// <summary>A table in the text, its rows under <paramref name="key"/> in the JSON; null for the text alone.</summary>
    public void Table<T>(string? key, IReadOnlyList<T> rows, params (string Header, Func<T, string> Cell)[] columns)
    {
        if (key is not null)
            Data(key, rows);
        Text.Table(rows, columns);
    }

    /// <summary>Numbers that go to the JSON alone.</summary>
    public void Data(string key, object value)
    {
        _results.Add(ReportFiles.Key(key), value);
        _part?.Keys.Add(ReportFiles.Key(key));
    }

    /// <summary>A figure with a caption, beside the report.</summary>
    public void Figure(string key, Figure figure, string caption)
    {
        figure.Save(Path.Combine(_folder.FullName, key + ".png"));
        Text.Figure(key, caption);
        _part?.Figures.Add(key);
    }

    /// <summary>
    /// A part of the report that stands on its own. What an earlier run has of it is taken over where that run had the same command line and
    /// processor, and the same commit unless <c>--any-commit</c> lets others stand; else it is measured and written to the files at once. An error ends the part, not the report.
    /// </summary>
    /// <param name="key">Its name in the JSON.</param>
    /// <param name="write">Measures it and adds it to this document.</param>
    /// <param name="ofAnyCommand">Whether the options of the command besides seed and <c>--short</c> make no difference to it.</param>
    public void Part(string key, Action write, bool ofAnyCommand = false)
    {
        if (_kept.Remove(key, out PartRecord? kept) && (ofAnyCommand || kept.Origin!.Command == _environment.Command))
        {
            Console.Error.WriteLine($"{key}: kept");
            Add(key, kept);
            return;
        }

        Console.Error.WriteLine(key);
        var clock = Stopwatch.StartNew();
        double? load = ReportEnvironment.Load();
        _part = new PartRecord();
        bool done = Attempt(key, write);
        PartRecord part = _part;
        _part = null;
        part.Origin = _environment.Origin with { LoadAtStart = load, LoadAtEnd = ReportEnvironment.Load(), Minutes = clock.Elapsed.TotalMinutes };
        part.Text = part.Body.ToString();
        _text.Paragraph(part.Text.TrimEnd());
        if (done)
            _parts.Add(key, part);
        Save(finished: false);
    }

    /// <summary>Runs an action; an error is written to the report, which goes on.</summary>
    /// <returns>Whether it ran to its end.</returns>
    public bool Attempt(string what, Action action)
    {
        try
        {
            action();
            return true;
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            Console.Error.WriteLine($"{what} failed: {error}");
            string message = error.Message.ReplaceLineEndings(" ").Trim();
            _failures.Add(new Failure(what, error.GetType().Name, message));
            Paragraph($"**Failed**: {what}. {error.GetType().Name}: {message}");
            return false;
        }
    }

    /// <summary>
    /// Makes the report's JSON an array of objects, camel case, and writes it at once, so that a run that ends half-way keeps what it has; what
    /// else goes to the JSON is written beside it, as .environment.json.
    /// </summary>
    public void SaveRows<T>(IReadOnlyList<T> rows)
    {
        _hasRows = true;
        ReportFiles.Replace(JsonFile, rows, ReportFiles.Rows);
    }

    /// <summary>The rows that an earlier run left in the folder, which of them stand being the report's to say; none unless this one resumes.</summary>
    public IReadOnlyList<T> SavedRows<T>()
        => Resumes && File.Exists(JsonFile) ? JsonSerializer.Deserialize<List<T>>(File.ReadAllText(JsonFile), ReportFiles.Rows) ?? [] : [];

    /// <summary>Whether what was measured so stands in this run.</summary>
    public bool Keeps(RunIdentity measured) => _resumption switch
    {
        Resumption.None => false,
        Resumption.SameCommit => measured == _environment.Identity,
        _ => measured with { Commit = _environment.Commit } == _environment.Identity,
    };

    /// <summary>
    /// Results that are on disk one by one as they come, a line of JSON each, beside the report; with <c>--resume</c> it starts with those of an
    /// earlier run that this one keeps.
    /// </summary>
    /// <param name="key">What they are; part of the file's name.</param>
    /// <param name="identity">What a result was measured with.</param>
    public ResultLines<T> Lines<T>(string key, Func<T, RunIdentity> identity)
        => new(Path.Combine(_folder.FullName, $"{_name}.{key}.jsonl"), row => Keeps(identity(row)));

    /// <summary>Writes all files; returns the Markdown file's path.</summary>
    public string Finish()
    {
        Save(finished: true);
        return MarkdownFile;
    }

    /// <summary>What this run's measurements are measured with.</summary>
    public RunIdentity Identity => _environment.Identity;

    private void Save(bool finished)
    {
        ReportEnvironment environment = _environment.At(DateTime.UtcNow);
        var text = new MarkdownText();
        text.Paragraph($"# {_title}");
        text.List(finished ? environment.Lines() : environment.Lines().Append("**unfinished**: the run was under way when this was written, or was ended; with `--resume` it goes on"));
        if (_failures.Count > 0)
            text.Paragraph($"**{_failures.Count} part{(_failures.Count == 1 ? "" : "s")} of this report failed**: {string.Join(", ", _failures.Select(failure => failure.Part))}. With `--resume` they run again, and the others are kept.");
        if (_findings.Count > 0)
        {
            text.Section("Findings");
            text.List(_findings);
        }

        ReportFiles.Replace(MarkdownFile, text + _text.ToString());

        // Parts of an earlier run that this one has not come to yet are not lost should it end here.
        IEnumerable<KeyValuePair<string, PartRecord>> ahead = finished ? [] : _kept;
        IEnumerable<KeyValuePair<string, object>> resultsAhead =
            ahead.SelectMany(part => part.Value.Keys).Where(key => !_results.ContainsKey(key)).Select(key => KeyValuePair.Create<string, object>(key, _keptResults[key]));
        var json = new Dictionary<string, object>
        {
            ["report"] = _name,
            ["title"] = _title,
            ["finished"] = finished,
            ["environment"] = environment,
            ["findings"] = _findings,
            ["failures"] = _failures,
            ["results"] = _results.Concat(resultsAhead).ToDictionary(),
            ["parts"] = _parts.Concat(ahead).ToDictionary(),
        };
        ReportFiles.Replace(_hasRows ? EnvironmentFile : JsonFile, json, ReportFiles.Results);
    }

    private void ReadParts()
    {
        string? file = new[] { EnvironmentFile, JsonFile }.FirstOrDefault(File.Exists);
        if (file is null)
            return;
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(file));
        if (json.RootElement.ValueKind != JsonValueKind.Object || !json.RootElement.TryGetProperty("parts", out JsonElement parts))
            return;
        JsonElement results = json.RootElement.GetProperty("results");
        foreach (JsonProperty property in parts.EnumerateObject())
        {
            PartRecord part = property.Value.Deserialize<PartRecord>(ReportFiles.Results)!;
            if (part.Origin is not { } origin || !Keeps(new RunIdentity(origin.Commit, origin.Cpu, origin.Seed, origin.Short)) || !part.Figures.TrueForAll(figure => File.Exists(Path.Combine(_folder.FullName, figure + ".png"))))
                continue;
            _kept.Add(property.Name, part);
            foreach (string key in part.Keys)
                _keptResults.Add(key, results.GetProperty(key).Clone());
        }
    }

    private void Add(string key, PartRecord part)
    {
        _parts.Add(key, part);
        _findings.AddRange(part.Findings);
        foreach (string result in part.Keys)
            _results.Add(result, _keptResults[result]);
        Origin origin = part.Origin!;
        _text.Paragraph(part.Text.TrimEnd());
        _text.Paragraph(string.Create(
            CultureInfo.InvariantCulture, $"*Kept from an earlier run: {origin.Date}, commit {origin.Commit}, `{origin.Command}`.*"));
    }

    /// <summary>An error that a part ended with.</summary>
    internal sealed record Failure(string Part, string Error, string Message);

    /// <summary>A part as the JSON has it; its numbers are among the results, under its keys.</summary>
    private sealed record PartRecord
    {
        public Origin? Origin { get; set; }
        public List<string> Keys { get; init; } = [];
        public List<string> Figures { get; init; } = [];
        public List<string> Findings { get; init; } = [];
        public string Text { get; set; } = "";

        [System.Text.Json.Serialization.JsonIgnore]
        public MarkdownText Body { get; } = new();
    }
}
