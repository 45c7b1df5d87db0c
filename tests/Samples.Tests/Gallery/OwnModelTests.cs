using System.Text.RegularExpressions;
using Xunit;

namespace BayesNet.Samples.Tests.Gallery;

/// <summary>How far the plain program is from the Bayesian one, and that the page which shows it shows what is there.</summary>
public sealed class OwnModelTests
{
    // The two are in one assembly, and so in two namespaces.
    private static string[] Lines(string file)
        => [.. File.ReadLines(Path.Combine(AppContext.BaseDirectory, "own-model", file)).Where(line => !line.StartsWith("namespace ", StringComparison.Ordinal))];

    [Fact]
    public void FewerThanTenLinesChange()
    {
        (string[] plain, string[] bayesian) = (Lines("Plain.cs"), Lines("Bayesian.cs"));
        int kept = LongestCommonSubsequence(plain, bayesian);
        Assert.InRange(bayesian.Length - kept, 1, 9);
        Assert.InRange(plain.Length - kept, 1, 9);
    }

    [Fact]
    public void ThePageShowsThoseLines()
    {
        string page = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "pages", "getting-started.md")).ReplaceLineEndings("\n");
        string[] block = Regex.Match(page, @"```diff\n(?<lines>[\s\S]*?)```").Groups["lines"].Value.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        string[] plain = [.. Lines("Plain.cs").Select(line => line.Trim())], bayesian = [.. Lines("Bayesian.cs").Select(line => line.Trim())];
        Assert.Equal(plain.Except(bayesian), block.Where(line => line[0] == '-').Select(line => line[1..].Trim()));
        Assert.Equal(bayesian.Except(plain), block.Where(line => line[0] == '+').Select(line => line[1..].Trim()));
        Assert.All(block.Where(line => line[0] is not ('+' or '-')), line => Assert.Contains(line.Trim(), bayesian));
    }

    private static int LongestCommonSubsequence(string[] first, string[] second)
    {
        var length = new int[first.Length + 1, second.Length + 1];
        for (int i = 1; i <= first.Length; i++)
        {
            for (int j = 1; j <= second.Length; j++)
                length[i, j] = first[i - 1] == second[j - 1] ? length[i - 1, j - 1] + 1 : Math.Max(length[i - 1, j], length[i, j - 1]);
        }

        return length[first.Length, second.Length];
    }
}
