using BayesNet.Kernels;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Kernels;

public sealed class ChunkedSumTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(8_192)]
    [InlineData(100_003)]
    public void EveryIndexCountsOnceOnAnyNumberOfThreads(long count)
    {
        int before = get_num_threads();
        try
        {
            foreach (int threads in new[] { 1, 2, 4 })
            {
                set_num_threads(threads);
                Assert.Equal(count * (count - 1) / 2.0, ChunkedSum.Of(count, new Indices()));
            }
        }
        finally
        {
            set_num_threads(before);
        }
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    [InlineData(ScalarType.BFloat16)]
    public void SquaresAreSummedInDouble(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        Tensor values = (arange(20_011, dtype: ScalarType.Float64) * 0.37).sin().to(dtype);
        double expected = SquaredNorm.Plain(values);
        Assert.Equal(expected, SquaredNorm.Of(values), 1e-12 * expected);
        Assert.Equal(expected, SquaredNorm.Of(values.unsqueeze(1).expand(-1, 2).narrow(1, 0, 1).t()), 1e-12 * expected);
    }

    private readonly struct Indices : IRangeSum
    {
        public double Sum(long begin, long end)
        {
            double sum = 0;
            for (long i = begin; i < end; i++)
                sum += i;
            return sum;
        }
    }
}
