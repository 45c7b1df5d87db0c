using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>
/// Cauchy: Student-t with one degree of freedom. It has no mean and no variance, and the pathwise gradient of E[f(z)] in the location has
/// finite variance only where f' grows slower than |z|^(1/2).
/// </summary>
public sealed class CauchyDistribution : LocationScaleDistribution
{
    /// <summary>Creates the distribution; the scale is half the distance between the quartiles.</summary>
    /// <inheritdoc/>
    public CauchyDistribution(Tensor location, Tensor scale)
        : base(LocationScaleLaw.Cauchy, location, scale)
    {
    }

    /// <inheritdoc/>
    public override ReparameterizedDistribution WithParameters(IReadOnlyList<Tensor> parameters)
        => new CauchyDistribution(parameters[0], parameters[1]);
}
