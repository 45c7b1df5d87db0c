using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>Laplace: density exp(-|z - location| / scale) / (2 scale).</summary>
public sealed class LaplaceDistribution : LocationScaleDistribution
{
    private static readonly double LogTwo = Math.Log(2);

    /// <summary>Creates the distribution; the standard deviation is sqrt(2) times the scale.</summary>
    /// <inheritdoc/>
    public LaplaceDistribution(Tensor location, Tensor scale)
        : base(BaseNoise.Laplace, location, scale)
    {
    }

    /// <inheritdoc/>
    protected override double StandardEntropy => 1 + LogTwo;

    /// <inheritdoc/>
    protected override double StandardVariance => 2;

    /// <inheritdoc/>
    public override ReparameterizedDistribution WithParameters(IReadOnlyList<Tensor> parameters)
        => new LaplaceDistribution(parameters[0], parameters[1]);

    /// <inheritdoc/>
    protected override Tensor StandardLogDensity(Tensor eps) => eps.abs().Plus(LogTwo).neg();
}
