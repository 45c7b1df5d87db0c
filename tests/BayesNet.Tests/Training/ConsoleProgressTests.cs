using BayesNet.Training;
using Xunit;

namespace BayesNet.Tests.Training;

public sealed class ConsoleProgressTests
{
    [Fact]
    public void LinesComeAsTheyAreDue()
    {
        using var output = new StringWriter();
        using (var progress = new ConsoleProgress(output, lines: 4))
        {
            foreach (double fraction in new[] { 0.1, 0.2, 0.25, 0.3, 0.8, 1 })
                progress.Report(At(fraction));
        }

        string[] lines = output.ToString().Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal([" 25 %  epoch 5/20 step 3/7, NLL 1.250, KL 30.5, validation -1.500, 00:30 left", " 80 %  ", "100 %  "], lines.Select((line, i) => i == 0 ? line : line[..7]));
        Assert.EndsWith(", 00:40", lines[2], StringComparison.Ordinal);
    }

    [Fact]
    public void ATerminalsLineIsWrittenOverAndEnded()
    {
        using var output = new StringWriter();
        using (var progress = new ConsoleProgress(output, overwrite: true))
        {
            progress.Report(At(0.001));
            progress.Report(At(1));
        }

        string[] writes = output.ToString().Split('\r');
        Assert.Equal(3, writes.Length + (Environment.NewLine == "\r\n" ? -1 : 0));
        Assert.Equal(writes[1].Length, writes[2].TrimEnd('\n').Length);
        Assert.EndsWith(Environment.NewLine, output.ToString(), StringComparison.Ordinal);
        Assert.Contains("2:46:30 left", ConsoleProgress.Describe(At(0.001) with { Elapsed = TimeSpan.FromSeconds(10) }), StringComparison.Ordinal);
    }

    private static TrainingProgress At(double fraction) => new()
    {
        Epoch = (int)Math.Ceiling(fraction * 20),
        Epochs = 20,
        Step = fraction == 1 ? 7 : 3,
        StepsPerEpoch = 7,
        NegativeLogLikelihood = 1.25,
        KlDivergence = 30.5,
        KlWeight = 1,
        Elbo = -100,
        ValidationLogLikelihood = -1.5,
        Elapsed = TimeSpan.FromSeconds(40 * fraction),
        Fraction = fraction,
    };
}
