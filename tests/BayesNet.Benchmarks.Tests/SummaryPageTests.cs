using BayesNet.Benchmarks.Reporting;
using BayesNet.Benchmarks.Summary;
using Xunit;

namespace BayesNet.Benchmarks.Tests;

public class SummaryPageTests
{
    private static string Html(string markdown)
    {
        using var folder = new TemporaryFolder();
        return MarkdownPage.ToHtml(markdown, folder.Directory, "report");
    }

    [Fact]
    public void HeadingsGoDownAndTheTitleIsThePages()
    {
        string html = Html("# Title\n\n- 2026, `command`\n\n## Section\n\n### Part\n");
        Assert.DoesNotContain("Title", html, StringComparison.Ordinal);
        Assert.Contains("<ul class=\"run\">", html, StringComparison.Ordinal);
        Assert.Contains("<code>command</code>", html, StringComparison.Ordinal);
        Assert.Contains("<h3>Section</h3>", html, StringComparison.Ordinal);
        Assert.Contains("<h4>Part</h4>", html, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(3, false)]
    [InlineData(MarkdownPage.LongTable + 1, true)]
    public void TablesScrollAndLongOnesAreFolded(int rows, bool isFolded)
    {
        var text = new MarkdownText();
        text.Table(Enumerable.Range(0, rows), ("n", row => $"{row}"), ("a|b", row => $"x|{row}"));
        string html = Html(text.ToString());
        Assert.Contains("<div class=\"scroll\">\n<table>", html, StringComparison.Ordinal);
        Assert.Contains("<td>x|2</td>", html, StringComparison.Ordinal);
        Assert.Equal(isFolded, html.Contains("<details>", StringComparison.Ordinal));
    }

    [Fact]
    public void MarkupInTextIsText()
    {
        string html = Html("p <script>alert(1)</script> **bold** [file](report.json) [page](https://example.org/)\n");
        Assert.DoesNotContain("<script>", html, StringComparison.Ordinal);
        Assert.Contains("<strong>bold</strong>", html, StringComparison.Ordinal);
        Assert.Contains("href=\"report/report.json\"", html, StringComparison.Ordinal);
        Assert.Contains("href=\"https://example.org/\"", html, StringComparison.Ordinal);
    }

    [Fact]
    public void ThePageHoldsItsPlotsAndSaysWhatFailed()
    {
        using var folder = new TemporaryFolder();
        ReportEnvironment environment = ReportEnvironment.Current("all --seed 1", 1, isShort: true);
        DirectoryInfo report = folder.Directory.CreateSubdirectory("good");
        var document = new ReportDocument(report, "good", "A good report", environment, Resumption.None);
        var figure = new Figure(1, 1, 120, 100);
        Figure.Line(figure[0], [0, 1], [0, 1], Figure.Ink);
        document.Part("plot", () =>
        {
            document.Figure("plot", figure, "A line.");
            document.Finding("It rises.");
        });
        document.Finish();

        string file = SummaryPage.Write(
            folder.Directory, ["good", "bad", "absent"], environment,
            [new ReportRun("good", ReportRun.Ok, "c", "good --short", 0.1, null), new ReportRun("bad", ReportRun.Failed, "c", "bad --short", 0.2, "exit status 134 <abort>")]);
        string html = File.ReadAllText(file);
        Assert.Contains("src=\"data:image/webp;base64,UklGR", html, StringComparison.Ordinal);
        Assert.Contains("<li>It rises.</li>", html, StringComparison.Ordinal);
        Assert.Contains("exit status 134 &lt;abort&gt;", html, StringComparison.Ordinal);
        Assert.Contains("<code>good --short</code>", html, StringComparison.Ordinal);
        Assert.Contains("href=\"good/good.json\"", html, StringComparison.Ordinal);
        Assert.DoesNotContain("absent", html, StringComparison.Ordinal);

        // Nothing comes from elsewhere.
        Assert.DoesNotContain("<script", html, StringComparison.Ordinal);
        Assert.DoesNotContain("src=\"http", html, StringComparison.Ordinal);
        Assert.DoesNotContain("@import", html, StringComparison.Ordinal);
    }
}
