using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>Logistic: the distribution function is sigmoid((z - location) / scale).</summary>
public sealed class LogisticDistribution : LocationScaleDistribution
{
    /// <summary>Creates the distribution; the standard deviation is pi/sqrt(3) times the scale.</summary>
    /// <inheritdoc/>
    public LogisticDistribution(Tensor location, Tensor scale)
        : base(LocationScaleLaw.Logistic, location, scale)
    {
    }

    /// <inheritdoc/>
    public override ReparameterizedDistribution WithParameters(IReadOnlyList<Tensor> parameters)
        => new LogisticDistribution(parameters[0], parameters[1]);
}
