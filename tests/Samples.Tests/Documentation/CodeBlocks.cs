using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Emit;

namespace BayesNet.Samples.Tests.Documentation;

/// <summary>
/// A block of C# in a page. An HTML comment before it, <c>&lt;!-- given: ... --&gt;</c>, holds what the page's reader has already: statements that come
/// before the block, and are not shown.
/// </summary>
internal sealed partial record CodeBlock(string Page, int Line, string Given, string Code)
{
    private static readonly string[] Namespaces =
    [
        "System", "System.Collections.Generic", "System.IO", "System.Linq", "System.Threading", "System.Threading.Tasks", "BayesNet", "BayesNet.Diagnostics", "BayesNet.Divergences",
        "BayesNet.Estimators", "BayesNet.Estimators.Gradients", "BayesNet.Inference", "BayesNet.Layers", "BayesNet.Layers.Conversion", "BayesNet.Layers.Recurrent", "BayesNet.Likelihoods", "BayesNet.ML", "BayesNet.Maps", "BayesNet.Metrics",
        "BayesNet.Persistence", "BayesNet.Plotting", "BayesNet.Posteriors", "BayesNet.Prediction", "BayesNet.Priors", "BayesNet.Pruning", "BayesNet.Reparameterization", "BayesNet.Reparameterization.Discrete", "BayesNet.Runtime",
        "BayesNet.Training", "Microsoft.ML", "TorchSharp", "TorchSharp.Modules",
    ];

    private static readonly Lazy<MetadataReference[]> References = new(() =>
        [.. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator).Select(path => MetadataReference.CreateFromFile(path))]);

    /// <summary>Every block of the README and of docs.</summary>
    public static IEnumerable<CodeBlock> All()
        => Directory.EnumerateFiles(Path.Combine(AppContext.BaseDirectory, "pages"), "*.md").Order(StringComparer.Ordinal).SelectMany(In);

    private static IEnumerable<CodeBlock> In(string path)
    {
        string text = File.ReadAllText(path).ReplaceLineEndings("\n");
        foreach (Match match in Blocks().Matches(text))
        {
            yield return new CodeBlock(
                Path.GetFileName(path), text.AsSpan(0, match.Groups["code"].Index).Count('\n') + 1, match.Groups["given"].Value, match.Groups["code"].Value);
        }
    }

    /// <summary>Compiles the block.</summary>
    /// <returns>The program that it is, or null and what the compiler says.</returns>
    public (Action? Run, string Errors) Compile()
    {
        string[] lines = Code.Split('\n');
        bool IsUsing(string line) => Regex.IsMatch(line, @"^using (static )?[\w.]+;");
        var source = new StringBuilder();
        foreach (string name in Namespaces)
            source.AppendLine($"using {name};");
        source.AppendLine("using static TorchSharp.torch;\n#pragma warning disable");
        source.AppendLine(Given);
        source.AppendLine($"#line {Line} \"{Page}\"");
        source.AppendJoin('\n', lines.Select(line => IsUsing(line) ? "" : line));
        var compilation = CSharpCompilation.Create(
            $"{Page}-{Line}",
            [CSharpSyntaxTree.ParseText(source.ToString(), new CSharpParseOptions(LanguageVersion.CSharp14))],
            References.Value,
            new CSharpCompilationOptions(OutputKind.ConsoleApplication, nullableContextOptions: NullableContextOptions.Enable));
        using var assembly = new MemoryStream();
        EmitResult result = compilation.Emit(assembly);
        string errors = string.Join('\n', result.Diagnostics.Where(one => one.Severity == DiagnosticSeverity.Error));
        if (!result.Success)
            return (null, errors);
        var run = Assembly.Load(assembly.ToArray()).EntryPoint!.CreateDelegate<Action<string[]>>();
        return (() => run([]), errors);
    }

    public override string ToString() => $"{Page}, line {Line}";

    [GeneratedRegex(@"(<!-- given:\n(?<given>(?:(?!-->)[\s\S])*)-->\n+)?```csharp\n(?<code>[\s\S]*?)```")]
    private static partial Regex Blocks();
}
