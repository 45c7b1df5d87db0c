using BayesNet.Benchmarks.Reporting;

namespace BayesNet.Benchmarks.GradientVariance;

/// <summary>What a part is given besides the settings of its rows.</summary>
/// <param name="Output">The report's folder.</param>
/// <param name="Data">The folder of data sets, or null.</param>
/// <param name="IsShort">Whether to measure less, on made data.</param>
internal sealed record VarianceContext(DirectoryInfo Output, string? Data, bool IsShort);

/// <summary>A part of the report: it measures the rows that are not there yet, and writes its section from those that are.</summary>
internal abstract class VariancePart
{
    /// <summary>On the command line, and in the rows.</summary>
    public abstract string Name { get; }

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
}
