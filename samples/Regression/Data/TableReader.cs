using System.Globalization;
using CsvHelper;

namespace BayesNet.Samples.Regression.Data;

/// <summary>
/// Reads a table of numbers: fields separated by commas, semicolons, tabs or runs of blanks, with or without a line of names, one target
/// column and the rest inputs. Numbers are written with a decimal point, 1.0e+00 included.
/// </summary>
internal static class TableReader
{
    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="target">The name or the number, from 1, of the target column; null for the last.</param>
    /// <exception cref="InputException">The file can't be read, or is no such table.</exception>
    public static Table Read(string path, string? target = null)
    {
        try
        {
            return Parse(File.ReadAllText(path), path, target);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InputException($"{path}: there is no such file; check --data.");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: the file can't be read: {error.Message}");
        }
    }

    /// <summary>Reads the text of a file.</summary>
    /// <param name="text">The text.</param>
    /// <param name="name">What messages call the file.</param>
    /// <param name="target">As for <see cref="Read"/>.</param>
    /// <exception cref="InputException">The text is no such table.</exception>
    public static Table Parse(string text, string name, string? target = null)
    {
        List<Line> lines = Separate(text, name);
        if (lines.Count == 0)
            throw new InputException($"{name}: the file is empty; it must hold rows of numbers.");

        string[] first = lines[0].Fields;
        int numbers = first.Count(IsNumber);
        if (numbers > 0 && numbers < first.Length && first.Count(field => !IsNumber(field)) is int others)
        {
            int column = Array.FindIndex(first, field => !IsNumber(field)) + 1;
            throw new InputException(
                $"{name}, line {lines[0].Number}, column {column}: '{first[column - 1]}' is no number, and {numbers} of the line's {first.Length} fields are. "
                + (others == 1 ? "Correct the field, or remove the row." : "The first line must be all names or all numbers: correct or remove it."));
        }

        bool header = numbers == 0;
        string[] names = header ? first : [.. Enumerable.Range(1, first.Length).Select(column => $"column {column}")];
        if (names.Length < 2)
            throw new InputException($"{name}, line {lines[0].Number}: there is one column; at least two are needed, an input and the target. Separate them by commas, semicolons, tabs or blanks.");
        int targetColumn = FindTarget(names, header, target, name);
        if (header)
            lines.RemoveAt(0);
        if (lines.Count == 0)
            throw new InputException($"{name}: there is a line of names and no row of numbers.");

        var inputs = new double[lines.Count][];
        var targets = new double[lines.Count];
        for (int row = 0; row < lines.Count; row++)
        {
            double[] values = Numbers(lines[row], names, header, name);
            targets[row] = values[targetColumn];
            inputs[row] = [.. values.Where((_, column) => column != targetColumn)];
        }

        return new Table(name, [.. names.Where((_, column) => column != targetColumn)], names[targetColumn], inputs, targets);
    }

    private static double[] Numbers(Line line, string[] names, bool header, string file)
    {
        if (line.Fields.Length != names.Length)
        {
            throw new InputException(
                $"{file}, line {line.Number}: {line.Fields.Length} fields where the first line has {names.Length}; complete the row or remove it.");
        }

        var values = new double[names.Length];
        for (int column = 0; column < values.Length; column++)
        {
            string field = line.Fields[column];
            string? wrong = field.Length == 0 ? "the field is empty"
                : !TryNumber(field, out values[column]) ? $"'{field}' is no number (numbers are written as 1.5 or 1.0e+00)"
                : !double.IsFinite(values[column]) ? $"'{field}' is not finite"
                : null;
            if (wrong is not null)
            {
                throw new InputException(
                    $"{file}, line {line.Number}, column {column + 1}{(header ? $" ({names[column]})" : "")}: {wrong}; impute the value or remove the row.");
            }
        }

        return values;
    }

    private static int FindTarget(string[] names, bool header, string? target, string file)
    {
        if (target is null)
            return names.Length - 1;
        if (header)
        {
            int[] matches = Matches(StringComparison.Ordinal);
            if (matches.Length == 0)
                matches = Matches(StringComparison.OrdinalIgnoreCase);
            if (matches.Length == 1)
                return matches[0];
            if (matches.Length > 1)
                throw new InputException($"{file}: {matches.Length} columns are named '{target}'; give the target by its number, --target {matches[0] + 1} say.");
        }

        if (int.TryParse(target, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= 1 && number <= names.Length)
            return number - 1;
        throw new InputException(
            $"{file}: there is no column '{target}'; --target takes a number from 1 to {names.Length}"
            + (header ? $" or one of the names {string.Join(", ", names)}." : "; the file has no line of names."));

        int[] Matches(StringComparison comparison)
            => [.. Enumerable.Range(0, names.Length).Where(column => names[column].Equals(target, comparison))];
    }

    private static List<Line> Separate(string text, string name)
    {
        string? start = text.Split('\n').FirstOrDefault(line => !string.IsNullOrWhiteSpace(line));
        if (start is null)
            return [];
        foreach (char separator in ";,\t")
        {
            if (start.Contains(separator))
                return Separate(text, separator, name);
        }

        return
        [
            .. text.Split('\n').Select((line, index) => new Line(index + 1, line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)))
                .Where(line => line.Fields.Length > 0),
        ];
    }

    private static List<Line> Separate(string text, char separator, string name)
    {
        using CsvReader reader = CsvReader.FromText(text, new CsvReaderOptions
        {
            Separator = separator,
            HasHeader = false,
            TrimWhitespace = true,
            TrackLineNumbers = true,
            MalformedData = CsvMalformedDataHandling.Throw,
        });
        var lines = new List<Line>();
        try
        {
            while (reader.Read())
            {
                string[] fields = [.. Enumerable.Range(0, reader.FieldCount).Select(reader.GetString)];
                if (fields.Any(field => field.Length > 0))
                    lines.Add(new Line((int)reader.LineNumber, fields));
            }
        }
        catch (CsvFormatException malformed)
        {
            throw new InputException($"{name}, line {malformed.LineNumber}: the quotation marks do not match; quote a whole field or none of it.");
        }

        return lines;
    }

    private static bool IsNumber(string field) => TryNumber(field, out _);

    private static bool TryNumber(string field, out double value)
        => double.TryParse(field, NumberStyles.Float, CultureInfo.InvariantCulture, out value);

    private readonly record struct Line(int Number, string[] Fields);
}
