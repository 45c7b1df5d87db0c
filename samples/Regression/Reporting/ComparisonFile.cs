using CsvHelper;

namespace BayesNet.Samples.Regression.Reporting;

/// <summary>comparison.csv: a line for each way that was compared, its figures as in summary.json.</summary>
internal static class ComparisonFile
{
    public static void Write(string path, IReadOnlyList<(string Name, Summary Summary)> rows)
    {
        using CsvWriter writer = CsvWriter.ToFile(path, new CsvWriterOptions { NewLine = "\n" });
        writer.WriteHeader(["name", "rmse", "logLikelihood", "coverage95", "epistemic", "gapEpistemic", "aleatoric", "seconds"]);
        foreach ((string name, Summary s) in rows)
        {
            writer.WriteField(name);
            foreach (double? value in (double?[])[s.Rmse, s.LogLikelihood, s.Coverage95, s.Epistemic, s.GapEpistemic, s.Aleatoric, s.Seconds])
                writer.WriteField(value);
            writer.EndRecord();
        }
    }
}
