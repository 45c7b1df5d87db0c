using System.Text.Json;
using System.Text.Json.Serialization;

namespace BayesNet.Benchmarks.Reporting;

/// <summary>How reports write and read their files.</summary>
internal static class ReportFiles
{
    /// <summary>Results: snake case, infinities and NaN as strings.</summary>
    public static JsonSerializerOptions Results { get; } = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DictionaryKeyPolicy = JsonNamingPolicy.SnakeCaseLower,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    /// <summary>A JSON file that is one array of rows: camel case.</summary>
    public static JsonSerializerOptions Rows { get; } = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    /// <summary>The name that a key of a dictionary has in the JSON.</summary>
    public static string Key(string key) => JsonNamingPolicy.SnakeCaseLower.ConvertName(key);

    /// <summary>Writes a text by way of another file: one that is half written replaces nothing.</summary>
    public static void Replace(string file, string text)
    {
        string written = file + ".new";
        File.WriteAllText(written, text.TrimEnd() + "\n");
        File.Move(written, file, overwrite: true);
    }

    public static void Replace<T>(string file, T value, JsonSerializerOptions format) => Replace(file, JsonSerializer.Serialize(value, format));
}
