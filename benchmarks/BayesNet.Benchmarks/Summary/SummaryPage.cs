using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using BayesNet.Benchmarks.Reporting;

namespace BayesNet.Benchmarks.Summary;

/// <summary>One page of all the reports in a folder: no script, no font and no picture from outside, light and dark, wide and narrow.</summary>
internal static class SummaryPage
{
    public const string FileName = "index.html";

    private const string Style = """
        :root { color-scheme: light dark; --ink: #1c1e21; --soft: #5b6168; --line: #d9dce0; --ground: #ffffff; --tint: #f4f5f7; --link: #005ea8; --bad: #b3261e; }
        @media (prefers-color-scheme: dark) { :root { --ink: #e4e6e9; --soft: #a0a6ad; --line: #3a3f45; --ground: #16181b; --tint: #202327; --link: #7db8f0; --bad: #ff8a80; } }
        * { box-sizing: border-box; }
        body { margin: 0 auto; padding: 1.2rem clamp(.8rem, 3vw, 2rem) 4rem; max-width: 72rem; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
        h1 { font-size: 1.7rem; line-height: 1.2; margin: .4em 0; } h2 { font-size: 1.4rem; margin: 2.6em 0 .4em; padding-top: 1em; border-top: 2px solid var(--line); }
        h3 { font-size: 1.15rem; margin: 1.8em 0 .4em; } h4 { font-size: 1rem; margin: 1.4em 0 .3em; }
        h1, h2, h3, h4, p, li { overflow-wrap: anywhere; }
        p, li { max-width: 46rem; } a { color: var(--link); } em { color: var(--soft); }
        code { font: .86em/1.4 ui-monospace, monospace; background: var(--tint); padding: .1em .3em; border-radius: 3px; overflow-wrap: anywhere; }
        nav { display: flex; flex-wrap: wrap; gap: .4rem .6rem; margin: 1rem 0; } nav a { padding: .2rem .7rem; border: 1px solid var(--line); border-radius: 1rem; text-decoration: none; }
        .scroll { overflow-x: auto; margin: .8rem 0; } table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
        th, td { padding: .25rem .7rem .25rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); } th { font-weight: 600; }
        td:not(:first-child) { white-space: nowrap; } td.wrap, td:has(code) { white-space: normal; min-width: 18rem; }
        p.plot { max-width: none; } .plot img { display: block; max-width: 100%; height: auto; background: #fff; border-radius: 6px; padding: 4px; }
        @media (max-width: 42rem) { .plot img { max-width: none; width: 42rem; } }
        .run, .run li { color: var(--soft); font-size: .86rem; } .bad, .bad code { color: var(--bad); font-weight: 600; }
        details { margin: .6rem 0; } summary { cursor: pointer; color: var(--link); }
        @media print { details > * { display: block; } nav { display: none; } }
        """;

    /// <summary>Writes the page.</summary>
    /// <param name="root">The folder with a sub-folder for each report.</param>
    /// <param name="order">The reports' names in the order of the page.</param>
    /// <param name="environment">Of the run that made all of them; null where each has its own.</param>
    /// <param name="runs">How the reports' runs went; none where that is not known.</param>
    /// <returns>The file.</returns>
    public static string Write(DirectoryInfo root, IEnumerable<string> order, ReportEnvironment? environment, IReadOnlyList<ReportRun> runs)
    {
        Entry[] entries = [.. order.Select(name => Read(root, name, runs.FirstOrDefault(run => run.Report == name))).OfType<Entry>()];
        var html = new StringBuilder();
        string title = "BayesNet: benchmark reports";
        html.Append(CultureInfo.InvariantCulture, $"<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>\n{Style}\n</style>\n</head>\n<body>\n<h1>{title}</h1>\n");
        if (environment is not null)
            html.Append(MarkdownPage.ToHtml(string.Join('\n', environment.Lines().Select(line => $"- {line}")), root, "").Replace("<ul>", "<ul class=\"run\">", StringComparison.Ordinal));
        html.Append("<nav>").AppendJoin(' ', entries.Select(entry => $"<a href=\"#{entry.Name}\">{entry.Name}</a>")).Append("</nav>\n");
        Overview(html, entries);
        foreach (Entry entry in entries)
            Section(html, root, entry);
        html.Append("</body>\n</html>\n");
        string file = Path.Combine(root.FullName, FileName);
        ReportFiles.Replace(file, html.ToString());
        return file;
    }

