namespace BayesNet.Samples.Regression.Data;

/// <summary>A random division of rows into a training part and a held-out part; the same seed gives the same division.</summary>
internal sealed record Split(int[] Training, int[] HeldOut)
{
    /// <summary>The rows a division needs: two to train on, one to hold out.</summary>
    public const int LeastRows = 3;

    /// <summary>Divides the rows of a table; the held-out part has at least one row and leaves at least two.</summary>
    /// <exception cref="InputException">The table has fewer than three rows.</exception>
    public static Split Random(Table table, double heldOutFraction, ulong seed)
    {
        if (table.Rows < LeastRows)
        {
            throw new InputException(
                $"{table.Name}: there {(table.Rows == 1 ? "is 1 row" : $"are {table.Rows} rows")}; at least {LeastRows} are needed, two to train on and one to hold out. Add rows.");
        }

        int[] rows = [.. Enumerable.Range(0, table.Rows)];
        new Random(unchecked((int)(seed ^ (seed >> 32)))).Shuffle(rows);
        int heldOut = Math.Clamp((int)Math.Round(table.Rows * heldOutFraction), 1, table.Rows - 2);
        return new Split(rows[heldOut..], rows[..heldOut]);
    }
}
