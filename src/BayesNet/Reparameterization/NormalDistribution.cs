using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>Normal: z = location + scale * eps, eps ~ N(0, 1).</summary>
public sealed class NormalDistribution : LocationScaleDistribution
{
    private static readonly double HalfLogTwoPi = 0.5 * Math.Log(2 * Math.PI);

    /// <summary>Creates the distribution; scale is the standard deviation.</summary>
    /// <inheritdoc/>
    public NormalDistribution(Tensor location, Tensor scale)
        : base(BaseNoise.Normal, location, scale)
    {
    }

    /// <inheritdoc/>
    protected override double StandardEntropy => HalfLogTwoPi + 0.5;

    /// <inheritdoc/>
    protected override double StandardVariance => 1;

    /// <inheritdoc/>
    public override ReparameterizedDistribution WithParameters(IReadOnlyList<Tensor> parameters)
        => new NormalDistribution(parameters[0], parameters[1]);

    /// <inheritdoc/>
    protected override Tensor StandardLogDensity(Tensor eps) => eps.square().mul(Scalars.Half).Plus(HalfLogTwoPi).neg();
}
