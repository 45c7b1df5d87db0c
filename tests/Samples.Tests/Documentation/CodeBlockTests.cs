using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Samples.Tests.Documentation;

/// <summary>Every block of C# in the README and in docs compiles and runs.</summary>
public sealed class CodeBlockTests : IDisposable
{
    private readonly string _before = Directory.GetCurrentDirectory();
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("bayesnet-pages-");

    public CodeBlockTests() => Directory.SetCurrentDirectory(_folder.FullName);

    public static TheoryData<string> Places => [.. CodeBlock.All().Select(block => block.ToString())];

    [Fact]
    public void ThePagesHaveBlocks() => Assert.True(Places.Count >= 10, $"{Places.Count} blocks were found.");

    [Theory]
    [MemberData(nameof(Places))]
    public void Runs(string place)
    {
        (Action? run, string errors) = CodeBlock.All().Single(block => block.ToString() == place).Compile();
        Assert.True(run is not null, errors);
        TextWriter console = Console.Out;
        using var scope = NewDisposeScope();
        try
        {
            Console.SetOut(TextWriter.Null);
            random.manual_seed(1);
            run();
        }
        finally
        {
            Console.SetOut(console);
        }
    }

    public void Dispose()
    {
        Directory.SetCurrentDirectory(_before);
        _folder.Delete(recursive: true);
    }
}
