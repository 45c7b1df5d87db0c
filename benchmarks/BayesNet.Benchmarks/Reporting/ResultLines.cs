using System.Text.Json;

namespace BayesNet.Benchmarks.Reporting;

/// <summary>Results in a file, a line of JSON each, written as they come; several threads may add.</summary>
internal sealed class ResultLines<T>
{
    private readonly Lock _writing = new();
    private readonly string _file;
    private readonly List<T> _rows;

    /// <summary>Starts with what the file has and <paramref name="keep"/> admits; the rest of the file is dropped.</summary>
    public ResultLines(string file, Func<T, bool> keep)
    {
        _file = file;
        _rows = [.. Read(file).Where(keep)];
        ReportFiles.Replace(file, string.Join('\n', _rows.Select(row => JsonSerializer.Serialize(row))));
    }

    /// <summary>The results so far.</summary>
    public IReadOnlyList<T> Rows
    {
        get
        {
            lock (_writing)
                return [.. _rows];
        }
    }

    public void Add(T row)
    {
        lock (_writing)
        {
            File.AppendAllText(_file, JsonSerializer.Serialize(row) + "\n");
            _rows.Add(row);
        }
    }

    // A line that a killed run left unfinished is no result.
    private static IEnumerable<T> Read(string file)
    {
        foreach (string text in File.Exists(file) ? File.ReadAllLines(file) : [])
        {
            T? row = default;
            try
            {
                if (text.Length > 0)
                    row = JsonSerializer.Deserialize<T>(text);
            }
            catch (JsonException)
            {
            }

            if (row is not null)
                yield return row;
        }
    }
}
