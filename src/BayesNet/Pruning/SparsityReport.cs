using System.Globalization;
using BayesNet.Runtime;

namespace BayesNet.Pruning;

/// <summary>How much of one weight or bias is left.</summary>
/// <param name="Name">Its name in the model.</param>
/// <param name="Total">Its entries.</param>
/// <param name="Kept">Those that are not pruned.</param>
/// <param name="IsBias">Whether it is a vector.</param>
public sealed record SparsityRow(string Name, long Total, long Kept, bool IsBias)
{
    /// <summary>The share of the entries that are pruned.</summary>
    public double Sparsity => 1 - ((double)Kept / Total);

    /// <summary>Entries over those that are left; infinite where none is.</summary>
    public double CompressionFactor => (double)Total / Kept;
}

/// <summary>How much of a model's weights is left, weight by weight and in all; <see cref="ToString"/> is a table.</summary>
public sealed class SparsityReport
{
    internal SparsityReport(IReadOnlyList<SparsityRow> rows) => Rows = rows;

    /// <summary>The weights and biases, in the model's order.</summary>
    public IReadOnlyList<SparsityRow> Rows { get; }

    /// <summary>The weights without the biases, as Molchanov, Ashukha and Vetrov (2017) count: |W| / |W that are not zero| is the compression factor.</summary>
    public SparsityRow Weights => Sum("weights", Rows.Where(row => !row.IsBias));

    /// <summary>Weights and biases.</summary>
    public SparsityRow Total => Sum("all", Rows);

    /// <summary>A table of the rows and totals.</summary>
    public override string ToString()
        => TextTable.Format(
            [.. Rows, Weights, Total],
            ("weight", row => row.Name),
            ("entries", row => row.Total.ToString("N0", CultureInfo.InvariantCulture)),
            ("kept", row => row.Kept.ToString("N0", CultureInfo.InvariantCulture)),
            ("pruned, %", row => (100 * row.Sparsity).ToString("F2", CultureInfo.InvariantCulture)),
            ("compression", row => row.CompressionFactor.ToString("F1", CultureInfo.InvariantCulture)));

    private static SparsityRow Sum(string name, IEnumerable<SparsityRow> rows)
        => rows.Aggregate(new SparsityRow(name, 0, 0, false), (sum, row) => sum with { Total = sum.Total + row.Total, Kept = sum.Kept + row.Kept });
}
