using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Priors;

namespace BayesNet;

/// <summary>A Bayesian module that is one affine map and nothing else, so that a trainer may compute it by hand.</summary>
internal interface IBayesianAffine : IBayesianModule
{
    AffineMap Map { get; }

    Posterior WeightPosterior { get; }

    Posterior? BiasPosterior { get; }

    Prior WeightPrior { get; }

    Prior? BiasPrior { get; }
}
