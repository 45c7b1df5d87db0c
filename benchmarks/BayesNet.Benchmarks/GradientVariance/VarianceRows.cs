using BayesNet.Benchmarks.Reporting;

namespace BayesNet.Benchmarks.GradientVariance;

/// <summary>The rows so far, written to the report's JSON whenever a unit of work is done, so that a run can go on where another ended.</summary>
internal sealed class VarianceRows
{
    private readonly ReportDocument _document;
    private readonly List<VarianceRow> _rows;

    /// <summary>Rows of an earlier run with fitting settings where <paramref name="resume"/>, else none.</summary>
    public VarianceRows(ReportDocument document, VarianceSettings settings, bool resume)
    {
        (_document, Settings) = (document, settings);
        _rows = resume ? [.. document.SavedRows<VarianceRow>().Where(row => row.Settings.Fits(settings))] : [];
        document.SaveRows(_rows);
    }

    public VarianceSettings Settings { get; }

    /// <summary>The rows of a part.</summary>
    public IReadOnlyList<VarianceRow> Of(string part) => [.. _rows.Where(row => row.Part == part)];

    public IReadOnlyList<VarianceRow> All => _rows;

    /// <summary>Whether a unit of work is there.</summary>
    public bool Has(string part, string @case, string? estimator)
        => _rows.Any(row => row.Part == part && row.Case == @case && (estimator is null || row.Estimator == estimator));

    /// <summary>Measures a unit of work that is not there yet, and saves it; of several estimators, which its rows name, where <paramref name="estimator"/> is null.</summary>
    public void Measure(string part, string @case, string? estimator, Func<IEnumerable<VarianceRow>> unit)
    {
        if (Has(part, @case, estimator))
            return;
        Console.Error.WriteLine($"{part}: {@case}{(estimator is null ? "" : ", " + estimator)}");
        _rows.AddRange(unit().Select(row => row with { Part = part, Case = @case, Estimator = estimator ?? row.Estimator }));
        _document.SaveRows(_rows);
    }
}
