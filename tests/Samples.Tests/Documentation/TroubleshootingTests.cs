using System.Text;
using System.Text.RegularExpressions;
using BayesNet.Distributed;
using BayesNet.Layers;
using Xunit;

namespace BayesNet.Samples.Tests.Documentation;

/// <summary>The messages that the page on troubleshooting explains are messages of the library.</summary>
public sealed partial class TroubleshootingTests
{
    [Fact]
    public void MessagesAreThoseOfTheLibrary()
    {
        // Literals stand in an assembly as UTF-16; an interpolated one in pieces.
        string[] assemblies = [.. new[] { typeof(BayesianModuleExtensions), typeof(bnn), typeof(ICollectives) }.Select(type => Literals(type.Assembly.Location))];
        string page = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "pages", "troubleshooting.md"));
        string[] pieces =
        [
            .. from row in page[..page.IndexOf("## Not an error", StringComparison.Ordinal)].Split('\n')
               where row.StartsWith("| `", StringComparison.Ordinal)
               from Match quoted in Quoted().Matches(row[..row.IndexOf(" | ", 2, StringComparison.Ordinal)])
               where !quoted.Groups["text"].Value.EndsWith("Exception", StringComparison.Ordinal)
               select quoted.Groups["text"].Value,
        ];
        Assert.True(pieces.Length > 50, $"{pieces.Length} messages were found.");
        Assert.DoesNotContain(pieces, piece => !assemblies.Any(literals => literals.Contains(piece, StringComparison.Ordinal)));
    }

    private static string Literals(string path)
    {
        byte[] bytes = File.ReadAllBytes(path);
        return Encoding.Unicode.GetString(bytes, 0, bytes.Length & ~1) + Encoding.Unicode.GetString(bytes, 1, (bytes.Length - 1) & ~1);
    }

    [GeneratedRegex("`(?<text>[^`]+)`")]
    private static partial Regex Quoted();
}
