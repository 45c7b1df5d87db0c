namespace BayesNet.Samples.Regression.Data;

/// <summary>Inputs and one target in the units of the data set, row by row; every value is finite.</summary>
/// <param name="Name">What messages and figures call the data: a file name, say.</param>
/// <param name="InputNames">One for each input column.</param>
/// <param name="TargetName">The name of the target column.</param>
/// <param name="Inputs">[row][column].</param>
/// <param name="Targets">[row].</param>
internal sealed record Table(string Name, IReadOnlyList<string> InputNames, string TargetName, double[][] Inputs, double[] Targets)
{
    public int Rows => Targets.Length;

    public int Columns => InputNames.Count;

    /// <summary>The same columns, with the given rows in the given order.</summary>
    public Table Select(IEnumerable<int> rows)
    {
        int[] chosen = [.. rows];
        return this with { Inputs = [.. chosen.Select(row => Inputs[row])], Targets = [.. chosen.Select(row => Targets[row])] };
    }

    /// <summary>The same rows without some of the input columns.</summary>
    public Table Without(IReadOnlySet<int> columns)
    {
        int[] kept = [.. Enumerable.Range(0, Columns).Where(column => !columns.Contains(column))];
        return this with
        {
            InputNames = [.. kept.Select(column => InputNames[column])],
            Inputs = [.. Inputs.Select(row => kept.Select(column => row[column]).ToArray())],
        };
    }
}
