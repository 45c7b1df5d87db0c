using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>Logistic: the distribution function is sigmoid((z - location) / scale).</summary>
public sealed class LogisticDistribution : LocationScaleDistribution
{
    /// <summary>Creates the distribution; the standard deviation is pi/sqrt(3) times the scale.</summary>
    /// <inheritdoc/>
    public LogisticDistribution(Tensor location, Tensor scale)
        : base(BaseNoise.Logistic, location, scale)
    {
    }

    /// <inheritdoc/>
    protected override double StandardEntropy => 2;

    /// <inheritdoc/>
    protected override double StandardVariance => Math.PI * Math.PI / 3;

    /// <inheritdoc/>
    public override ReparameterizedDistribution WithParameters(IReadOnlyList<Tensor> parameters)
        => new LogisticDistribution(parameters[0], parameters[1]);

    /// <inheritdoc/>
    protected override Tensor StandardLogDensity(Tensor eps) => nn.functional.logsigmoid(eps).Plus(nn.functional.logsigmoid(eps.neg()));
}
