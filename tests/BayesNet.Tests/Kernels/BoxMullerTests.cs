using System.Runtime.Intrinsics;
using BayesNet.Kernels;
using BayesNet.Tests.Reparameterization;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Kernels;

public sealed unsafe class BoxMullerTests
{
    private const double StandardErrors = 5;

    [Fact]
    public void EveryWidthGivesTheSameBits()
    {
        const int groups = 40;
        float[] narrow = new float[groups * Philox.GroupWords], middle = new float[narrow.Length], wide = new float[narrow.Length];
        fixed (float* first = narrow, second = middle, third = wide)
        {
            BoxMuller.Groups<Vector128<uint>, Lanes128>(9, 3, 100, groups, first);
            BoxMuller.Groups<Vector256<uint>, Lanes256>(9, 3, 100, groups, second);
            BoxMuller.Groups<Vector512<uint>, Lanes512>(9, 3, 100, groups, third);
        }

        Assert.Equal(narrow, middle);
        Assert.Equal(narrow, wide);
    }

    /// <summary>The polynomials are within 2e-7 and a handful of roundings; |z| is at most 6.7, so 4e-6 is generous.</summary>
    [Fact]
    public void NormalsAreTheTransformOfTheirWords()
    {
        const int groups = 400;
        var words = new uint[groups * Philox.GroupWords];
        var normals = new float[words.Length];
        fixed (uint* first = words)
        fixed (float* second = normals)
        {
            Philox.Groups<Vector128<uint>, Lanes128>(4, 5, 0, groups, first);
            new NoiseDraw(4, 5).Fill(NoiseLaw.Normal, normals.AsSpan());
        }

        for (int i = 0; i < words.Length; i++)
        {
            bool isSine = i / Philox.GroupBlocks % 2 == 1;
            uint radiusBits = words[isSine ? i - Philox.GroupBlocks : i], angleBits = words[isSine ? i : i + Philox.GroupBlocks];
            double radius = Math.Sqrt(-2 * Math.Log(((radiusBits >> 1) + 0.5) / (1L << 31)));
            double angle = Math.PI / 2 * (int)(angleBits << 1) / (1L << 31);
            double cosine = (angleBits >> 31 == 0 ? 1 : -1) * Math.Cos(angle);

            // Near u = 1 the float has u to 2^-25, half of what it is away from 1 at r = 2^-12.
            double expected = radius * (isSine ? Math.Sin(angle) : cosine);
            Assert.Equal(expected, normals[i], radius < 0.01 ? 1e-4 : 4e-6);
        }
    }

    [Fact]
    public void ExtremeWordsGiveFiniteNormals()
    {
        uint[] extremes = [0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, uint.MaxValue];
        double largest = 0;
        foreach (uint radius in extremes)
        {
            foreach (uint angle in extremes)
            {
                BoxMuller.Transform<Vector128<uint>, Lanes128>(Vector128.Create(radius), Vector128.Create(angle), out Vector128<uint> first, out Vector128<uint> second);
                foreach (float z in new[] { first.AsSingle()[0], second.AsSingle()[0] })
                {
                    Assert.True(float.IsFinite(z), $"{radius:x} {angle:x} gives {z}.");
                    largest = Math.Max(largest, Math.Abs(z));
                }
            }
        }

        Assert.Equal(BoxMuller.LargestSingle, largest, 1e-5);
        ulong[] wide = [0, (1UL << 53) - 1];
        foreach (ulong radius in wide)
        {
            (Vector256<double> first, _) = BoxMuller.Transform(Vector256.Create(radius), Vector256<ulong>.Zero);
            Assert.Equal(radius == 0 ? BoxMuller.LargestDouble : 0, first[0], 1e-5);
        }
    }

