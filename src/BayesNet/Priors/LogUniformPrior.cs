using BayesNet.Estimators;
using static TorchSharp.torch;

namespace BayesNet.Priors;

/// <summary>How the KL divergence of a Gaussian from the log-uniform prior is computed; it depends on alpha = variance / mean^2 alone.</summary>
public enum LogUniformKl
{
    /// <summary>t 2F2(1, 1; 3/2, 2; -t), t = 1 / (2 alpha), to about 1e-9, with its exact gradient, Dawson's integral.</summary>
    Exact,

    /// <summary>The sigmoid fit of Molchanov, Ashukha and Vetrov 2017, equation 14; it is up to 0.0076 nats off on ln alpha in [-3, 5].</summary>
    Molchanov2017,

    /// <summary>The cubic of Kingma, Salimans and Welling 2015, equation 18, for alpha up to 1; ln alpha is cut there, as in the paper.</summary>
    Kingma2015,
}

/// <summary>
/// The log-uniform prior, p(|w|) proportional to 1/|w|, under which the KL divergence depends on the signal-to-noise ratio of a weight
/// alone and grows with it: it is what sparsifies in variational dropout (Kingma, Salimans and Welling 2015, section 3.3).
/// </summary>
/// <remarks>
/// The prior is improper, so divergences from it have a free constant, chosen here so that a weight of infinite alpha, pure noise, costs
/// nothing. It has no draws. Other than Gaussian posteriors are not supported: the constant would be another for each.
/// </remarks>
public sealed class LogUniformPrior : Prior
{
    /// <summary>Creates the prior.</summary>
    /// <param name="divergence">How divergences from it are computed.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="divergence"/> is no defined value.</exception>
    public LogUniformPrior(LogUniformKl divergence = LogUniformKl.Exact)
        : base(nameof(LogUniformPrior))
    {
        if (!Enum.IsDefined(divergence))
            throw new ArgumentOutOfRangeException(nameof(divergence), divergence, "divergence must be Exact, Molchanov2017 or Kingma2015.");
        Divergence = divergence;
        RegisterComponents();
    }

    /// <summary>How divergences from it are computed.</summary>
    public LogUniformKl Divergence { get; }

    /// <summary>The prior for every tensor of a layer.</summary>
    public static PriorSpecification With(LogUniformKl divergence = LogUniformKl.Exact) => new Specification(divergence);

    /// <summary>-ln |w|, up to the constant that an improper prior does not have.</summary>
    /// <inheritdoc/>
    public override Tensor LogDensity(Tensor weight)
    {
        ArgumentNullException.ThrowIfNull(weight);
        using Tensor size = weight.abs();
        using Tensor log = size.log();
        return log.neg();
    }

    /// <inheritdoc/>
    /// <exception cref="NotSupportedException">Always: the prior is improper.</exception>
    public override Tensor Sample(NoiseSource noise, ReadOnlySpan<long> shape, ScalarType dtype, Device device)
        => throw new NotSupportedException("The log-uniform prior is improper and can't be drawn from; use a prior with a density, such as HorseshoePrior.");

    /// <inheritdoc/>
    public override string ToString() => Describe(Divergence);

    private sealed record Specification(LogUniformKl Divergence) : PriorSpecification
    {
        public override Prior Create(Tensor like) => new LogUniformPrior(Divergence);
    }
}
