using BayesNet.Samples.Regression.Data;
using BayesNet.Samples.Regression.Modelling;
using CsvHelper;

namespace BayesNet.Samples.Regression.Reporting;

/// <summary>predictions.csv: a line for each held-out row, inputs first, everything in the units of the table.</summary>
internal static class PredictionsFile
{
    private static readonly string[] Columns = ["target", "mean", "epistemic", "aleatoric", "stdDev", "lower95", "upper95"];

    public static void Write(string path, Table heldOut, IReadOnlyList<RowPrediction> predictions)
    {
        using CsvWriter writer = CsvWriter.ToFile(path, new CsvWriterOptions { NewLine = "\n" });

        // An input that has the name of a column of ours would hide it from a reader by name.
        writer.WriteHeader([.. heldOut.InputNames.Select(name => Columns.Contains(name) ? $"input {name}" : name), .. Columns]);
        for (int row = 0; row < predictions.Count; row++)
        {
            foreach (double input in heldOut.Inputs[row])
                writer.WriteField(input);
            RowPrediction p = predictions[row];
            foreach (double value in (double[])[heldOut.Targets[row], p.Mean, p.Epistemic, p.Aleatoric, p.StdDev, p.Lower95, p.Upper95])
                writer.WriteField(value);
            writer.EndRecord();
        }
    }
}
