using BayesNet.Estimators;
using BayesNet.Kernels;
using Xunit;

namespace BayesNet.Tests.Estimators;

public sealed class MirroredNoiseTests
{
    /// <summary>The twin of an entry is -z, -u or 1 - u on the same grid; a sign is its own. In whatever pieces it is filled.</summary>
    [Theory]
    [InlineData(nameof(NoiseLaw.Normal))]
    [InlineData(nameof(NoiseLaw.Uniform))]
    [InlineData(nameof(NoiseLaw.SymmetricUniform))]
    [InlineData(nameof(NoiseLaw.Sign))]
    public void TwinsAreMirrored(string law)
    {
        Check<float>(Enum.Parse<NoiseLaw>(law), 1 - MathF.ScaleB(1, -24));
        Check<double>(Enum.Parse<NoiseLaw>(law), 1 - Math.ScaleB(1, -53));
    }

    private static void Check<T>(NoiseLaw law, T top)
        where T : unmanaged, System.Numerics.IBinaryFloatingPointIeee754<T>
    {
        var (plain, twin, pieces) = (new T[1000], new T[1000], new T[1000]);
        new NoiseDraw(3, 4).Fill(law, plain.AsSpan());
        new NoiseDraw(3, 4, Mirrored: true).Fill(law, twin.AsSpan());
        for (int start = 0; start < 1000; start += 37)
            new NoiseDraw(3, 4, Mirrored: true).Fill(law, pieces.AsSpan(start, Math.Min(37, 1000 - start)), start);
        Assert.Equal(twin, pieces);
        Assert.Equal(plain.Select(value => law == NoiseLaw.Sign ? value : law == NoiseLaw.Uniform ? top - value : -value), twin);
    }

    /// <summary>A gamma generator goes on from a state it had.</summary>
    [Fact]
    public void GammaDrawsAreReplayed()
    {
        using var scope = TorchSharp.torch.NewDisposeScope();
        TorchSharp.torch.Tensor concentration = TorchSharp.torch.ones(8) * 2;
        using var source = new NoiseSource(5);
        source.StandardGamma(concentration);
        ((ulong, ulong)? state, byte[]? gamma) = (source.State, source.GammaState);
        float[] first = source.StandardGamma(concentration).data<float>().ToArray();
        source.State = state;
        source.GammaState = gamma;
        Assert.Equal(first, source.StandardGamma(concentration).data<float>().ToArray());
        Assert.Null(new NoiseSource(5).GammaState);
    }
}
