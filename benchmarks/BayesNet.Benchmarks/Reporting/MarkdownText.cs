using System.Globalization;
using System.Text;

namespace BayesNet.Benchmarks.Reporting;

/// <summary>Markdown in the order it is added.</summary>
internal sealed class MarkdownText
{
    private readonly StringBuilder _text = new();

    public bool IsEmpty => _text.Length == 0;

    public void Section(string heading) => Paragraph($"## {heading}");

    public void Paragraph(string text) => _text.Append(text).Append("\n\n");

    public void List(IEnumerable<string> items) => Paragraph(string.Join('\n', items.Select(item => $"- {item}")));

    public void Table<T>(IEnumerable<T> rows, params IReadOnlyList<(string Header, Func<T, string> Cell)> columns)
    {
        Row(columns.Select(column => column.Header));
        Row(columns.Select(_ => "---"));
        foreach (T row in rows)
            Row(columns.Select(column => column.Cell(row)));
        _text.Append('\n');

        void Row(IEnumerable<string> cells) => _text.Append("| ").AppendJoin(" | ", cells.Select(cell => cell.Replace("|", "\\|", StringComparison.Ordinal))).Append(" |\n");
    }

    /// <summary>A picture that lies beside the text, with a caption.</summary>
    public void Figure(string key, string caption)
        => _text.Append(CultureInfo.InvariantCulture, $"![{key.Replace('-', ' ')}]({key}.png)\n\n*{caption}*\n\n");

    public override string ToString() => _text.ToString();
}
