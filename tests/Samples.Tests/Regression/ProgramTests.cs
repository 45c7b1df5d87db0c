using System.Globalization;
using System.Text.Json;
using BayesNet.Samples.Regression;
using BayesNet.Samples.Regression.Data;
using BayesNet.Samples.Regression.Modelling;
using BayesNet.Samples.Regression.Reporting;
using CsvHelper;
using Spectre.Console;
using TorchSharp;
using Xunit;

namespace BayesNet.Samples.Tests.Regression;

public sealed class ProgramTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("bayesnet-regression-");
    private readonly StringWriter _output = new();
    private readonly StringWriter _errors = new();

    // As the program does: the threads of libtorch would only get in each other's way.
    static ProgramTests() => torch.set_num_threads(1);

    private string Out => Path.Combine(_directory.FullName, "results", "here");

    public void Dispose()
    {
        _directory.Delete(recursive: true);
        _output.Dispose();
        _errors.Dispose();
    }

    private IAnsiConsole Console => AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, Out = new AnsiConsoleOutput(_output) });

    private Task<int> RunAsync(params string[] args) => CommandLine.RunAsync([.. args, "--out", Out], Console, _errors);

    private string WriteTable(string text)
    {
        string path = Path.Combine(_directory.FullName, "table.csv");
        File.WriteAllText(path, text);
        return path;
    }

    /// <summary>Rows of y = 100 + 20 a - 5 b and a little noise, with a constant third column.</summary>
    private string WritePlane(int rows)
    {
        var random = new Random(2);
        IEnumerable<string> lines = Enumerable.Range(0, rows).Select(_ =>
        {
            (double a, double b) = (random.NextDouble(), 10 * random.NextDouble());
            return string.Create(CultureInfo.InvariantCulture, $"{a};{b};7;{100 + 20 * a - 5 * b + random.NextDouble()}");
        });
        return WriteTable("a;b;mean;y\n" + string.Join('\n', lines));
    }

    private JsonElement ReadSummary() => JsonDocument.Parse(File.ReadAllText(Path.Combine(Out, "summary.json"))).RootElement;

    private List<Dictionary<string, double>> ReadPredictions()
    {
        using CsvReader reader = CsvReader.FromFile(Path.Combine(Out, "predictions.csv"), new CsvReaderOptions { Separator = ',' });
        var rows = new List<Dictionary<string, double>>();
        while (reader.Read())
        {
            rows.Add(reader.Headers.ToArray().Select((name, column) => (name, column))
                .ToDictionary(entry => entry.name, entry => double.Parse(reader.GetString(entry.column), CultureInfo.InvariantCulture)));
        }

        return rows;
    }

    private void CheckFiles(int heldOut)
    {
        JsonElement summary = ReadSummary();
        List<Dictionary<string, double>> rows = ReadPredictions();
        Assert.Equal(heldOut, rows.Count);
        Assert.Equal(heldOut, summary.GetProperty("heldOutRows").GetInt32());
        Assert.All(rows, row => Assert.All(row.Values, value => Assert.True(double.IsFinite(value))));
        Assert.All(rows, row =>
        {
            Assert.True(row["lower95"] < row["mean"] && row["mean"] < row["upper95"]);
            Assert.Equal(row["stdDev"], Math.Sqrt(row["epistemic"] * row["epistemic"] + row["aleatoric"] * row["aleatoric"]), row["stdDev"] * 1e-9);
        });

        // The summary's figures again, from the predictions.
        double rmse = Math.Sqrt(rows.Average(row => Math.Pow(row["target"] - row["mean"], 2)));
        double coverage = rows.Average(row => row["target"] >= row["lower95"] && row["target"] <= row["upper95"] ? 1.0 : 0);
        Assert.Equal(rmse, summary.GetProperty("rmse").GetDouble(), rmse * 1e-9);
        Assert.Equal(coverage, summary.GetProperty("coverage95").GetDouble(), 1e-9);
        Assert.True(double.IsFinite(summary.GetProperty("logLikelihood").GetDouble()));
        Assert.True(summary.GetProperty("seconds").GetDouble() > 0);
        byte[] png = File.ReadAllBytes(Path.Combine(Out, "plot.png"));
        Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G'], png[..4]);
        Assert.True(png.Length > 10_000, "the figure is empty");
    }

    [Fact]
    public async Task WithoutArgumentsTheCurveIsFitted()
    {
        Assert.Equal(0, await RunAsync("--epochs", "20", "--samples", "50"));
        Assert.Equal("", _errors.ToString());
        CheckFiles(heldOut: 40);
        JsonElement summary = ReadSummary();
        Assert.Equal(360, summary.GetProperty("trainingRows").GetInt32());
        Assert.Equal(20, summary.GetProperty("epochs").GetInt32());
        Assert.False(summary.GetProperty("cancelled").GetBoolean());
        Assert.Contains("RMSE", _output.ToString(), StringComparison.Ordinal);

        // Redirected output: a line a tenth, no cursor movements.
        Assert.Contains("epoch 20/20", _output.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', _output.ToString());
        Assert.InRange(_output.ToString().Split('\n').Count(line => line.Contains("epoch ", StringComparison.Ordinal)), 5, 10);
    }

    [Fact]
    public async Task ATableIsFittedInItsOwnUnits()
    {
        Assert.Equal(0, await RunAsync("--data", WritePlane(200), "--epochs", "60", "--samples", "50", "--test-fraction", "0.25", "--hidden", "20", "--estimator", "flipout", "--seed", "9"));
        CheckFiles(heldOut: 50);
        JsonElement summary = ReadSummary();
        Assert.Equal("y", summary.GetProperty("target").GetString());
        Assert.Equal(9, summary.GetProperty("seed").GetInt32());
        Assert.Equal("flipout", summary.GetProperty("settings").GetProperty("estimator").GetString());
        Assert.Equal("mean", summary.GetProperty("droppedInputs")[0].GetString());
        Assert.Contains("warning: left out, because constant in the training rows: mean", _output.ToString(), StringComparison.Ordinal);

        // The targets' own standard deviation is about 15: units would show at once, and so would a network that learned nothing.
        Assert.InRange(summary.GetProperty("rmse").GetDouble(), 0.2, 5);
        Assert.InRange(summary.GetProperty("coverage95").GetDouble(), 0.8, 1);
    }

    public static TheoryData<string> Methods => [.. Method.All.Where(method => method != Method.Variational).Select(method => method.Name)];

    [Theory]
    [MemberData(nameof(Methods))]
    public async Task EveryMethodFitsATable(string method)
    {
        Assert.Equal(0, await RunAsync("--data", WritePlane(200), "--method", method, "--epochs", "100", "--samples", "50", "--hidden", "20"));
        Assert.Equal("", _errors.ToString());
        CheckFiles(heldOut: 20);
        JsonElement summary = ReadSummary();
        Assert.Equal(method, summary.GetProperty("method").GetString());
        Assert.Equal(method != "map", summary.GetProperty("epistemic").GetDouble() > 0);

        // Of targets whose standard deviation is about 15.
        Assert.InRange(summary.GetProperty("rmse").GetDouble(), 0.2, 5);
    }

    [Theory]
    [InlineData("methods", 7)]
    [InlineData("estimators", 4)]
    public async Task WaysAreComparedOnTheSameRows(string what, int ways)
    {
        Assert.Equal(0, await RunAsync("--compare", what, "--epochs", "20", "--samples", "20"));
        Assert.Equal("", _errors.ToString());
        string[] lines = File.ReadAllLines(Path.Combine(Out, "comparison.csv"));
        Assert.Equal(ways, lines.Length - 1);
        Assert.All(lines[1..], line => Assert.All(line.Split(',')[1..], field => Assert.True(double.IsFinite(double.Parse(field, CultureInfo.InvariantCulture)))));
        Assert.True(new FileInfo(Path.Combine(Out, "comparison.png")).Length > 10_000, "the figure is empty");
        Assert.Contains("look at", _output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task AComparisonOnATableWritesItsFigure()
    {
        Assert.Equal(0, await RunAsync("--data", WritePlane(60), "--compare", "estimators", "--epochs", "3", "--samples", "10"));
        Assert.True(new FileInfo(Path.Combine(Out, "comparison.png")).Length > 10_000, "the figure is empty");
    }

    [Fact]
    public async Task ARunTooShortForAMethodSaysSo()
    {
        Assert.Equal(1, await RunAsync("--data", WritePlane(60), "--method", "sghmc", "--epochs", "3"));
        Assert.StartsWith("error: --method sghmc: A chain of 24 steps", _errors.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task TheSameSeedGivesTheSameFigures()
    {
        string table = WritePlane(60);
        string[] args = ["--data", table, "--target", "4", "--epochs", "3", "--samples", "10", "--seed", "18446744073709551615"];
        Assert.Equal(0, await RunAsync(args));
        string first = File.ReadAllText(Path.Combine(Out, "predictions.csv"));
        Assert.Equal(0, await RunAsync(args));
        Assert.Equal(first, File.ReadAllText(Path.Combine(Out, "predictions.csv")));
        Assert.Equal(0, await RunAsync([.. args[..^1], "2"]));
        Assert.NotEqual(first, File.ReadAllText(Path.Combine(Out, "predictions.csv")));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.5)]
    public void ACancelledRunKeepsWhatItLearnedAndIsWritten(double seconds)
    {
        Settings settings = Settings.ForCurve with { Samples = 20, Epochs = 1_000_000 };
        using var cancelled = new CancellationTokenSource();
        if (seconds == 0)
            cancelled.Cancel();
        cancelled.CancelAfter(TimeSpan.FromSeconds(seconds));
        Summary summary = Experiment.Run(Console, null, null, Out, settings, cancelled.Token);
        Assert.True(summary.Cancelled);
        Assert.True(summary.Epochs < settings.Epochs);
        CheckFiles(heldOut: 40);
        Assert.True(ReadSummary().GetProperty("cancelled").GetBoolean());
        Assert.Contains("cancelled after", _output.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a,b\n1,2\n", "at least 3 are needed")]
    [InlineData("a,b\n1,2\n2,2\n3,2\n4,2\n", "the target, b, has the value 2")]
    [InlineData("a,b\n1,2\n1,3\n1,4\n1,5\n", "every input column is constant")]
    [InlineData("a,b\n1,2\n1,x\n", "line 3, column 2 (b)")]
    [InlineData("", "the file is empty")]
    public async Task UnusableTablesEndWithOneAndAMessage(string text, string message)
    {
        string table = WriteTable(text);
        Assert.Equal(1, await RunAsync("--data", table));
        string error = _errors.ToString();
        Assert.StartsWith($"error: {table}", error, StringComparison.Ordinal);
        Assert.Contains(message, error, StringComparison.Ordinal);
        Assert.Single(error.TrimEnd().Split('\n'));
        Assert.False(Directory.Exists(Out));
    }

    [Theory]
    [InlineData("--data missing.csv", "missing.csv: there is no such file")]
    [InlineData("--target y", "--target names a column of a file; give the file with --data")]
    [InlineData("--epochs 0", "--epochs must be at least 1")]
    [InlineData("--hidden -5", "--hidden must be at least 1")]
    [InlineData("--samples 0", "--samples must be at least 1")]
    [InlineData("--test-fraction 1", "--test-fraction must lie strictly between 0 and 1")]
    [InlineData("--test-fraction NaN", "--test-fraction must lie strictly between 0 and 1")]
    [InlineData("--estimator fancy", "fancy")]
    [InlineData("--method fancy", "fancy")]
    [InlineData("--compare fancy", "fancy")]
    [InlineData("--unknown", "--unknown")]
    [InlineData("--seed -1", "-1")]
    public async Task BadOptionsEndWithOneAndAMessage(string args, string message)
    {
        Assert.Equal(1, await RunAsync(args.Split(' ')));
        Assert.Contains(message, _errors.ToString(), StringComparison.Ordinal);
        Assert.False(Directory.Exists(Out));
    }

    [Fact]
    public async Task ADirectoryThatCannotBeMadeIsNamed()
    {
        string file = WriteTable("a,b\n1,2\n2,3\n3,4\n");
        Assert.Equal(1, await CommandLine.RunAsync(["--data", file, "--out", Path.Combine(file, "below")], Console, _errors));
        Assert.Contains("the directory can't be made", _errors.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void TheCurveIsLessCertainInTheGapThanAmongTheData()
    {
        Settings settings = Settings.ForCurve with { Epochs = 300, Samples = 200 };
        using FittedModel model = FittedModel.Train(Preparation.Of(SyntheticCurve.Draw(400, settings.Seed), settings.TestFraction, settings.Seed), settings, cancellationToken: TestContext.Current.CancellationToken);
        double gap = Epistemic(SyntheticCurve.Gap.From + 0.5, SyntheticCurve.Gap.To - 0.5);
        Assert.All(SyntheticCurve.Observed, stretch => Assert.InRange(gap / Epistemic(stretch.From, stretch.To), 1.5, 20));

        double Epistemic(double from, double to)
            => RowPrediction.Of(model, [.. Enumerable.Range(0, 41).Select(i => new[] { from + i * (to - from) / 40 })]).Average(row => row.Epistemic);
    }

    [Fact]
    public async Task HelpEndsWithZero()
    {
        Assert.Equal(0, await RunAsync("--help"));
        Assert.Contains("--test-fraction", _output.ToString(), StringComparison.Ordinal);
    }
}
