using System.Runtime.InteropServices;
using System.Text;
using BayesNet.Runtime;
using Xunit;

namespace BayesNet.Tests.Runtime;

public sealed class GlibcLoaderTests
{
    /// <summary>
    /// Two files of the same small library, which has no code of its own: the loader takes them for two, and after the alias for one.
    /// </summary>
    [Fact]
    public void AnAliasIsTheLoadedLibrary()
    {
        string library = Library("libtorch.so");
        using var folder = new TemporaryFolder();
        string Copy(string name)
        {
            string path = Path.Combine(folder.Path, name);
            File.Copy(library, path);
            return path;
        }

        string packaged = Copy("packaged.so");
        nint chosen = NativeLibrary.Load(Copy("chosen.so"));
        nint other = NativeLibrary.Load(Copy("other.so"));
        try
        {
            Assert.NotEqual(chosen, other);

            GlibcLoader.SetAlias(chosen, packaged);
            nint aliased = NativeLibrary.Load(packaged);
            Assert.Equal(chosen, aliased);
            NativeLibrary.Free(aliased);

            // The file is not opened: it need not be there.
            File.Delete(packaged);
            aliased = NativeLibrary.Load(packaged);
            Assert.Equal(chosen, aliased);
            NativeLibrary.Free(aliased);
        }
        finally
        {
            NativeLibrary.Free(other);
            NativeLibrary.Free(chosen);
        }

        Assert.Throws<DllNotFoundException>(() => NativeLibrary.Load(packaged));
    }

    /// <summary>
    /// A requirement that is marked weak, that nothing meets, and whose symbol is used: the lazy load would go through, and the first call end
    /// the process.
    /// </summary>
    [Fact]
    public void ALibraryWithAMissingSymbolIsRefusedAtOnce()
    {
        const string used = "GLIBCXX_3.4.30", absent = "GLIBCXX_9.9.99";
        byte[] image = File.ReadAllBytes(Library("libLibTorchSharp.so"));
        Assert.Equal(1, ElfVersionRequirements.MarkWeak(image, "GLIBCXX_3.4.32"));
        Assert.Equal(1, ElfVersionRequirements.MarkWeak(image, used));
        Replace(image, BitConverter.GetBytes(ElfHash.Of(used)), BitConverter.GetBytes(ElfHash.Of(absent)));
        Replace(image, Encoding.ASCII.GetBytes($"\0{used}\0"), Encoding.ASCII.GetBytes($"\0{absent}\0"));
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "libLibTorchSharp.so");
        File.WriteAllBytes(path, image);

        string? reason = GlibcLoader.LoadBound(path);

        Assert.NotNull(reason);
        Assert.Contains("undefined symbol", reason, StringComparison.Ordinal);
        Assert.Contains(absent, reason, StringComparison.Ordinal);
        Assert.DoesNotContain(path, File.ReadAllText("/proc/self/maps"), StringComparison.Ordinal);
    }

    [Fact]
    public void LoadBoundLoadsOrSaysWhy()
    {
        Assert.Null(GlibcLoader.LoadBound(Library("libtorch.so")));
        string missing = Path.Combine(AppContext.BaseDirectory, "missing.so");
        Assert.Contains(missing, GlibcLoader.LoadBound(missing), StringComparison.Ordinal);
    }

    private static string Library(string name)
    {
        string path = Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native", name);
        Assert.SkipUnless(OperatingSystem.IsLinux() && File.Exists(path), $"There is no {name} among the outputs, or this is not Linux.");
        return path;
    }

    private static void Replace(Span<byte> image, ReadOnlySpan<byte> old, ReadOnlySpan<byte> replacement)
    {
        int at = image.IndexOf(old);
        Assert.True(at > 0);
        replacement.CopyTo(image[at..]);
    }
}
