using System.Text.Json;
using BayesNet.Benchmarks.Comparison;
using Xunit;

namespace BayesNet.Benchmarks.Tests;

public class ReportComparisonTests
{
    private static void Write(DirectoryInfo folder, string name, string results, string commit = "a", string report = "report")
    {
        folder.Create();
        File.WriteAllText(Path.Combine(folder.FullName, name), $$"""{"report":"{{report}}","environment":{"commit":"{{commit}}","minutes":1.5},"results":{{results}}}""");
    }

    private static ReportComparison Compare(string a, string b)
    {
        using var folder = new TemporaryFolder();
        DirectoryInfo first = folder.Directory.CreateSubdirectory("a"), second = folder.Directory.CreateSubdirectory("b");
        Write(first, "report.json", a);
        Write(second, "report.json", b, "b");
        return ReportComparison.Of(first, second);
    }

    [Fact]
    public void RowsMatchByTheColumnsThatTellThemApartWhateverTheirOrder()
    {
        ReportComparison comparison = Compare(
            """{"times":[{"size":256,"family":"low","ms":2.0},{"size":256,"family":"full","ms":4.0},{"size":512,"family":"low","ms":3.0}]}""",
            """{"times":[{"size":512,"family":"low","ms":3.0},{"size":256,"family":"full","ms":2.0},{"size":256,"family":"low","ms":2.2},{"size":1024,"family":"low","ms":9.0}]}""");
        Assert.Equal(["256, full", "256, low", "512, low"], comparison.Figures.Select(figure => figure.Row));
        Assert.Equal([0.5, 1.1, 1], comparison.Figures.Select(figure => Math.Round(figure.Ratio, 12)));
        Assert.Equal(new UnmatchedRow("times", "1024, low", "B"), Assert.Single(comparison.Unmatched));
        Assert.Equal(new Difference("commit", "a", "b"), Assert.Single(comparison.Differences));
    }

    [Fact]
    public void NestedResultsAreCompared()
    {
        ReportComparison comparison = Compare(
            """{"tails":[{"nu":1,"exact":"Infinity","tail":{"index":1.0,"lower":0.5},"settings":{"seed":1}}],"slopes":{"time":2.0,"note":"x"},"curves":{"draws":[1,10],"seed 0":[0.5,0.25]}}""",
            """{"tails":[{"nu":1,"exact":"Infinity","tail":{"index":2.0,"lower":0.5},"settings":{"seed":7}}],"slopes":{"time":1.0,"note":"x"},"curves":{"draws":[1,10],"seed 0":[0.5,0.5]}}""");
        Assert.Equal(
            [("curves.seed 0", "1", "value", 2), ("slopes", "", "time", 0.5), ("tails", "", "tail.index", 2)],
            comparison.Figures.Where(figure => figure.Change > 0).Select(figure => (figure.Table, figure.Row, figure.Figure, figure.Ratio)).Order());
        Assert.Equal(1, comparison.Figures.Single(figure => figure.Figure == "exact").Ratio);
        Assert.DoesNotContain(comparison.Figures, figure => figure.Figure.Contains("seed", StringComparison.Ordinal));
    }

    [Fact]
    public void ArraysOfRowsTakeTheEnvironmentFromTheFileBesideThem()
    {
        using var folder = new TemporaryFolder();
        DirectoryInfo a = folder.Directory.CreateSubdirectory("a");
        Write(a, "report.environment.json", "{}");
        File.WriteAllText(Path.Combine(a.FullName, "report.json"), """[{"shape":"8-50-1","batch":32,"estimator":"local","medianMs":1.5},{"shape":"8-50-1","batch":32,"estimator":"shared","medianMs":1.0}]""");
        ReportComparison comparison = ReportComparison.Of(a, a);
        Assert.Equal(["8-50-1, 32, local", "8-50-1, 32, shared"], comparison.Figures.Select(figure => figure.Row));
        Assert.All(comparison.Figures, figure => Assert.Equal(1, figure.Ratio));
        Assert.Empty(comparison.Unmatched);
        string file = CompareCommand.Write(folder.Directory.CreateSubdirectory("out"), comparison);
        Assert.Contains("Nothing: all 2 figures are the same.", File.ReadAllText(file), StringComparison.Ordinal);
    }

    [Fact]
    public void ChangesThatHaveNoRatioStandOnTop()
    {
        ReportComparison comparison = Compare(
            """{"r":[{"k":"a","x":-2.0},{"k":"b","x":0.0},{"k":"c","x":1.0},{"k":"d","x":-1.0}]}""",
            """{"r":[{"k":"a","x":-4.0},{"k":"b","x":1.0},{"k":"c","x":1.1},{"k":"d","x":1.0}]}""");
        Assert.Equal(["b", "d", "a", "c"], comparison.Figures.Select(figure => figure.Row));
        Assert.True(double.IsNaN(comparison.Figures[0].Ratio));
        Assert.Equal(2, comparison.Figures[2].Ratio);
    }

    [Fact]
    public void RunsOfDifferentReportsAreRefused()
    {
        using var folder = new TemporaryFolder();
        DirectoryInfo a = folder.Directory.CreateSubdirectory("a"), b = folder.Directory.CreateSubdirectory("b"), none = folder.Directory.CreateSubdirectory("none");
        Write(a, "x.json", "{}", report: "families");
        Write(b, "x.json", "{}", report: "step-time");
        Assert.Contains("same report", Assert.Throws<ArgumentException>(() => ReportComparison.Of(a, b)).Message, StringComparison.Ordinal);
        Assert.Contains("has no report", Assert.Throws<ArgumentException>(() => ReportComparison.Of(a, none)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""[{"a":1,"b":2.5}]""", 0)]
    [InlineData("""[{"a":"x","b":2.5}]""", 1)]
    [InlineData("""[{"a":1,"b":"x","c":3},{"a":2,"b":"x","c":3}]""", 2)]
    [InlineData("""[{"a":1,"b":2,"c":3},{"a":1,"b":4,"c":3}]""", 2)]
    public void AsFewColumnsAsTellRowsApartAreTheKey(string rows, int columns)
        => Assert.Equal(columns, Assert.Single(ComparedTable.All("t", JsonSerializer.Deserialize<JsonElement>(rows))).KeyColumns());
}
