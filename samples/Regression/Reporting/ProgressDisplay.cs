using System.Globalization;
using BayesNet.Training;
using Spectre.Console;

namespace BayesNet.Samples.Regression.Reporting;

/// <summary>Shows how training goes: a live bar on a terminal, a line every tenth of the way where the output goes to a file or a pipe.</summary>
internal static class ProgressDisplay
{
    // With this the line fits a terminal of 80 columns.
    private const int BarWidth = 24;

    /// <summary>Runs <paramref name="work"/> with a display that lasts as long as it.</summary>
    public static T Run<T>(IAnsiConsole console, Func<IProgress<TrainingProgress>, T> work)
    {
        if (!console.Profile.Out.IsTerminal || !console.Profile.Capabilities.Ansi)
            return work(new Lines(console));
        return console.Progress()
            .Columns(
                new SpinnerColumn(), new ProgressBarColumn { Width = BarWidth }, new PercentageColumn(), new RemainingTimeColumn(),
                new TaskDescriptionColumn { Alignment = Justify.Left })
            .Start(context => work(new Bar(context.AddTask("starting", maxValue: 1))));
    }

    private static string Describe(TrainingProgress progress) => string.Create(
        CultureInfo.InvariantCulture,
        $"epoch {progress.Epoch}/{progress.Epochs}, NLL {progress.NegativeLogLikelihood:F3}, KL {progress.KlDivergence:F1}");

    private sealed class Bar(ProgressTask task) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value)
        {
            task.Value = value.Fraction;
            task.Description = Describe(value);
        }
    }

    private sealed class Lines(IAnsiConsole console) : IProgress<TrainingProgress>
    {
        private const int Parts = 10;

        private int _shown;

        public void Report(TrainingProgress value)
        {
            // A little is added so that rounding does not put off a line that is due.
            int due = (int)(value.Fraction * Parts + 1e-9);
            if (due <= _shown)
                return;
            _shown = due;
            console.Profile.Out.Writer.WriteLine($"{value.Fraction * 100,3:F0} %  {Describe(value)}");
        }
    }
}
