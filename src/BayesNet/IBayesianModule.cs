using BayesNet.Estimators;
using BayesNet.Posteriors;
using BayesNet.Priors;
using static TorchSharp.torch;

namespace BayesNet;

/// <summary>
/// A module with weights that have a posterior. Trainers, predictors and the extensions of <see cref="BayesianModuleExtensions"/> see a
/// model through this interface alone.
/// </summary>
public interface IBayesianModule
{
    /// <summary>How the noise enters.</summary>
    /// <exception cref="NotSupportedException">Set to an estimator that the module's parts do not admit; the message says what they do.</exception>
    Estimator Estimator { get; set; }

    /// <summary>Where the noise comes from.</summary>
    NoiseSource Noise { get; }

    /// <summary>KL(q || p) over the module's own weights, biases included, summed; a scalar tensor in nats, differentiable.</summary>
    Tensor KlDivergence();

    /// <summary>
    /// The pairs of posterior and prior whose divergences add up to <see cref="KlDivergence"/>, for which a trainer may then take closed forms
    /// that need no autograd; null, the default, where it is anything else.
    /// </summary>
    IReadOnlyList<(Posterior Posterior, Prior Prior)>? DivergenceTerms => null;

    /// <summary>Why <paramref name="estimator"/> can't be used with the module's parts, and what can be; null where it can.</summary>
    string? WhyNot(Estimator estimator);
}
