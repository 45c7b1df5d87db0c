using System.Globalization;
using BayesNet.Samples.Regression.Data;
using BayesNet.Samples.Regression.Modelling;
using BayesNet.Samples.Regression.Reporting;
using BayesNet.Training;
using Spectre.Console;
using Table = BayesNet.Samples.Regression.Data.Table;

namespace BayesNet.Samples.Regression;

/// <summary>One run from data to files: read or draw, divide, train, predict the held-out rows, write.</summary>
internal static class Experiment
{
    private const int CurveRows = 400;

    /// <summary>Runs it.</summary>
    /// <param name="console">Where progress and figures are shown.</param>
    /// <param name="file">The table; null for the synthetic curve.</param>
    /// <param name="target">The table's target column; null for the last.</param>
    /// <param name="directory">Where plot.png, predictions.csv and summary.json go; made where it is missing.</param>
    /// <param name="settings">How to train and predict.</param>
    /// <param name="cancelled">Ends the training; what was learned until then is predicted with and written.</param>
    /// <exception cref="InputException">The data or the directory can't be used, or training diverged.</exception>
    public static Summary Run(IAnsiConsole console, string? file, string? target, string directory, Settings settings, CancellationToken cancelled)
    {
        Preparation data = Prepare(console, file, target, directory, settings);
        using FittedModel model = Train(console, data, settings, cancelled);
        Evaluation evaluation = Evaluation.Of(model);
        Summary summary = Summary.Of(model, evaluation);
        AsInput($"--out {directory}: the files can't be written", () =>
        {
            summary.Write(Path.Combine(directory, "summary.json"));
            PredictionsFile.Write(Path.Combine(directory, "predictions.csv"), data.HeldOut, evaluation.Rows);
            string plot = Path.Combine(directory, "plot.png");
            if (data.Training.Columns == 1)
                CurveFigure.Save(plot, model, file is null ? SyntheticCurve.Mean : null);
            else
                CalibrationFigure.Save(plot, model, evaluation);
        });
        Show(console, summary, directory);
        return summary;
    }

    /// <summary>Fits the same rows in several ways, and writes comparison.png and comparison.csv.</summary>
    /// <param name="console">Where progress and figures are shown.</param>
    /// <param name="file">The table; null for the synthetic curve.</param>
    /// <param name="target">The table's target column; null for the last.</param>
    /// <param name="directory">Where the files go; made where it is missing.</param>
    /// <param name="variants">The ways, each with its name.</param>
    /// <param name="cancelled">Ends the run, which then writes nothing.</param>
    /// <exception cref="InputException">The data or the directory can't be used, training diverged, or the run was cancelled.</exception>
    public static void Compare(
        IAnsiConsole console, string? file, string? target, string directory, IReadOnlyList<(string Name, Settings Settings)> variants, CancellationToken cancelled)
    {
        Preparation data = Prepare(console, file, target, directory, variants[0].Settings);
        var figure = new ComparisonFigure(file is null ? SyntheticCurve.Mean : null);
        var rows = new List<(string Name, Summary Summary)>();
        foreach ((string name, Settings settings) in variants)
        {
            Write(console, $"{name}:");
            using FittedModel model = Train(console, data, settings, cancelled);
            if (model.Fit is { Cancelled: true })
                throw Cancelled(name);
            Evaluation evaluation = Evaluation.Of(model);
            figure.Add(name, model, evaluation);
            rows.Add((name, Summary.Of(model, evaluation)));
        }

        AsInput($"--out {directory}: the files can't be written", () =>
        {
            figure.Save(Path.Combine(directory, "comparison.png"));
            ComparisonFile.Write(Path.Combine(directory, "comparison.csv"), rows);
        });
        int width = rows.Max(row => row.Name.Length);
        Write(console, $"{"".PadRight(width)}      RMSE  log lik.  95 % cov.  epistemic  in the gap  aleatoric  seconds");
        foreach ((string name, Summary s) in rows)
        {
            Write(console, string.Create(
                CultureInfo.InvariantCulture,
                $"{name.PadRight(width)}  {s.Rmse,8:G4}  {s.LogLikelihood,8:F3}  {s.Coverage95,9:F3}  {s.Epistemic,9:G3}  {s.GapEpistemic,10:G3}  {s.Aleatoric,9:G3}  {s.Seconds,7:F1}"));
        }

        Write(console, $"written             {directory}: comparison.png, comparison.csv");
        Write(console, data.Training.Columns == 1
            ? "look at              the width of the darker band in the gap and beyond the data, where nothing was observed; RMSE and coverage on held-out rows say little of it"
            : "look at              the log likelihood, which counts error and spread together, and lines below the diagonal: intervals that promise too much");
    }

