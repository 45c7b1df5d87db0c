using BayesNet.Runtime;
using Xunit;

namespace BayesNet.Tests.Runtime;

public sealed class NativeCacheTests
{
    private static readonly byte[] Content = [.. Enumerable.Range(0, 100_000).Select(i => (byte)(i * 31))];

    [Fact]
    public void PlacesOnceAndFindsItAgain()
    {
        using var folder = new TemporaryFolder();
        string path = NativeCache.Place(Path.Combine(folder.Path, "new", "cache"), "lib.so", Content);
        Assert.Equal(Content, File.ReadAllBytes(path));
        Assert.Equal("lib.so", Path.GetFileName(path));

        // A second placement leaves the file alone: a process may have it mapped.
        DateTime old = new(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc);
        File.SetLastWriteTimeUtc(path, old);
        Assert.Equal(path, NativeCache.Place(Path.Combine(folder.Path, "new", "cache"), "lib.so", Content));
        Assert.Equal(old, File.GetLastWriteTimeUtc(path));
        Assert.Equal([path], folder.Files());
    }

    [Fact]
    public void OtherContentHasAPlaceOfItsOwn()
    {
        using var folder = new TemporaryFolder();
        byte[] other = [.. Content];
        other[^1]++;
        string first = NativeCache.Place(folder.Path, "lib.so", Content);
        string second = NativeCache.Place(folder.Path, "lib.so", other);
        Assert.NotEqual(first, second);
        Assert.Equal(Content, File.ReadAllBytes(first));
        Assert.Equal(other, File.ReadAllBytes(second));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(99_999)]
    [InlineData(100_001)]
    [InlineData(100_000)]
    public void ADamagedFileIsReplaced(int length)
    {
        using var folder = new TemporaryFolder();
        string path = NativeCache.Place(folder.Path, "lib.so", Content);
        byte[] damaged = new byte[length];
        Content.AsSpan(0, Math.Min(length, Content.Length)).CopyTo(damaged);
        if (length > 0)
            damaged[length / 2] ^= 1;
        File.WriteAllBytes(path, damaged);

        Assert.Equal(path, NativeCache.Place(folder.Path, "lib.so", Content));
        Assert.Equal(Content, File.ReadAllBytes(path));
        Assert.Equal([path], folder.Files());
    }

    /// <summary>Threads that start together, into an empty cache and onto a damaged file.</summary>
    [Fact]
    public async Task ConcurrentPlacementsGiveOneWholeFile()
    {
        const int threads = 16;
        for (int round = 0; round < 10; round++)
        {
            using var folder = new TemporaryFolder();
            if (round % 2 == 1)
                File.WriteAllBytes(NativeCache.Place(folder.Path, "lib.so", Content), [1, 2, 3]);
            using var start = new Barrier(threads);
            Task<(string Path, byte[] Read)>[] placements =
            [
                .. Enumerable.Range(0, threads).Select(_ => Task.Factory.StartNew(
                    () =>
                    {
                        start.SignalAndWait();
                        string path = NativeCache.Place(folder.Path, "lib.so", Content);
                        return (path, File.ReadAllBytes(path));
                    },
                    TestContext.Current.CancellationToken,
                    TaskCreationOptions.LongRunning,
                    TaskScheduler.Default)),
            ];

            (string Path, byte[] Read)[] placed = await Task.WhenAll(placements);
            Assert.Single(placed.Select(placement => placement.Path).Distinct());
            Assert.All(placed, placement => Assert.True(placement.Read.AsSpan().SequenceEqual(Content)));
            Assert.Equal([placed[0].Path], folder.Files());
        }
    }

    /// <summary>A folder below a file, which not even root can make.</summary>
    [Fact]
    public void AFolderThatCannotBeWrittenIsAnIOException()
    {
        using var folder = new TemporaryFolder();
        string file = Path.Combine(folder.Path, "file");
        File.WriteAllText(file, "");
        Assert.ThrowsAny<IOException>(() => NativeCache.Place(file, "lib.so", Content));
        Assert.ThrowsAny<IOException>(() => NativeCache.Place(Path.Combine(file, "cache"), "lib.so", Content));
        Assert.Equal([file], folder.Files());
    }

    [Fact]
    public void NothingIsLeftWhereAFileCannotBeReplaced()
    {
        using var folder = new TemporaryFolder();
        string path = NativeCache.Place(folder.Path, "lib.so", Content);
        File.Delete(path);
        Directory.CreateDirectory(Path.Combine(path, "full"));
        Exception? error = Record.Exception(() => NativeCache.Place(folder.Path, "lib.so", Content));
        Assert.True(error is IOException or UnauthorizedAccessException, $"{error}");
        Assert.Empty(folder.Files());
    }

    [Fact]
    public void TheUsersFolderFollowsTheEnvironment()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "The paths of this test are Unix ones.");
        Assert.Equal("/chosen", Folder(("BAYESNET_CACHE", "/chosen"), ("XDG_CACHE_HOME", "/xdg"), ("HOME", "/home/user")));
        Assert.Equal(Path.GetFullPath("here"), Folder(("BAYESNET_CACHE", "here")));
        Assert.Equal("/xdg/bayesnet", Folder(("BAYESNET_CACHE", " "), ("XDG_CACHE_HOME", "/xdg"), ("HOME", "/home/user")));
        Assert.Equal("/home/user/.cache/bayesnet", Folder(("XDG_CACHE_HOME", "relative"), ("HOME", "/home/user")));
        Assert.Equal("/home/user/.cache/bayesnet", Folder(("XDG_CACHE_HOME", ""), ("HOME", "/home/user")));
        Assert.Null(Folder(("HOME", "")));
        Assert.Null(Folder());

        static string? Folder(params (string Name, string Value)[] variables)
            => NativeCache.UserFolder(name => variables.FirstOrDefault(variable => variable.Name == name).Value);
    }
}
