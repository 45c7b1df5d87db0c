using System.Globalization;
using BayesNet.Benchmarks.Reporting;

namespace BayesNet.Benchmarks.GradientVariance;

/// <summary>What a part is given besides the settings of its rows.</summary>
/// <param name="Output">The report's folder.</param>
/// <param name="Data">The folder of data sets, or null.</param>
/// <param name="IsShort">Whether to measure less, on made data.</param>
/// <param name="Resume">Whether to go on from what an earlier run left.</param>
internal sealed record VarianceContext(DirectoryInfo Output, string? Data, bool IsShort, bool Resume);

/// <summary>A part of the report: it measures the rows that are not there yet, and writes its section from those that are.</summary>
internal abstract class VariancePart
{
    private const double Zero = 1e-18;

    /// <summary>On the command line, and in the rows.</summary>
    public abstract string Name { get; }

    /// <summary>
    /// libtorch's threads while it is measured: one, unless a part says otherwise. Most of it is small work, which threads make slower where
    /// other programs run.
    /// </summary>
    public virtual int Threads(VarianceContext context) => 1;

    public abstract void Measure(VarianceRows rows, VarianceContext context);

    public abstract void Write(ReportDocument document, VarianceRows rows, VarianceContext context);

    /// <summary>A row whose part, case and estimator <see cref="VarianceRows.Measure"/> fills in.</summary>
    protected static VarianceRow Row(VarianceRows rows, string gradient, double? setting, double value, long draws) => new()
    {
        Part = "",
        Case = "",
        Estimator = "",
        Gradient = gradient,
        Setting = setting,
        Value = value,
        Draws = draws,
        Settings = rows.Settings,
    };

    /// <summary>Whether rows are missing, which it says.</summary>
    /// <param name="document">The report.</param>
    /// <param name="own">The part's rows.</param>
    /// <param name="complete">Whether all are there that figures and tables need.</param>
    protected static bool Missing(ReportDocument document, IReadOnlyList<VarianceRow> own, bool complete = true)
    {
        if (own.Count > 0 && complete)
            return false;
        document.Paragraph(own.Count == 0
            ? "Not measured in this run: it was not among the parts that were asked for."
            : $"Measured in part: {own.Count} rows, which are in the JSON. The same command with --resume goes on.");
        return true;
    }

    /// <summary>How many differences from closed forms there are, and the largest.</summary>
    protected static string Summary(IReadOnlyList<VarianceRow> rows)
    {
        double[] z = [.. rows.Select(row => row.Z).OfType<double>().Select(Math.Abs)];
        if (z.Length == 0)
            return "Nothing here is random.";

        // Of n normals, all stay below x with probability erf(x / sqrt 2)^n; x = sqrt(2 ln n) is where the largest is to be expected.
        return string.Create(
            CultureInfo.InvariantCulture,
            $"The largest of the {z.Length} differences from closed forms is {z.Max():F1} standard errors (among as many normals about {Math.Sqrt(2 * Math.Log(z.Length)):F1} is to be expected); their root mean square is {Math.Sqrt(z.Average(value => value * value)):F2}.");
    }

    protected static string WithError(VarianceRow row)
        => row.StandardError is not { } error ? Number(row.Value) : Math.Abs(row.Value) < Zero ? "0" : $"{Number(row.Value)} ± {Number(error, 2)}";

    /// <summary>A number as tables have it, zero where it is rounding.</summary>
    protected static string Number(double value, int digits = 4)
    {
        double size = Math.Abs(value);
        if (size < Zero)
            return "0";
        if (size is < 1e-3 or >= 1e5)
            return value.ToString($"0.{new string('0', digits - 2)}0e0", CultureInfo.InvariantCulture);

        // G would write 7.6E+02 for 760 to two digits.
        int decimals = Math.Max(0, digits - 1 - (int)Math.Floor(Math.Log10(size)));
        return value.ToString($"F{decimals}", CultureInfo.InvariantCulture);
    }

    protected static string ZCell(VarianceRow row) => row.Z is { } z ? Signed(z) : "-";

    protected static string Signed(double value) => value.ToString("+0.0;-0.0;0.0", CultureInfo.InvariantCulture);
}
