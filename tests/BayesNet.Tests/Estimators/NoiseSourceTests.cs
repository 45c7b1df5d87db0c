using BayesNet.Estimators;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Estimators;

public sealed class NoiseSourceTests
{
    [Fact]
    public void SpansGetTheEntriesThatTensorsGet()
    {
        using var scope = NewDisposeScope();
        using NoiseSource tensors = new(3), spans = new(3);
        for (int draw = 0; draw < 3; draw++)
        {
            var single = new float[70_000];
            spans.FillNormal(single.AsSpan());
            Assert.Equal(tensors.Normal([7, 10_000], ScalarType.Float32, CPU).data<float>().ToArray(), single);
            var wide = new double[33];
            spans.FillNormal(wide.AsSpan());
            Assert.Equal(tensors.Normal([33], ScalarType.Float64, CPU).data<double>().ToArray(), wide);
        }
    }

    [Fact]
    public void TheGlobalGeneratorGovernsASourceWithoutASeed()
    {
        using var scope = NewDisposeScope();
        using NoiseSource one = new(), other = new();
        float[] Draw(NoiseSource source) => source.Normal([20], ScalarType.Float32, CPU).data<float>().ToArray();
        manual_seed(12);
        float[] first = Draw(one), second = Draw(one);
        manual_seed(12);
        Assert.Equal(first, Draw(other));
        Assert.Equal(second, Draw(one));
        Assert.NotEqual(first, second);
        Assert.Null(one.State);
    }

    [Fact]
    public void TheStateIsAKeyAndACounter()
    {
        using var scope = NewDisposeScope();
        using NoiseSource source = new(41), other = new();
        source.Normal([5], ScalarType.Float32, CPU);
        source.Signs([2, 2], ScalarType.Float64, CPU);
        Assert.Equal((41UL, 2UL), source.State);
        other.State = source.State;
        Assert.Equal(41UL, other.Seed);
        Assert.Equal(source.Uniform([9], ScalarType.Float32, CPU).data<float>().ToArray(), other.Uniform([9], ScalarType.Float32, CPU).data<float>().ToArray());
        source.Seed = 41;
        Assert.Equal((41UL, 0UL), source.State);
    }

    [Fact]
    public void GammaDrawsRepeatWithTheSeed()
    {
        using var scope = NewDisposeScope();
        using var source = new NoiseSource(6);
        Tensor concentration = full([50], 1.5);
        float[] first = source.StandardGamma(concentration).data<float>().ToArray();
        Assert.NotEqual(first, source.StandardGamma(concentration).data<float>().ToArray());
        source.Seed = 6;
        Assert.Equal(first, source.StandardGamma(concentration).data<float>().ToArray());
    }

    [Fact]
    public void HalfPrecisionIsTheSameNoiseRounded()
    {
        using var scope = NewDisposeScope();
        using NoiseSource source = new(8), other = new(8);
        Tensor half = source.Normal([40], ScalarType.BFloat16, CPU);
        Assert.Equal(ScalarType.BFloat16, half.dtype);
        Assert.True(half.eq(other.Normal([40], ScalarType.Float32, CPU).to(ScalarType.BFloat16)).all().item<bool>());
    }
}