    private static Preparation Prepare(IAnsiConsole console, string? file, string? target, string directory, Settings settings)
    {
        Table table = file is null ? SyntheticCurve.Draw(CurveRows, settings.Seed) : TableReader.Read(file, target);
        Preparation data = Preparation.Of(table, settings.TestFraction, settings.Seed);

        // Before the training, which would be lost.
        AsInput($"--out {directory}: the directory can't be made", () => Directory.CreateDirectory(directory));
        Write(console, $"{table.Name}: {data.Training.Rows} rows to train on, {data.HeldOut.Rows} held out; {data.Training.Columns} inputs, target {table.TargetName}");
        if (data.DroppedColumns.Count > 0)
            Write(console, $"warning: left out, because constant in the training rows: {string.Join(", ", data.DroppedColumns)}");
        return data;
    }

    private static InputException Cancelled(string what) => new($"cancelled in the course of {what}; nothing was written");

    private static FittedModel Train(IAnsiConsole console, Preparation data, Settings settings, CancellationToken cancelled)
    {
        try
        {
            using var progress = new ConsoleProgress(console.Profile.Out.Writer, console.Profile.Out.IsTerminal && console.Profile.Capabilities.Ansi);
            return FittedModel.Train(data, settings, progress, cancelled);
        }
        catch (NonFiniteLossException diverged)
        {
            throw new InputException($"training diverged: {diverged.Message}");
        }
        catch (OperationCanceledException)
        {
            throw Cancelled(settings.Method.Title);
        }
        catch (InvalidOperationException refused) when (settings.Method != Method.Variational)
        {
            throw new InputException($"--method {settings.Method.Name}: {refused.Message}");
        }
    }

    private static void AsInput(string what, Action write)
    {
        try
        {
            write();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{what}: {error.Message}");
        }
    }

    private static void Show(IAnsiConsole console, Summary summary, string directory)
    {
        if (summary.Cancelled)
            Write(console, $"cancelled after {summary.Epochs} of {summary.Settings.Epochs} epochs; the figures are those of what was learned until then");
        Write(console, $"RMSE                {Number(summary.Rmse)}  (units of {summary.Target})");
        Write(console, $"log likelihood      {Number(summary.LogLikelihood)}  (nats a row)");
        Write(console, $"95 % coverage       {Number(summary.Coverage95)}");
        Write(console, $"epistemic           {Number(summary.Epistemic)}  (what more data would remove; a standard deviation in units of {summary.Target})");
        if (summary.GapEpistemic is { } gap)
            Write(console, $"epistemic, gap      {Number(gap)}  (in the middle of the widest stretch without data)");
        Write(console, $"aleatoric           {Number(summary.Aleatoric)}  (the noise of {summary.Target} itself)");
        Write(console, $"seconds             {summary.Seconds.ToString("F1", CultureInfo.InvariantCulture)}");
        Write(console, $"written             {directory}: plot.png, predictions.csv, summary.json");
    }

    private static string Number(double value) => value.ToString("F4", CultureInfo.InvariantCulture);

    // Past the console's own layout, which would break long lines and read brackets as markup.
    private static void Write(IAnsiConsole console, string line) => console.Profile.Out.Writer.WriteLine(line);
}
