using BayesNet.Kernels;
using Xunit;

namespace BayesNet.Tests.Kernels;

public class MatrixProductTests
{
    [Theory]
    [InlineData(false, false, true)]
    [InlineData(false, true, true)]
    [InlineData(true, false, true)]
    [InlineData(true, true, true)]
    [InlineData(false, false, false)]
    [InlineData(false, true, false)]
    [InlineData(true, false, false)]
    [InlineData(true, true, false)]
    public unsafe void AgreesWithTheSum(bool transposeA, bool transposeB, bool blas)
    {
        using var way = new Way(blas);
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

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public unsafe void BetaZeroNeverReadsTheResult(bool blas)
    {
        using var way = new Way(blas);
        float a = 2, b = 3, c = float.NaN;
        MatrixProduct.Multiply(false, false, 1, 1, 1, 1, &a, 1, &b, 1, 0, &c, 1);
        Assert.Equal(6, c);
    }

    /// <summary>Products by the BLAS or by the operator, while it lives.</summary>
    private sealed class Way : IDisposable
    {
        private readonly bool _before = MatrixProduct.UsesBlas;

        public Way(bool blas)
        {
            Assert.SkipUnless(!blas || _before, "this libtorch exports no BLAS");
            Assert.SkipUnless(blas || MatrixProduct.HasOperator, "this libtorch has no operator on raw memory");
            MatrixProduct.UsesBlas = blas;
        }

        public void Dispose() => MatrixProduct.UsesBlas = _before;
    }
}
