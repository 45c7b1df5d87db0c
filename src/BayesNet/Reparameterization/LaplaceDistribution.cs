using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>Laplace: density exp(-|z - location| / scale) / (2 scale).</summary>
public sealed class LaplaceDistribution : LocationScaleDistribution
{
    /// <summary>Creates the distribution; the standard deviation is sqrt(2) times the scale.</summary>
    /// <inheritdoc/>
    public LaplaceDistribution(Tensor location, Tensor scale)
        : base(LocationScaleLaw.Laplace, location, scale)
    {
    }

    /// <inheritdoc/>
    public override ReparameterizedDistribution WithParameters(IReadOnlyList<Tensor> parameters)
        => new LaplaceDistribution(parameters[0], parameters[1]);
}
