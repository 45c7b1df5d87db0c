using System.Text;

namespace BayesNet.Runtime;

/// <summary>Rows as text in aligned columns: names to the left, numbers to the right.</summary>
internal static class TextTable
{
    /// <summary>The rows under headers; a column whose cells all begin with a digit, a sign or nothing is set to the right.</summary>
    internal static string Format<T>(IReadOnlyList<T> rows, params IReadOnlyList<(string Header, Func<T, string> Cell)> columns)
    {
        string[][] cells = [.. rows.Select(row => columns.Select(column => column.Cell(row)).ToArray())];
        int[] widths = [.. columns.Select((column, i) => cells.Select(row => row[i].Length).Append(column.Header.Length).Max())];
        bool[] right = [.. columns.Select((_, i) => cells.All(row => row[i].Length == 0 || char.IsAsciiDigit(row[i][0]) || row[i][0] is '-' or '∞'))];
        var text = new StringBuilder();
        Line([.. columns.Select(column => column.Header)]);
        text.AppendJoin("  ", widths.Select(width => new string('-', width))).Append('\n');
        foreach (string[] row in cells)
            Line(row);
        return text.ToString();

        void Line(string[] values)
            => text.Append(string.Join("  ", values.Select((value, i) => right[i] ? value.PadLeft(widths[i]) : value.PadRight(widths[i]))).TrimEnd()).Append('\n');
    }
}
