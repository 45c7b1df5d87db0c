using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Divergences;

/// <summary>The closed form of KL between a spike-and-slab posterior and prior.</summary>
internal static class SpikeAndSlabDivergence
{
    /// <summary>
    /// The divergences of the gates, pi ln(pi/pi0) + (1 - pi) ln((1 - pi)/(1 - pi0)), and those of the slabs, N(mu, sigma^2) from N(0, s^2),
    /// weighted by the probability that a weight is there.
    /// </summary>
    internal static Tensor Compute(SpikeAndSlab posterior, SpikeAndSlabPrior prior)
    {
        using var scope = NewDisposeScope();
        Tensor inclusion = posterior.Inclusion;
        double priorLogit = Math.Log(prior.Inclusion / (1 - prior.Inclusion));
        Tensor gates = inclusion.Times(-priorLogit).Plus(-Math.Log(1 - prior.Inclusion)).sub(Gate.Entropy(posterior.InclusionLogit));
        Tensor squares = posterior.SlabMean.Squared().Plus(posterior.LogSlabStdDev.mul(Scalars.Two).exp());
        Tensor slabs = squares.Times(0.5 / (prior.SlabStdDev * prior.SlabStdDev)).sub(posterior.LogSlabStdDev).Plus(Math.Log(prior.SlabStdDev) - 0.5);
        return gates.sum().Plus(slabs.mul(inclusion).sum()).MoveToOuterDisposeScope();
    }
}
