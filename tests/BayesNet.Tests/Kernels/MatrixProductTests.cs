using BayesNet.Kernels;
using Xunit;

namespace BayesNet.Tests.Kernels;

public class MatrixProductTests
{
    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public unsafe void AgreesWithTheSum(bool transposeA, bool transposeB)
    {
        Assert.SkipUnless(MatrixProduct.IsAvailable, "this libtorch exports no BLAS");
        const int m = 5, n = 7, k = 3, spare = 2;
        var random = new Random(1);
        int strideA = (transposeA ? m : k) + spare, strideB = (transposeB ? k : n) + spare, strideC = n + spare;
        double[] a = Draw((transposeA ? k : m) * strideA), b = Draw((transposeB ? n : k) * strideB), c = Draw(m * strideC);
        double[] expected = [.. c];
        for (int i = 0; i < m; i++)
        {
            for (int j = 0; j < n; j++)
            {
                double sum = 0;
                for (int l = 0; l < k; l++)
                    sum += (transposeA ? a[l * strideA + i] : a[i * strideA + l]) * (transposeB ? b[j * strideB + l] : b[l * strideB + j]);
                expected[i * strideC + j] = 2 * sum + 0.5 * c[i * strideC + j];
            }
        }

        float[] singleA = [.. a.Select(x => (float)x)], singleB = [.. b.Select(x => (float)x)], singleC = [.. c.Select(x => (float)x)];
        fixed (double* pa = a, pb = b, pc = c)
            MatrixProduct.Multiply(transposeA, transposeB, m, n, k, 2, pa, strideA, pb, strideB, 0.5, pc, strideC);
        fixed (float* pa = singleA, pb = singleB, pc = singleC)
            MatrixProduct.Multiply(transposeA, transposeB, m, n, k, 2, pa, strideA, pb, strideB, 0.5, pc, strideC);
        for (int i = 0; i < c.Length; i++)
        {
            Assert.Equal(expected[i], c[i], 1e-12);
            Assert.Equal(expected[i], singleC[i], 1e-5);
        }

        double[] Draw(int count) => [.. Enumerable.Range(0, count).Select(_ => random.NextDouble() - 0.5)];
    }

    [Fact]
    public unsafe void BetaZeroNeverReadsTheResult()
    {
        Assert.SkipUnless(MatrixProduct.IsAvailable, "this libtorch exports no BLAS");
        float a = 2, b = 3, c = float.NaN;
        MatrixProduct.Multiply(false, false, 1, 1, 1, 1, &a, 1, &b, 1, 0, &c, 1);
        Assert.Equal(6, c);
    }
}