    /// <summary>Moments, neighbours up to eight entries apart and the pairs of a transform, their squares too, over many keys.</summary>
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void NormalsHaveTheirMomentsAndNoCorrelation(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        const int keys = 64, count = 1 << 14;
        Tensor z = Draws(dtype, keys, count);
        double n = keys * (double)count;
        AssertMean(z.mean().item<double>(), 0, 1, n);
        AssertMean(z.pow(2).mean().item<double>(), 1, 2, n);
        AssertMean(z.pow(3).mean().item<double>(), 0, 15, n);
        AssertMean(z.pow(4).mean().item<double>(), 3, 96, n);
        int[] lags = [1, 2, 3, 4, 5, 6, 7, 8, Philox.GroupBlocks, 2 * Philox.GroupBlocks, Philox.GroupWords];
        Tensor squares = z.pow(2) - 1;
        foreach (int lag in lags)
        {
            int length = count - lag;
            AssertMean((z.narrow(1, 0, length) * z.narrow(1, lag, length)).mean().item<double>(), 0, 1, keys * (double)length);
            AssertMean((squares.narrow(1, 0, length) * squares.narrow(1, lag, length)).mean().item<double>(), 0, 4, keys * (double)length);
        }

        // The same entries of neighbouring keys.
        AssertMean((z.narrow(0, 0, keys - 1) * z.narrow(0, 1, keys - 1)).mean().item<double>(), 0, 1, n - count);
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void NormalsHaveTheirDistributionFunction(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        Tensor z = Draws(dtype, 16, 1 << 15);
        Tensor distribution = (1 + (z / Math.Sqrt(2)).erf()) / 2;
        KolmogorovSmirnov.AssertUniform(distribution.t());
        KolmogorovSmirnov.AssertUniform(distribution.reshape(-1, 1));
    }

    /// <summary>Counts beyond 2, 3, 4 and 5 standard deviations; of 1e8 draws, or 1e6 on machines whose vectors are narrow.</summary>
    [Fact]
    public void TailsHaveTheirWeight()
    {
        int chunks = Vector256.IsHardwareAccelerated ? 1526 : 16;
        double[] bounds = [2, 3, 4, 5];
        double[] beyond = [0.02275013194817921, 0.0013498980316300933, 3.167124183311986e-5, 2.866515718791946e-7];
        var above = new long[bounds.Length];
        var below = new long[bounds.Length];
        var buffer = new float[1 << 16];
        for (int chunk = 0; chunk < chunks; chunk++)
        {
            new NoiseDraw(2026, (ulong)chunk).FillInParallel(NoiseLaw.Normal, buffer.AsSpan());
            foreach (float z in buffer)
            {
                for (int i = 0; i < bounds.Length && Math.Abs(z) > bounds[i]; i++)
                    (z > 0 ? above : below)[i]++;
            }
        }

        double draws = (double)chunks * buffer.Length;
        for (int i = 0; i < bounds.Length; i++)
        {
            // A count is Poisson; where fewer than ten are expected, its five standard errors get the skewness of one more.
            double expected = draws * beyond[i], tolerance = StandardErrors * Math.Sqrt(expected) + 5;
            Assert.Equal(expected, above[i], tolerance);
            Assert.Equal(expected, below[i], tolerance);
        }
    }

    private static Tensor Draws(ScalarType dtype, int keys, int count)
    {
        var rows = new Tensor[keys];
        for (int key = 0; key < keys; key++)
        {
            rows[key] = zeros(count, dtype: dtype);
            if (dtype == ScalarType.Float32)
                new NoiseDraw((ulong)key, 1).Fill(NoiseLaw.Normal, TensorMemory.Span<float>(rows[key]));
            else
                new NoiseDraw((ulong)key, 1).Fill(NoiseLaw.Normal, TensorMemory.Span<double>(rows[key]));
        }

        return stack(rows).to(ScalarType.Float64);
    }

    private static void AssertMean(double actual, double expected, double variance, double count)
        => Assert.Equal(expected, actual, StandardErrors * Math.Sqrt(variance / count));
}
