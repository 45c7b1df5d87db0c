using System.Globalization;
using BayesNet.Runtime;
using Xunit;

namespace BayesNet.Tests.Runtime;

/// <summary>In processes of their own: the setting holds for all that a process does afterwards.</summary>
public sealed class MemoryAllocationTests
{
    [Fact]
    public async Task KeptMemoryIsNotFetchedAgain()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Only Linux tells how many pages a process fetched.");
        ProbeResult kept = await Probe.Run(("LOADPROBE_KEEP", "true")), returned = await Probe.Run(("LOADPROBE_KEEP", "false"));
        Assert.True(kept.Works && returned.Works, $"{kept}\n{returned}");
        Assert.SkipUnless(kept.Values("kept") is ["True"], "The C library's allocator is not glibc's.");

        // Forty blocks, one alive at a time: each fetched anew where they are returned; the first few where they are kept, until the heap has
        // holes that fit a block and its alignment.
        Assert.InRange(Pages(kept) / Pages(returned), 0, 0.5);
        Assert.Equal(["True"], kept.Values("released"));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    public void ABoundBelowOneIsRefused(int mostBytes)
        => Assert.Equal("mostBytes", Assert.Throws<ArgumentOutOfRangeException>(() => MemoryAllocation.KeepFreedMemory(mostBytes)).ParamName);

    private static double Pages(ProbeResult result) => double.Parse(Assert.Single(result.Values("pages")), CultureInfo.InvariantCulture);
}
