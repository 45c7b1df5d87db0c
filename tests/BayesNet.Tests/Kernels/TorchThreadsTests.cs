using BayesNet.Kernels;
using TorchSharp;
using Xunit;

namespace BayesNet.Tests.Kernels;

public class TorchThreadsTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 1000)]
    [InlineData(2, 1)]
    [InlineData(4, 100)]
    public void EveryIndexIsVisitedOnce(int threads, long grain)
    {
        int before = torch.get_num_threads();
        torch.set_num_threads(threads);
        try
        {
            int[] visits = new int[10_007];
            var body = new Count(visits);
            for (int i = 0; i < 20; i++)
                TorchThreads.For(visits.Length, grain, ref body);
            Assert.All(visits, count => Assert.Equal(20, count));
        }
        finally
        {
            torch.set_num_threads(before);
        }
    }

    [Fact]
    public void NothingIsNothing()
    {
        var body = new Fails();
        TorchThreads.For(0, 1, ref body);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void AnExceptionOfTheBodyReachesTheCaller(int threads)
    {
        int before = torch.get_num_threads();
        torch.set_num_threads(threads);
        try
        {
            var body = new Fails();
            Assert.Throws<InvalidDataException>(() => TorchThreads.For(100, 1, ref body));
        }
        finally
        {
            torch.set_num_threads(before);
        }
    }

    private readonly struct Count(int[] visits) : IRangeBody
    {
        public void Run(long begin, long end)
        {
            for (long i = begin; i < end; i++)
                Interlocked.Increment(ref visits[i]);
        }
    }

    private readonly struct Fails : IRangeBody
    {
        public void Run(long begin, long end) => throw new InvalidDataException("no");
    }
}
