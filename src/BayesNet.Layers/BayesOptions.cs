using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Priors;
using static TorchSharp.torch;

namespace BayesNet.Layers;

/// <summary>What makes a layer Bayesian: posterior, prior and estimator, each with a default. Immutable, and so shared freely between layers.</summary>
public sealed record BayesOptions
{
    /// <summary>The options that a layer uses where none are given.</summary>
    public static BayesOptions Default { get; } = new();

    /// <summary>The posterior of the weight; independent Gaussian entries with initial standard deviation 0.01 by default.</summary>
    public PosteriorSpecification Posterior { get; init; } = new MeanFieldGaussianSpecification();

    /// <summary>The prior of the weight; N(0, 1) by default.</summary>
    public PriorSpecification Prior { get; init; } = GaussianPrior.WithStdDev(1);

    /// <summary>The posterior of the bias; null, the default, for that of the weight.</summary>
    public PosteriorSpecification? BiasPosterior { get; init; }

    /// <summary>The prior of the bias; null, the default, for that of the weight.</summary>
    public PriorSpecification? BiasPrior { get; init; }

    /// <summary>How the noise enters; local reparameterization by default, but in recurrent layers, where it is no longer exact, shared weights.</summary>
    public Estimator Estimator { get; init => RecurrentEstimator = field = value; } = Estimator.LocalReparameterization;

    /// <summary>How the noise enters a recurrent layer.</summary>
    internal Estimator RecurrentEstimator { get; private init; } = Estimator.SharedWeights;

    /// <summary>The seed of the layer's noise; null, the default, draws from libtorch's global generator.</summary>
    public ulong? Seed { get; init; }

    /// <summary>
    /// The options that make a trained model Bayesian around its weights (MOPED; Krishnan, Subedar and Tickoo 2020): a posterior of standard
    /// deviation <paramref name="delta"/> |w|, and the prior N(w, <paramref name="priorStdDev"/>^2).
    /// </summary>
    /// <param name="delta">The posterior's initial standard deviation over the size of the weight.</param>
    /// <param name="priorStdDev">The prior's standard deviation.</param>
    /// <param name="floor">The least initial standard deviation, for weights at or near zero.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is not finite and above zero.</exception>
    public static BayesOptions Moped(double delta = 0.1, double priorStdDev = 1, double floor = 1e-4)
        => new() { Posterior = new MopedSpecification { Delta = delta, Floor = floor }, Prior = GaussianPrior.AtInitialMeans(priorStdDev) };

    /// <summary>Draws a step of a Monte Carlo KL, where the posterior and prior have no closed form; 1 by default.</summary>
    public int KlSamples { get; init; } = 1;

    /// <summary>The posterior and the prior of a weight.</summary>
    /// <param name="mean">Where the posterior's means start.</param>
    /// <param name="layout">Which dimensions count outputs and inputs.</param>
    /// <param name="fanIn">The number of terms that one output adds up.</param>
    internal (Posterior Posterior, Prior Prior) OfWeight(Tensor mean, WeightLayout layout, long fanIn) => Create(Posterior, Prior, mean, layout, fanIn);

    /// <summary>The same of a bias.</summary>
    internal (Posterior Posterior, Prior Prior) OfBias(Tensor mean)
        => Create(BiasPosterior ?? Posterior, BiasPrior ?? Prior, mean, WeightLayout.OutputsFirst, fanIn: 1);

    private static (Posterior Posterior, Prior Prior) Create(PosteriorSpecification posterior, PriorSpecification prior, Tensor mean, WeightLayout layout, long fanIn)
    {
        Prior own = prior.Create(mean, fanIn);
        return (posterior.Create(mean, layout, own), own);
    }
}
