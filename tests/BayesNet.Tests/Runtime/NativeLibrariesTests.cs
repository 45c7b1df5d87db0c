using System.Diagnostics;
using Xunit;

namespace BayesNet.Tests.Runtime;

/// <summary>
/// Loading in processes of its own. On a system whose C++ runtime is new enough TorchSharp's library is loaded as it is, elsewhere from an
/// adapted copy: the tests say which by the path that the probe loaded.
/// </summary>
public sealed class NativeLibrariesTests
{
    [Fact]
    public async Task ProcessesThatStartAtOnceShareOneCopy()
    {
        SkipWithoutLinuxLibraries();
        using var cache = new TemporaryFolder();
        ProbeResult[] results = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Probe.Run(("BAYESNET_CACHE", cache.Path))));
        Assert.All(results, result => Assert.True(result.Works, $"{result}"));
        string loaded = Assert.Single(results.Select(result => result.Loaded).Distinct());
        Assert.Equal(loaded == Unadapted ? [] : [loaded], cache.Files());

        // Another process finds it there.
        ProbeResult later = await Probe.Run(("BAYESNET_CACHE", cache.Path));
        Assert.True(later.Works, $"{later}");
        Assert.Equal(loaded, later.Loaded);
        Assert.Equal(loaded == Unadapted ? [] : [loaded], cache.Files());
        AssertOneLibTorch(later, Probe.Natives);

        // Where TorchSharp fails to load its library it copies all of libtorch into such a folder.
        Assert.False(Directory.Exists(Path.Combine(Probe.Folder, "cpu")));
    }

    [Fact]
    public async Task WithoutACacheATemporaryCopyIsLoadedAndDeleted()
    {
        SkipWithoutLinuxLibraries();
        using var folder = new TemporaryFolder();
        using var temporary = new TemporaryFolder();
        string unwritable = Unwritable(folder);
        ProbeResult result = await Probe.Run(("BAYESNET_CACHE", unwritable), ("TMPDIR", temporary.Path));
        Assert.True(result.Works, $"{result}");
        if (result.Loaded != Unadapted)
            Assert.StartsWith(temporary.Path, result.Loaded, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(temporary.Path));
        AssertOneLibTorch(result, Probe.Natives);
    }

    [Fact]
    public async Task WithNowhereToWriteTheErrorNamesTheVariable()
    {
        SkipWithoutLinuxLibraries();
        using var folder = new TemporaryFolder();
        string unwritable = Unwritable(folder);
        ProbeResult result = await Probe.Run(("BAYESNET_CACHE", unwritable), ("TMPDIR", unwritable));
        Assert.SkipWhen(result.Works && result.Loaded == Unadapted, "This system's C++ runtime is new enough: nothing need be written.");
        Assert.True(result.ExitCode == 1, $"{result}");
        Assert.Contains("GLIBCXX_3.4.32", result.Error, StringComparison.Ordinal);
        Assert.Contains("BAYESNET_CACHE", result.Error, StringComparison.Ordinal);
        Assert.Contains(unwritable, result.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AFolderWithoutLibTorchIsNamed(bool exists)
    {
        using var folder = new TemporaryFolder();
        string chosen = exists ? folder.Path : Path.Combine(folder.Path, "absent");
        ProbeResult result = await Probe.Run(("BAYESNET_LIBTORCH", chosen));
        Assert.True(result.ExitCode == 1, $"{result}");
        Assert.Contains($"BAYESNET_LIBTORCH is '{chosen}'", result.Error, StringComparison.Ordinal);
        Assert.Contains("torch_cpu", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AFileThatIsNoLibraryIsNamed()
    {
        SkipWithoutLinuxLibraries();
        using var folder = new TemporaryFolder();
        string file = Path.Combine(folder.Path, "libtorch_cpu.so");
        await File.WriteAllTextAsync(file, "no library", TestContext.Current.CancellationToken);
        ProbeResult result = await Probe.Run(("BAYESNET_LIBTORCH", folder.Path));
        Assert.True(result.ExitCode == 1, $"{result}");
        Assert.Contains($"{file}: ", result.Error, StringComparison.Ordinal);
        Assert.Contains("BAYESNET_LIBTORCH", result.Error, StringComparison.Ordinal);
    }

    /// <summary>
    /// Hard links stand for an installed libtorch: the mapped path is the one that was opened. The loader knows by the inode that link and
    /// package are one library; that it takes two files for one is <see cref="GlibcLoaderTests"/>' matter.
    /// </summary>
    [Theory]
    [InlineData("")]
    [InlineData("lib")]
    [InlineData("torch/lib")]
    public async Task AChosenLibTorchIsLoadedInPlaceOfThePackage(string subfolder)
    {
        SkipWithoutLinuxLibraries();
        using var chosen = new TemporaryFolder(Probe.Folder);
        string folder = Directory.CreateDirectory(Path.Combine(chosen.Path, subfolder)).FullName;
        string[] libraries = [.. Directory.GetFiles(Probe.Natives, "*.so*").Where(path => Path.GetFileName(path) != "libLibTorchSharp.so")];
        using (Process link = Process.Start("ln", [.. libraries, folder]))
        {
            await link.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.Equal(0, link.ExitCode);
        }

        using var cache = new TemporaryFolder();
        ProbeResult result = await Probe.Run(("BAYESNET_LIBTORCH", chosen.Path), ("BAYESNET_CACHE", cache.Path));
        Assert.True(result.Works, $"{result}");
        AssertOneLibTorch(result, folder);
    }

    private static string Unadapted => Path.Combine(Probe.Natives, "libLibTorchSharp.so");

    /// <summary>A path below a file, where not even root can make a folder.</summary>
    private static string Unwritable(TemporaryFolder folder)
    {
        string file = Path.Combine(folder.Path, "file");
        File.WriteAllText(file, "");
        return Path.Combine(file, "below");
    }

    private static void AssertOneLibTorch(ProbeResult result, string folder)
        => Assert.Equal(
            [Path.Combine(folder, "libtorch.so"), Path.Combine(folder, "libtorch_cpu.so")],
            result.Mapped.Where(path => Path.GetFileName(path).StartsWith("libtorch", StringComparison.Ordinal)).Order(StringComparer.Ordinal));

    private static void SkipWithoutLinuxLibraries()
        => Assert.SkipUnless(
            OperatingSystem.IsLinux() && File.Exists(Path.Combine(Probe.Natives, "libtorch_cpu.so")), "LoadProbe has no Linux libtorch of its own beside it.");
}
