using System.CommandLine;
using System.Globalization;
using System.Runtime.CompilerServices;

namespace BayesNet.Samples.Gallery;

/// <summary>What a sample is given: where it writes, how long it may take, its seed and its options.</summary>
/// <param name="Folder">Where its picture goes.</param>
/// <param name="Short">Whether to do in seconds what otherwise takes a minute or two.</param>
/// <param name="Seed">Seeds everything that is drawn.</param>
/// <param name="Output">Where it says what to look at.</param>
/// <param name="CommandLine">Its own options.</param>
internal sealed record SampleRun(DirectoryInfo Folder, bool Short, ulong Seed, TextWriter Output, ParseResult CommandLine)
{
    /// <summary>The seed in the form that .NET's generator and libtorch's take.</summary>
    public int SmallSeed => unchecked((int)Seed);

    /// <summary>Prints a line, numbers as every culture reads them.</summary>
    public void Say(ref DefaultInterpolatedStringHandler line) => Output.WriteLine(line.ToStringAndClear());

    /// <summary>Prints a line.</summary>
    public void Say(string line) => Output.WriteLine(line);

    /// <summary>The path of a file in the folder, which it says has been written.</summary>
    public string File(string name)
    {
        string path = Path.Combine(Folder.FullName, name);
        Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"written: {Path.Combine(Folder.ToString(), name)}"));
        return path;
    }
}
