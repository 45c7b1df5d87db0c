using BayesNet.Estimators;
using BayesNet.Reparameterization;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Reparameterization;

public sealed class BaseNoiseTests
{
    private static readonly BaseNoise[] Known =
    [
        BaseNoise.Normal, BaseNoise.Uniform, BaseNoise.Laplace, BaseNoise.Logistic, BaseNoise.Cauchy, BaseNoise.Gumbel, BaseNoise.StudentT(3),
    ];

    public static IEnumerable<TheoryDataRow<string>> Names() => Known.Select(noise => new TheoryDataRow<string>(noise.Name));

    /// <summary>Odd multiples of half the spacing: symmetric to the last bit, and neither zero nor an endpoint can occur.</summary>
    [Theory]
    [InlineData(ScalarType.Float32, 25)]
    [InlineData(ScalarType.Float64, 54)]
    public void UniformDrawsAreOddMultiplesOfHalfTheSpacing(ScalarType dtype, int bits)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(41);
        Tensor multiples = noise.SymmetricUniform([100000], dtype, CPU).to(ScalarType.Float64) * Math.ScaleB(1, bits);
        Assert.True(multiples.to(ScalarType.Int64).bitwise_and(tensor(1L)).eq(1).all().item<bool>());
        Assert.True(multiples.eq(multiples.round()).all().item<bool>());
        Assert.True(multiples.abs().max().item<double>() < Math.ScaleB(1, bits - 1));
    }

    /// <summary>Every transform of a uniform draw is finite, odd where the law is symmetric, and reaches far at the last draws of float64.</summary>
    [Fact]
    public void TransformsAreFiniteAtTheEndsOfTheInterval()
    {
        using var scope = NewDisposeScope();
        double step = Math.ScaleB(1, -54);
        double[] uniforms = [-0.5 + step, -step, step, 0.5 - step];
        foreach (BaseNoise noise in Known.Where(noise => noise.FromUniform is not null))
        {
            double[] ends = noise.FromUniform!(tensor(uniforms)).data<double>().ToArray();
            Assert.All(ends, end => Assert.True(double.IsFinite(end), noise.Name));
            if (noise.IsSymmetric)
            {
                Assert.Equal(ends[0], -ends[3]);
                Assert.Equal(ends[1], -ends[2]);
                Assert.True(ends[3] > 36, noise.Name); // 53 ln 2
            }
        }
    }

    /// <summary>A law is called symmetric if and only if the quantiles of its draws and of their negatives agree.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void SymmetryIsAsStated(string name)
    {
        const int count = 100000;
        using var scope = NewDisposeScope();
        using var source = new NoiseSource(42);
        BaseNoise noise = Known.Single(known => known.Name == name);
        Tensor draws = noise.Draw(source, [count], ScalarType.Float64, CPU);
        Tensor points = tensor(new[] { 0.0, 0.3, 1.0, 3.0 });
        Tensor above = draws.unsqueeze(1).gt(points).to(ScalarType.Float64), below = (-draws).unsqueeze(1).gt(points).to(ScalarType.Float64);
        Tensor difference = above - below;
        Tensor standardErrors = difference.mean([0]).abs() / (difference.var(0, unbiased: true).sqrt() / Math.Sqrt(count)).clamp_min(1e-12);
        double worst = standardErrors.max().item<double>();
        Assert.True(noise.IsSymmetric ? worst < SampleMoments.StandardErrors : worst > 20, $"{worst:G3}");
    }

    [Fact]
    public void GumbelDrawsHaveTheirDistributionFunction()
    {
        using var scope = NewDisposeScope();
        using var source = new NoiseSource(43);
        foreach (ScalarType dtype in new[] { ScalarType.Float32, ScalarType.Float64 })
        {
            Tensor draws = BaseNoise.Gumbel.Draw(source, [50000, 1], dtype, CPU).to(ScalarType.Float64);
            KolmogorovSmirnov.AssertUniform((-(-draws).exp()).exp());
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void ASeedGivesTheSameDraws(string name)
    {
        using var scope = NewDisposeScope();
        using NoiseSource one = new(44), other = new(44);
        BaseNoise noise = Known.Single(known => known.Name == name);
        Tensor first = noise.Draw(one, [3, 5], ScalarType.Float32, CPU);
        Assert.Equal([3L, 5L], first.shape);
        Assert.Equal(ScalarType.Float32, first.dtype);
        Assert.False(first.requires_grad);
        Assert.True(first.eq(noise.Draw(other, [3, 5], ScalarType.Float32, CPU)).all().item<bool>());
        Assert.False(first.eq(noise.Draw(one, [3, 5], ScalarType.Float32, CPU)).all().item<bool>());
    }

    [Fact]
    public void TailIndicesAreStated()
    {
        Assert.Equal(1, BaseNoise.Cauchy.TailIndex);
        Assert.Equal(3, BaseNoise.StudentT(3).TailIndex);
        Assert.All(
            [BaseNoise.Normal, BaseNoise.Uniform, BaseNoise.Laplace, BaseNoise.Logistic, BaseNoise.Gumbel],
            noise => Assert.Equal(double.PositiveInfinity, noise.TailIndex));
        Assert.Throws<ArgumentOutOfRangeException>("degreesOfFreedom", () => BaseNoise.StudentT(0));
    }

    /// <summary>Very heavy tails end at the largest number of the type, not at infinity.</summary>
    [Fact]
    public void DrawsBeyondFloat32AreCut()
    {
        using var scope = NewDisposeScope();
        using var source = new NoiseSource(45);
        Tensor draws = BaseNoise.StudentT(0.05).Draw(source, [10000], ScalarType.Float32, CPU);
        Assert.True(draws.isfinite().all().item<bool>());
        Assert.Equal(float.MaxValue, draws.max().item<float>());
    }
}
