using System.Globalization;
using System.Text;
using System.Text.Json;

namespace BayesNet.Distributed;

/// <summary>
/// Results of items as they come, on disk: a line that says of what kind, then a line of JSON each. One rank writes its own file, and reads those of all
/// that are on its disk.
/// </summary>
internal sealed class ResultFile<TItem, TResult> : IDisposable
{
    private readonly string _path;
    private readonly int _rank;
    private readonly (string Item, int Turn)[] _keys;
    private FileStream? _own;

    /// <param name="path">The path of all files, but for the ranks' numbers.</param>
    /// <param name="rank">Whose file is written.</param>
    /// <param name="items">What there are results of.</param>
    internal ResultFile(string path, int rank, IReadOnlyList<TItem> items)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        (_path, _rank) = (Path.GetFullPath(path), rank);

        // Equal items are told apart by their turn.
        var turns = new Dictionary<string, int>();
        _keys = [.. items.Select(item =>
        {
            string text = JsonSerializer.Serialize(item, CollectiveExtensions.Json);
            turns[text] = turns.GetValueOrDefault(text) + 1;
            return (text, turns[text]);
        })];
    }

    private static Header Kind { get; } = new(typeof(TItem).ToString(), typeof(TResult).ToString());

    /// <summary>The results that the files on this disk have, by their items' numbers; those of other items are left alone.</summary>
    /// <exception cref="InvalidDataException">A file is of another kind, or damaged.</exception>
    internal Dictionary<int, TResult> Read()
    {
        var numbers = _keys.Index().ToDictionary(entry => entry.Item, entry => entry.Index);
        var found = new Dictionary<int, TResult>();
        foreach (string file in Files())
        {
            foreach (Line line in Lines(file))
            {
                if (numbers.TryGetValue((line.Item.GetRawText(), line.Turn), out int number))
                    found.TryAdd(number, Result(file, line));
            }
        }

        return found;
    }

    /// <summary>Writes a result behind the others.</summary>
    internal void Add(int item, TResult result)
    {
        _own ??= Open();
        using JsonDocument text = JsonDocument.Parse(_keys[item].Item);
        Write(new Line(text.RootElement, _keys[item].Turn, JsonSerializer.SerializeToElement(result, CollectiveExtensions.Json)));
    }

    public void Dispose() => _own?.Dispose();

    private IEnumerable<string> Files()
        => Directory.EnumerateFiles(Path.GetDirectoryName(_path)!, Path.GetFileName(_path) + ".*")
            .Where(file => int.TryParse(file.AsSpan(_path.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out _))
            .Order(StringComparer.Ordinal);

    private static IEnumerable<Line> Lines(string file)
    {
        string[] whole = Whole(File.ReadAllText(file)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (whole.Length == 0)
            yield break;
        Header header = Parsed<Header>(file, whole[0], 1);
        if (header != Kind)
        {
            throw new InvalidDataException(
                $"'{file}' has results of type {header.Result} of items of type {header.Item}, and these are {Kind.Result} of {Kind.Item}; take another path, or delete the file.");
        }

        for (int i = 1; i < whole.Length; i++)
            yield return Parsed<Line>(file, whole[i], i + 1);
    }

    /// <summary>All but a last line that was not finished: the job was ended while it was written.</summary>
    private static string Whole(string text) => text[..(text.LastIndexOf('\n') + 1)];

    private static T Parsed<T>(string file, string line, int number)
    {
        try
        {
            return JsonSerializer.Deserialize<T>(line, CollectiveExtensions.Json) ?? throw new JsonException();
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"Line {number} of '{file}' is no result that ranks.Map wrote; take another path, or delete the line.", error);
        }
    }

    private static TResult Result(string file, Line line)
    {
        try
        {
            return line.Result.Deserialize<TResult>(CollectiveExtensions.Json)!;
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"'{file}' has a result of {line.Item} that is no {Kind.Result}; take another path, or delete the line.", error);
        }
    }

    private FileStream Open()
    {
        var stream = new FileStream($"{_path}.{_rank}", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        try
        {
            var reader = new StreamReader(stream, Encoding.UTF8);
            stream.SetLength(Encoding.UTF8.GetByteCount(Whole(reader.ReadToEnd())));
            stream.Seek(0, SeekOrigin.End);
            _own = stream;
            if (stream.Length == 0)
                Write(Kind);
            return stream;
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    private void Write<T>(T line)
    {
        // In one piece, so that a kill leaves a whole line or one without an end.
        _own!.Write([.. JsonSerializer.SerializeToUtf8Bytes(line, CollectiveExtensions.Json), (byte)'\n']);
        _own.Flush();
    }

    private sealed record Header(string Item, string Result);

    private sealed record Line(JsonElement Item, int Turn, JsonElement Result);
}
