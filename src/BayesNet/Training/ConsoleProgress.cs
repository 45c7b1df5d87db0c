using System.Globalization;
using BayesNet.Runtime;

namespace BayesNet.Training;

/// <summary>
/// Shows how training goes: one line that is written over on a terminal, a line every tenth of the way where the output goes to a file or a pipe.
/// </summary>
/// <remarks>Dispose it before other output, which would go on in the same line.</remarks>
public sealed class ConsoleProgress : IProgress<TrainingProgress>, IDisposable
{
    private readonly TextWriter _writer;
    private readonly bool _overwrite;
    private readonly int _lines;
    private int _shown, _width;

    /// <summary>Creates a display.</summary>
    /// <param name="writer">Where it goes; null for <see cref="Console.Out"/>.</param>
    /// <param name="overwrite">Whether one line is written over; null to do so where the console's output is a terminal.</param>
    /// <param name="lines">The lines of a run where each stands.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="lines"/> is below 1.</exception>
    public ConsoleProgress(TextWriter? writer = null, bool? overwrite = null, int lines = 10)
    {
        _writer = writer ?? Console.Out;
        _overwrite = overwrite ?? (writer is null && !Console.IsOutputRedirected);
        _lines = (int)Guard.AtLeastOne(lines);
    }

    /// <summary>A report in one line: share of the run, epoch and step, losses, and the time that is left.</summary>
    public static string Describe(TrainingProgress progress)
    {
        ArgumentNullException.ThrowIfNull(progress);
        IFormatProvider culture = CultureInfo.InvariantCulture;
        string steps = progress.StepsPerEpoch is { } total && progress.Step < total ? string.Create(culture, $" step {progress.Step}/{total}") : "";
        string score = progress.ValidationLogLikelihood is { } value ? string.Create(culture, $", validation {value:F3}") : "";
        string left = progress.Fraction < 1 && progress.Remaining is { } rest ? $", {Duration(rest)} left" : $", {Duration(progress.Elapsed)}";
        return string.Create(
            culture,
            $"{progress.Fraction * 100,3:F0} %  epoch {progress.Epoch}/{progress.Epochs}{steps}, NLL {progress.NegativeLogLikelihood:F3}, KL {progress.KlDivergence:F1}{score}{left}");
    }

    /// <inheritdoc/>
    public void Report(TrainingProgress value)
    {
        ArgumentNullException.ThrowIfNull(value);
        if (_overwrite)
        {
            string line = Describe(value);
            _writer.Write($"\r{line.PadRight(_width)}");
            _width = line.Length;
            return;
        }

        // A little is added so that rounding does not put off a line that is due.
        int due = (int)(value.Fraction * _lines + 1e-9);
        if (due <= _shown)
            return;
        _shown = due;
        _writer.WriteLine(Describe(value));
    }

    /// <summary>Ends the line that is written over.</summary>
    public void Dispose()
    {
        if (_width > 0)
            _writer.WriteLine();
        _width = 0;
    }

    private static string Duration(TimeSpan time)
        => time.ToString(time.TotalHours >= 1 ? @"d\.hh\:mm\:ss" : @"mm\:ss", CultureInfo.InvariantCulture) is var text && text.StartsWith("0.", StringComparison.Ordinal)
            ? text[2..]
            : text;
}
