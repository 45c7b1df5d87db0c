using System.Runtime.InteropServices;
using BayesNet.Runtime;
using Xunit;

namespace BayesNet.Tests.Runtime;

public sealed class LoaderAliasTests
{
    /// <summary>
    /// Two files of the same small library, which has no code of its own: the loader takes them for two, and after the alias for one.
    /// </summary>
    [Fact]
    public void TheOtherPathIsTheLoadedLibrary()
    {
        string library = Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native", "libtorch.so");
        Assert.SkipUnless(OperatingSystem.IsLinux() && File.Exists(library), "There is no Linux libtorch among the outputs.");
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

            LoaderAlias.Set(chosen, packaged);
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
}
