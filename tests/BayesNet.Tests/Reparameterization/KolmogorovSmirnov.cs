using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Reparameterization;

/// <summary>Whether independent draws have a given distribution function, moments or none.</summary>
public static class KolmogorovSmirnov
{
    // P(sqrt(n) D > 2.72) = 2 exp(-2 * 2.72^2) = 8e-7, that of a deviation of five standard errors.
    private const double Critical = 2.72;

    /// <summary>Asserts that draws are uniform once their distribution function is applied to them.</summary>
    /// <param name="uniforms">F(z), (draws, D), float64; each column is tested.</param>
    public static void AssertUniform(Tensor uniforms)
    {
        using var scope = NewDisposeScope();
        double count = uniforms.size(0);
        Tensor sorted = uniforms.sort(0).Values;
        Tensor ranks = arange(count, dtype: ScalarType.Float64).unsqueeze(1);
        Tensor above = ((ranks + 1) / count - sorted).amax([0]), below = (sorted - ranks / count).amax([0]);
        double worst = maximum(above, below).max().item<double>() * Math.Sqrt(count);
        Assert.True(worst < Critical, $"sqrt(n) D is {worst:G4}; {Critical} is exceeded once in a million.");
    }
}
