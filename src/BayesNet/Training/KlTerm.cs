using BayesNet.Divergences;
using BayesNet.Kernels;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Training;

/// <summary>
/// The KL term of a model: its value, and its gradient added to those that stand; in one pass over the parameters for modules whose divergences
/// <see cref="DirectGaussianDivergence"/> can do, by autograd for the others.
/// </summary>
/// <remarks>Keeps the model's modules, not their parameters, which <c>.to(device)</c> replaces.</remarks>
internal sealed class KlTerm
{
    private readonly (IBayesianModule Module, (Posterior Posterior, Prior Prior)[]? Direct)[] _modules;

    // A posterior that two modules share counts twice, which no fused function would know.
    private readonly (Posterior Posterior, Prior Prior)[] _offered;
    private readonly Dictionary<Posterior, GradientBuffers.Divergence> _pending = [];

    /// <summary>The KL term of a model; zero where it has no Bayesian module.</summary>
    internal KlTerm(nn.Module model)
    {
        _modules = [.. model.BayesianModules().Select(entry => (entry.Module, Direct(entry.Module.DivergenceTerms)))];
        _offered = [.. _modules.SelectMany(entry => entry.Direct ?? []).GroupBy(term => term.Posterior).Where(group => group.Count() == 1).Select(group => group.First())];
    }

    /// <summary>Lets fused functions compute what they can of <see cref="Accumulate"/> while a pass is open, with the same weight.</summary>
    internal void Offer(GradientBuffers.Pass pass, double weight)
    {
        foreach ((Posterior posterior, Prior prior) in _offered)
        {
            var gaussian = (GaussianPrior)prior;
            var divergence = new GradientBuffers.Divergence(gaussian.ScalarMean, gaussian.ScalarStdDev, weight);
            _pending[posterior] = divergence;
            pass.Offer(((MeanFieldGaussian)posterior).ScaleParameter, divergence);
        }
    }

    /// <summary>
    /// KL(q || p) in nats, summed over the modules, with <paramref name="weight"/> times its gradient added to the parameters' <c>.grad</c>.
    /// A divergence that is not finite is returned, and the gradients are then of no use.
    /// </summary>
    internal double Accumulate(double weight)
    {
        using var scope = NewDisposeScope();
        double total = 0;
        Tensor? rest = null;
        foreach ((IBayesianModule module, (Posterior Posterior, Prior Prior)[]? direct) in _modules)
        {
            if (direct is not null && InReach(direct))
            {
                foreach ((Posterior posterior, Prior prior) in direct)
                {
                    total += _pending.Remove(posterior, out GradientBuffers.Divergence? divergence) && divergence.HasGradient
                        ? divergence.Value
                        : DirectGaussianDivergence.Accumulate(posterior, prior, weight);
                }
            }
            else
            {
                Tensor own = module.KlDivergence();
                rest = rest is null ? own : rest.Plus(own.to(rest.dtype, rest.device));
            }
        }

        if (rest is null)
            return total;
        total += rest.to(ScalarType.Float64).item<double>();
        if (weight != 0 && double.IsFinite(total) && rest.requires_grad)
            rest.Times(weight).backward();
        return total;
    }

    private static (Posterior, Prior)[]? Direct(IReadOnlyList<(Posterior Posterior, Prior Prior)>? terms)
        => terms is not null && terms.All(term => DirectGaussianDivergence.Fits(term.Posterior, term.Prior)) ? [.. terms] : null;

    private static bool InReach((Posterior Posterior, Prior Prior)[] terms)
    {
        foreach ((Posterior posterior, _) in terms)
        {
            if (!DirectGaussianDivergence.IsInReach(posterior))
                return false;
        }

        return true;
    }
}
