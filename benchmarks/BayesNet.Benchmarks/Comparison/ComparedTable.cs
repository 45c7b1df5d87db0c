using System.Globalization;
using System.Text.Json;

namespace BayesNet.Benchmarks.Comparison;

/// <summary>A table of a report's JSON: rows of columns, flat, in their order.</summary>
/// <param name="Name">Where it is in the JSON.</param>
/// <param name="Rows">The rows; nested objects have columns named by their path.</param>
internal sealed record ComparedTable(string Name, IReadOnlyList<IReadOnlyList<KeyValuePair<string, JsonElement>>> Rows)
{
    // How a row came to be, no figure of it.
    private static readonly string[] Provenance = ["settings", "origin", "date"];

    /// <summary>
    /// All tables in a report's results: arrays of objects; arrays of numbers, by their place; objects with numbers, as tables of one row. What
    /// is neither is passed over.
    /// </summary>
    public static IEnumerable<ComparedTable> All(string name, JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Array when value.GetArrayLength() > 0 && value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.Object):
                yield return new ComparedTable(name, [.. value.EnumerateArray().Select(item => Flat(item))]);
                break;
            case JsonValueKind.Array when value.GetArrayLength() > 0 && value.EnumerateArray().All(item => Number(item) is not null):
                yield return new ComparedTable(name, [.. value.EnumerateArray().Select((item, i) => (IReadOnlyList<KeyValuePair<string, JsonElement>>)[new("place", JsonSerializer.SerializeToElement(i)), new("value", item)])]);
                break;
            case JsonValueKind.Object:
                if (value.EnumerateObject().Any(property => Number(property.Value) is not null))
                    yield return new ComparedTable(name, [Flat(value)]);
                foreach (ComparedTable inner in value.EnumerateObject().Where(property => property.Value.ValueKind is JsonValueKind.Object or JsonValueKind.Array)
                    .SelectMany(property => All(name.Length == 0 ? property.Name : $"{name}.{property.Name}", property.Value)))
                {
                    yield return inner;
                }

                break;
        }
    }

    /// <summary>
    /// How many of the first columns say what a row is: as few as tell the rows apart, and the texts that follow them at once. A row leads with
    /// what it is of; figures come behind. A table of one row has its texts.
    /// </summary>
    public int KeyColumns()
    {
        if (Rows.Count == 0)
            return 0;
        int most = Rows.Min(row => row.Count), columns = Rows.Count == 1 ? 0 : 1;
        while (columns < most && Rows.Count > 1 && Rows.Select(row => Key(row, columns)).Distinct().Count() < Rows.Count)
            columns++;
        while (columns < most && Rows.All(row => IsText(row[columns].Value)))
            columns++;
        return columns;
    }

    /// <summary>The values of a row's first columns.</summary>
    public static string Key(IReadOnlyList<KeyValuePair<string, JsonElement>> row, int columns) => string.Join(", ", row.Take(columns).Select(cell => cell.Value.ToString()));

    /// <summary>A number, infinities and NaN written as strings included; null for anything else.</summary>
    public static double? Number(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Number => value.GetDouble(),
        JsonValueKind.String when value.GetString() is "NaN" or "Infinity" or "-Infinity" => double.Parse(value.GetString()!, CultureInfo.InvariantCulture),
        _ => null,
    };

    private static bool IsText(JsonElement value) => value.ValueKind == JsonValueKind.String && Number(value) is null;

    private static List<KeyValuePair<string, JsonElement>> Flat(JsonElement row, string prefix = "")
    {
        var cells = new List<KeyValuePair<string, JsonElement>>();
        foreach (JsonProperty property in row.EnumerateObject().Where(property => !Provenance.Contains(property.Name)))
        {
            if (property.Value.ValueKind == JsonValueKind.Object)
                cells.AddRange(Flat(property.Value, prefix + property.Name + "."));
            else if (property.Value.ValueKind != JsonValueKind.Array)
                cells.Add(new(prefix + property.Name, property.Value));
        }

        return cells;
    }
}
