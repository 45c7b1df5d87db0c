using BayesNet.Kernels;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Kernels;

public sealed class NoiseDrawTests
{
    private static readonly NoiseDraw Known = new(0xABCDEF, 12);

    public static TheoryData<string> Laws() => new(Enum.GetNames<NoiseLaw>());

    [Theory]
    [MemberData(nameof(Laws))]
    public void EntriesDoNotDependOnThePiecesTheyAreFilledIn(string law)
    {
        AssertPieces<float>(Enum.Parse<NoiseLaw>(law));
        AssertPieces<double>(Enum.Parse<NoiseLaw>(law));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(8)]
    public void EntriesDoNotDependOnTheNumberOfThreads(int threads)
    {
        var expected = new float[100_003];
        Known.Fill(NoiseLaw.Normal, expected.AsSpan(), 17);
        int before = get_num_threads();
        try
        {
            set_num_threads(threads);
            var actual = new float[expected.Length];
            Known.FillInParallel(NoiseLaw.Normal, actual.AsSpan(), 17);
            Assert.Equal(expected, actual);
        }
        finally
        {
            set_num_threads(before);
        }
    }

    [Fact]
    public void KeysAndCountersGiveOtherEntries()
    {
        Assert.Equal(Normals(Known), Normals(Known));
        Assert.Empty(Normals(Known).Intersect(Normals(Known with { Counter = 13 })));
        Assert.Empty(Normals(Known).Intersect(Normals(Known with { Key = 0xABCDEE })));
    }

    [Fact]
    public void UniformsAreMultiplesInTheirInterval()
    {
        const int count = 1 << 20;
        float[] single = Filled<float>(NoiseLaw.Uniform, count);
        Assert.All(single, u => Assert.True(u is >= 0 and < 1 && u * (1 << 24) == MathF.Floor(u * (1 << 24))));
        double[] wide = Filled<double>(NoiseLaw.Uniform, count);
        Assert.All(wide, u => Assert.True(u is >= 0 and < 1));

        // The variance of a uniform is 1/12, that of its square's deviation 1/180.
        Assert.Equal(0.5, single.Average(u => (double)u), 5 / Math.Sqrt(12.0 * count));
        Assert.Equal(0.5, wide.Average(), 5 / Math.Sqrt(12.0 * count));
        Assert.Equal(1.0 / 12, wide.Average(u => (u - 0.5) * (u - 0.5)), 5 / Math.Sqrt(180.0 * count));
    }

    [Fact]
    public void SymmetricUniformsAreOddMultiplesWithinOneHalf()
    {
        float[] uniform = Filled<float>(NoiseLaw.Uniform, 4096), symmetric = Filled<float>(NoiseLaw.SymmetricUniform, 4096);
        for (int i = 0; i < uniform.Length; i++)
        {
            Assert.Equal(uniform[i] - 0.5f + MathF.ScaleB(1, -25), symmetric[i]);
            Assert.True(symmetric[i] != 0 && Math.Abs(symmetric[i]) < 0.5f);
        }

        double[] wideUniform = Filled<double>(NoiseLaw.Uniform, 4096), wide = Filled<double>(NoiseLaw.SymmetricUniform, 4096);
        for (int i = 0; i < wide.Length; i++)
            Assert.Equal(wideUniform[i] - 0.5 + Math.ScaleB(1, -54), wide[i]);
    }

    [Fact]
    public void SignsAreFair()
    {
        const int count = 1 << 20;
        float[] signs = Filled<float>(NoiseLaw.Sign, count);
        Assert.All(signs, sign => Assert.Equal(1, Math.Abs(sign)));
        Assert.Equal(0, signs.Average(sign => (double)sign), 5 / Math.Sqrt(count));
        double[] wide = Filled<double>(NoiseLaw.Sign, count);
        Assert.All(wide, sign => Assert.Equal(1, Math.Abs(sign)));
        Assert.Equal(0, wide.Average(), 5 / Math.Sqrt(count));
    }

    private static void AssertPieces<T>(NoiseLaw law)
        where T : unmanaged, System.Numerics.IBinaryFloatingPointIeee754<T>
    {
        T[] whole = Filled<T>(law, 1000);
        foreach (int first in new[] { 0, 1, 31, 32, 63, 64, 65, 200 })
        {
            foreach (int length in new[] { 0, 1, 5, 64, 100, 800 })
            {
                var piece = new T[length];
                Known.Fill(law, piece.AsSpan(), first);
                Assert.Equal(whole.AsSpan(first, length).ToArray(), piece);
            }
        }
    }

    private static T[] Filled<T>(NoiseLaw law, int count)
        where T : unmanaged, System.Numerics.IBinaryFloatingPointIeee754<T>
    {
        var values = new T[count];
        Known.Fill(law, values.AsSpan());
        return values;
    }

    private static float[] Normals(NoiseDraw draw)
    {
        var values = new float[1000];
        draw.Fill(NoiseLaw.Normal, values.AsSpan());
        return values;
    }
}
