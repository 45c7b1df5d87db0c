using BayesNet.Prediction;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Likelihoods;

/// <summary>
/// Counts y in {0, 1, ...} with mean exp(f), or exposure * exp(f): what <see cref="PoissonLikelihood"/> and
/// <see cref="NegativeBinomialLikelihood"/> share.
/// </summary>
/// <remarks>
/// Output, the logarithm of the rate, and target, whole numbers in any type, have the same shape, (batch, outputs) or (batch). With exposures
/// (time observed, area, population) the target is (batch, ..., 2 K): K counts and then their K exposures; rates are per unit of exposure,
/// and so is what the predictive says, but for log densities, whose targets bring their exposures. Log probabilities are computed in float64
/// and returned in the output's type; a Poisson rate that overflows it has log probability minus infinity, so standardise exposures and
/// start the last layer's bias near the logarithm of the mean count.
/// </remarks>
public abstract class CountLikelihood : Likelihood
{
    private protected CountLikelihood(string name, bool hasExposure, MissingTargets missing)
        : base(name)
    {
        HasExposure = hasExposure;
        Missing = missing;
    }

    /// <summary>Whether targets hold exposures behind the counts.</summary>
    public bool HasExposure { get; }

    /// <summary>What NaN in a target's counts means; exposures are always needed.</summary>
    public MissingTargets Missing { get; }

    /// <summary>ln alpha with variance mu + alpha mu^2; null for Poisson.</summary>
    private protected virtual Parameter? LogDispersion => null;

    /// <inheritdoc/>
    public override Tensor LogLikelihood(Tensor output, Tensor target)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(target);
        if (output.dim() == 0)
            throw new ArgumentException("The network's output has no dimensions; its first must be the batch. Use output.unsqueeze(0).", nameof(output));
        using var scope = NewDisposeScope();
        (Tensor counts, Tensor logMean) = CountDensity.Split(output, target, HasExposure, Missing);
        Tensor perOutput = ObservedEntries.LogDensity(counts, Missing, y => CountDensity.Log(y, logMean, LogDispersion));
        return GaussianDensity.SumOverOutputs(perOutput, 1).to(output.dtype).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <returns>A <see cref="CountPredictive"/>, per unit of exposure where there are exposures.</returns>
    public override CountPredictive Predict(Tensor outputs)
    {
        ArgumentNullException.ThrowIfNull(outputs);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return new CountPredictive(outputs, LogDispersion is { } own ? LogParameter.Beside(own, outputs) : null, HasExposure, Missing);
    }
}
