using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>Normal: z = location + scale * eps, eps ~ N(0, 1).</summary>
public sealed class NormalDistribution : LocationScaleDistribution
{
    /// <summary>Creates the distribution; scale is the standard deviation.</summary>
    /// <inheritdoc/>
    public NormalDistribution(Tensor location, Tensor scale)
        : base(LocationScaleLaw.Normal, location, scale)
    {
    }

    /// <inheritdoc/>
    public override ReparameterizedDistribution WithParameters(IReadOnlyList<Tensor> parameters)
        => new NormalDistribution(parameters[0], parameters[1]);
}