    private static void Overview(StringBuilder html, Entry[] entries)
    {
        html.Append("<div class=\"scroll\"><table>\n<thead><tr><th>report</th><th>state</th><th>day</th><th>commit</th><th>minutes</th><th>machine</th></tr></thead>\n<tbody>\n");
        foreach (Entry entry in entries)
        {
            string state = entry.Run?.State ?? (entry.Failed ? ReportRun.Failed : ReportRun.Ok);
            html.Append(CultureInfo.InvariantCulture, $"<tr><td><a href=\"#{entry.Name}\">{Encode(entry.Title)}</a></td><td{(state == ReportRun.Failed ? " class=\"bad\"" : "")}>{state}</td><td>{Encode(entry.Text("date"))}</td><td>{Encode(entry.Text("commit"))}</td><td>{entry.Minutes}</td><td>{Encode(entry.Text("cpu"))}, {entry.Text("cores")} cores</td></tr>\n");
        }

        html.Append("</tbody>\n</table></div>\n");
        foreach (Entry entry in entries.Where(entry => entry.Findings.Length > 0))
            html.Append(CultureInfo.InvariantCulture, $"<h3><a href=\"#{entry.Name}\">{Encode(entry.Title)}</a></h3>\n<ul>\n{string.Concat(entry.Findings.Select(finding => $"<li>{Encode(finding)}</li>\n"))}</ul>\n");
    }

    private static void Section(StringBuilder html, DirectoryInfo root, Entry entry)
    {
        html.Append(CultureInfo.InvariantCulture, $"<section id=\"{entry.Name}\">\n<h2>{Encode(entry.Title)}</h2>\n");
        if (entry.Run is { Error: { } error } run)
            html.Append(CultureInfo.InvariantCulture, $"<p class=\"bad\">{run.State}: {Encode(error)}</p>\n");
        string command = entry.Run?.Command ?? entry.Text("command");
        if (command.Length > 0)
            html.Append(CultureInfo.InvariantCulture, $"<p>Run it again: <code>{Encode(command)}</code></p>\n");
        string[] files = [.. entry.Files.Select(file => $"<a href=\"{entry.Name}/{file}\">{file}</a>")];
        if (files.Length > 0)
            html.Append(CultureInfo.InvariantCulture, $"<p>Files: {string.Join(", ", files)}</p>\n");
        if (entry.Markdown is not null)
            html.Append(MarkdownPage.ToHtml(entry.Markdown, root, entry.Name));
        html.Append("</section>\n");
    }

    private static Entry? Read(DirectoryInfo root, string name, ReportRun? run)
    {
        string folder = Path.Combine(root.FullName, name), markdown = Path.Combine(folder, name + ".md");
        if (!File.Exists(markdown))
            return run is null ? null : new Entry(name, run, null, null, []);
        string[] files = [.. Directory.GetFiles(folder).Select(file => Path.GetFileName(file)).Where(file => Path.GetExtension(file) is ".json" or ".md" or ".txt").Order(StringComparer.Ordinal)];
        string? json = new[] { $"{name}.environment.json", $"{name}.json" }.Select(file => Path.Combine(folder, file)).FirstOrDefault(File.Exists);
        JsonElement? content = json is null ? null : JsonSerializer.Deserialize<JsonElement>(File.ReadAllText(json));
        return new Entry(name, run, File.ReadAllText(markdown), content, files);
    }

    private static string Encode(string text) => WebUtility.HtmlEncode(text);

    /// <summary>A report of the page.</summary>
    private sealed record Entry(string Name, ReportRun? Run, string? Markdown, JsonElement? Json, string[] Files)
    {
        public string Title => Markdown?.Split('\n')[0].TrimStart('#', ' ') ?? Name;

        public bool Failed => Json is { } json && json.TryGetProperty("failures", out JsonElement failures) && failures.GetArrayLength() > 0;

        public string[] Findings => Json is { } json && json.TryGetProperty("findings", out JsonElement findings) ? [.. findings.EnumerateArray().Select(finding => finding.GetString()!)] : [];

        public string Minutes => Json is { } json && json.GetProperty("environment").TryGetProperty("minutes", out JsonElement minutes) ? minutes.GetDouble().ToString("F1", CultureInfo.InvariantCulture) : "";

        /// <summary>An entry of the report's environment; empty where there is none.</summary>
        public string Text(string key) => Json is { } json && json.GetProperty("environment").TryGetProperty(key, out JsonElement value) ? value.ToString() : "";
    }
}
