using System.Text.Json;
using BayesNet.Benchmarks.Reporting;
using Xunit;

namespace BayesNet.Benchmarks.Tests;

public class ReportDocumentTests
{
    private static readonly ReportEnvironment Environment = ReportEnvironment.Current("report --seed 1", 1, isShort: true) with { Commit = "c0ffee" };

    private sealed record Row(string Name, double Value);

    private static ReportDocument Document(TemporaryFolder folder, Resumption resumption, string commit = "c0ffee", string command = "report --seed 1")
        => new(folder.Directory, "report", "A report", Environment with { Commit = commit, Command = command }, resumption);

    private static void Measure(ReportDocument document, List<string> measured, string key, double value, bool fails = false) => document.Part(key, () =>
    {
        measured.Add(key);
        document.Section(key);
        document.Table($"{key}_rows", [new Row("a", value)], ("name", row => row.Name), ("value", row => $"{row.Value}"));
        document.Finding($"{key} is {value}");
        document.Data($"{key}_curves", new Dictionary<string, object> { ["infinite"] = double.PositiveInfinity });
        if (fails)
            throw new InvalidOperationException("no more");
    });

    [Fact]
    public void APartThatFailsKeepsWhatItHasAndTheOthersGoOn()
    {
        using var folder = new TemporaryFolder();
        var measured = new List<string>();
        ReportDocument document = Document(folder, Resumption.None);
        Measure(document, measured, "first", 1);
        Measure(document, measured, "second", 2, fails: true);
        Measure(document, measured, "third", 3);
        document.Finish();

        Assert.Equal(["first", "second", "third"], measured);
        Assert.Equal("second", Assert.Single(document.Failures).Part);
        string text = folder.Read("report.md");
        Assert.Contains("**1 part of this report failed**: second", text, StringComparison.Ordinal);
        Assert.Contains("InvalidOperationException: no more", text, StringComparison.Ordinal);
        Assert.Contains("| a | 2 |", text, StringComparison.Ordinal);
        Assert.Contains("## third", text, StringComparison.Ordinal);
    }

    [Fact]
    public void AResumedRunMeasuresOnlyWhatFailed()
    {
        using var folder = new TemporaryFolder();
        ReportDocument first = Document(folder, Resumption.None);
        Measure(first, [], "first", 1);
        Measure(first, [], "second", 2, fails: true);
        first.Finish();

        var measured = new List<string>();
        ReportDocument again = Document(folder, Resumption.SameCommit);
        Measure(again, measured, "first", 10);
        Measure(again, measured, "second", 20);
        again.Finish();

        Assert.Equal(["second"], measured);
        Assert.Empty(again.Failures);
        string text = folder.Read("report.md");
        Assert.Contains("| a | 1 |", text, StringComparison.Ordinal);
        Assert.Contains("- first is 1", text, StringComparison.Ordinal);
        Assert.Contains("Kept from an earlier run", text, StringComparison.Ordinal);
        using JsonDocument json = JsonDocument.Parse(folder.Read("report.json"));
        JsonElement results = json.RootElement.GetProperty("results");
        Assert.Equal(1, results.GetProperty("first_rows")[0].GetProperty("value").GetDouble());
        Assert.Equal(20, results.GetProperty("second_rows")[0].GetProperty("value").GetDouble());
        Assert.Equal("Infinity", results.GetProperty("first_curves").GetProperty("infinite").GetString());
    }

    [Fact]
    public void ARunThatIsKilledHasItsPartsOnDiskAndThoseAheadOfIt()
    {
        using var folder = new TemporaryFolder();
        ReportDocument whole = Document(folder, Resumption.None);
        foreach (string key in new[] { "first", "second", "third" })
            Measure(whole, [], key, 1, fails: key == "second");
        whole.Finish();

        // The next run ends behind its second part: what the first had of the third is not lost.
        ReportDocument killed = Document(folder, Resumption.SameCommit);
        Measure(killed, [], "first", 1);
        Measure(killed, [], "second", 1);
        Assert.Contains("**unfinished**", folder.Read("report.md"), StringComparison.Ordinal);

        var measured = new List<string>();
        ReportDocument third = Document(folder, Resumption.SameCommit);
        foreach (string key in new[] { "first", "second", "third" })
            Measure(third, measured, key, 2);
        third.Finish();
        Assert.Empty(measured);
        Assert.DoesNotContain("**unfinished**", folder.Read("report.md"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("none", "c0ffee", "report --seed 1", false)]
    [InlineData("same", "c0ffee", "report --seed 1", true)]
    [InlineData("same", "decade", "report --seed 1", false)]
    [InlineData("same", "c0ffee", "report --seed 1 --more", false)]
    [InlineData("any", "decade", "report --seed 1", true)]
    [InlineData("any", "decade", "report --seed 1 --more", false)]
    public void WhatIsKeptHasTheSameCommandAndCommit(string resumption, string commit, string command, bool isKept)
    {
        using var folder = new TemporaryFolder();
        ReportDocument first = Document(folder, Resumption.None);
        Measure(first, [], "first", 1);
        first.Finish();
        var measured = new List<string>();
        Resumption asked = resumption switch { "none" => Resumption.None, "same" => Resumption.SameCommit, _ => Resumption.AnyCommit };
        Measure(Document(folder, asked, commit, command), measured, "first", 2);
        Assert.Equal(isKept, measured.Count == 0);
    }

    [Fact]
    public void RowsOfAnArrayAreKeptByTheirIdentity()
    {
        using var folder = new TemporaryFolder();
        Row[] rows = [new("c0ffee", 1), new("decade", 2)];
        Document(folder, Resumption.None).SaveRows(rows);
        Assert.Empty(Kept(Resumption.None));
        Assert.Equal([rows[0]], Kept(Resumption.SameCommit));
        Assert.Equal(rows, Kept(Resumption.AnyCommit));

        IReadOnlyList<Row> Kept(Resumption resumption)
        {
            ReportDocument document = Document(folder, resumption);
            return [.. document.SavedRows<Row>().Where(row => document.Keeps(Environment.Identity with { Commit = row.Name }))];
        }
    }
}
