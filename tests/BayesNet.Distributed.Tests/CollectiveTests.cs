using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Distributed.Tests;

/// <summary>What collectives of any engine have in common.</summary>
public sealed class CollectiveTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly SingleProcess _alone = new();

    public void Dispose()
    {
        _alone.Dispose();
        _scope.Dispose();
    }

    [Fact]
    public void OneProcessKeepsItsTensors()
    {
        ICollectives ranks = _alone;
        Tensor values = tensor(new[] { 1.5, -2 });
        ranks.AllReduce(values);
        ranks.AllReduce(values, Reduction.Mean);
        ranks.Broadcast(values);
        ranks.Barrier();
        Assert.Equal([1.5, -2], values.data<double>().ToArray());
        Assert.Equal((0, 1), (ranks.Rank, ranks.Size));
    }

    [Fact]
    public void WhatAnEngineCannotExchangeIsRefused()
    {
        ICollectives ranks = _alone;
        Assert.Contains("contiguous", Assert.Throws<ArgumentException>(() => ranks.AllReduce(zeros(3, 4).t())).Message, StringComparison.Ordinal);
        Assert.Contains("Int32", Assert.Throws<ArgumentException>(() => ranks.AllReduce(zeros(3, dtype: ScalarType.Int32))).Message, StringComparison.Ordinal);
        Assert.Contains("mean", Assert.Throws<ArgumentException>(() => ranks.AllReduce(zeros(3, dtype: ScalarType.Int64), Reduction.Mean)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => ranks.AllReduce(zeros(3), (Reduction)9));
        Assert.Throws<ArgumentOutOfRangeException>(() => ranks.Broadcast(zeros(3), 1));
        Assert.Throws<ArgumentNullException>(() => ranks.AllReduce(null!));
    }

    [Fact]
    public void NcclThatIsMissingIsNamed()
    {
        Assert.SkipWhen(System.Runtime.InteropServices.NativeLibrary.TryLoad("libnccl.so.2", out _), "NCCL is installed here.");
        Assert.Contains("libnccl.so.2", Assert.Throws<DllNotFoundException>(() => new Nccl.NcclCollectives(_alone)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void EveryItemOfAMapIsDoneOnceAndKnownToAll(int size)
    {
        (IReadOnlyList<string> Results, int Done)[] all = ThreadCollectives.Run(size, ranks =>
        {
            int done = 0;
            return (ranks.Map<int, string>([.. Enumerable.Range(0, 8)], i => $"{i} by {ranks.Rank}, {++done}"), done);
        });
        Assert.All(all, rank => Assert.Equal([.. Enumerable.Range(0, 8).Select(i => $"{i} by {i % size}, {i / size + 1}")], rank.Results));
        Assert.Equal(8, all.Sum(rank => rank.Done));
    }

    [Fact]
    public void NumbersOfAMapKeepTheirBits()
    {
        double[] values = [1 / 3.0, double.NaN, double.NegativeInfinity, double.Epsilon, -0.0, Math.PI * 1e300];
        foreach (IReadOnlyList<double> found in ThreadCollectives.Run(2, ranks => ranks.Map(values, value => value)))
            Assert.Equal(values.Select(BitConverter.DoubleToInt64Bits), found.Select(BitConverter.DoubleToInt64Bits));
    }

    [Fact]
    public void AFunctionThatFailsFailsOnAllRanks()
    {
        string[] messages = ThreadCollectives.Run(
            3, ranks => Assert.Throws<CollectiveException>(() => ranks.Map<int, int>([0, 1, 2, 3, 4], i => i == 4 ? throw new ArithmeticException("too much") : i)).Message);
        Assert.All(messages, message => Assert.Equal("Item 4 failed on rank 1: too much", message));
    }

    [Fact]
    public void BytesOfAnyLengthAreGathered()
    {
        foreach (IReadOnlyList<byte[]> all in ThreadCollectives.Run(3, ranks => ranks.AllGather([.. Enumerable.Repeat((byte)ranks.Rank, ranks.Rank * 2)])))
            Assert.Equal([[], [1, 1], [2, 2, 2, 2]], all);
    }

    [Theory]
    [InlineData(1, 4)]
    [InlineData(3, 4)]
    [InlineData(10, 3)]
    [InlineData(128, 7)]
    public void SlicesAreEvenAndLeaveNothingOut(long rows, int size)
    {
        (long Start, long Length)[] slices = ThreadCollectives.Run(size, ranks => ((Training.Fitting.IPeers)new DataParallel(ranks)).Slice(rows));
        Assert.True(slices[0].Length > 0);
        Assert.Equal(rows, slices.Sum(slice => slice.Length));
        Assert.True(slices.Max(slice => slice.Length) - slices.Min(slice => slice.Length) <= 1);
        Assert.All(Enumerable.Range(1, size - 1), rank => Assert.Equal(slices[rank - 1].Start + slices[rank - 1].Length, slices[rank].Start));
    }
}
