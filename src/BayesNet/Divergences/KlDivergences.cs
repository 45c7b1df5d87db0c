using System.Collections.Concurrent;
using BayesNet.Estimators;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Divergences;

/// <summary>
/// KL(q || p) by pair of types: the registered closed form where there is one, Monte Carlo where there is none. The value is in nats,
/// summed over the entries of the weight, never averaged.
/// </summary>
public static class KlDivergences
{
    private static readonly ConcurrentDictionary<(Type Posterior, Type Prior), Func<Posterior, Prior, Tensor>> Forms = new();
    private static readonly ConcurrentDictionary<(Type Posterior, Type Prior), Func<Posterior, Prior, Tensor>?> Resolved = new();

    static KlDivergences()
    {
        Register<Posterior, GaussianPrior>(GaussianDivergence.ByMoments);
        Register<Posterior, LearnedGaussianPrior>(GaussianDivergence.Learned);
        Register<GaussianPosterior, LaplacePrior>(LaplaceDivergence.Gaussian);
        Register<MeanFieldLaplace, LaplacePrior>(LaplaceDivergence.Laplace);
        Register<MeanFieldLogistic, LaplacePrior>(LaplaceDivergence.Logistic);
        Register<MeanFieldUniform, LaplacePrior>(LaplaceDivergence.Uniform);
        Register<MatrixNormal, MatrixNormalPrior>(MatrixNormalDivergence.Compute);
        Register<SpikeAndSlab, SpikeAndSlabPrior>(SpikeAndSlabDivergence.Compute);
        Register<GaussianPosterior, LogUniformPrior>(LogUniformDivergence.Gaussian);
        Register<Posterior, LogUniformPrior>(LogUniformDivergence.Refuse);
    }

    /// <summary>The pairs that have a closed form, in no particular order.</summary>
    public static IReadOnlyCollection<(Type Posterior, Type Prior)> ClosedForms => [.. Forms.Keys];

    /// <summary>Registers a closed form for a pair of types and the types derived from them.</summary>
    /// <param name="form">A function that returns KL(q || p) as a scalar tensor, differentiable in the parameters of both.</param>
    /// <exception cref="ArgumentException">The pair has a form already.</exception>
    public static void Register<TPosterior, TPrior>(Func<TPosterior, TPrior, Tensor> form)
        where TPosterior : Posterior
        where TPrior : Prior
    {
        ArgumentNullException.ThrowIfNull(form);
        if (!Forms.TryAdd((typeof(TPosterior), typeof(TPrior)), (q, p) => form((TPosterior)q, (TPrior)p)))
        {
            throw new ArgumentException(
                $"KL({typeof(TPosterior).Name} || {typeof(TPrior).Name}) is registered already; a pair has one closed form.", nameof(form));
        }

        Resolved.Clear();
    }

    /// <summary>Whether the pair has a closed form.</summary>
    /// <exception cref="InvalidOperationException">Two registered forms fit the pair equally well.</exception>
    public static bool HasClosedForm(Posterior posterior, Prior prior) => Resolve(posterior, prior) is not null;

    /// <summary>KL(q || p) in nats: the closed form, or the Monte Carlo estimate where the pair has none.</summary>
    /// <param name="posterior">q.</param>
    /// <param name="prior">p.</param>
    /// <param name="noise">Where a Monte Carlo estimate draws from; null for the global generator.</param>
    /// <param name="samples">Draws of a Monte Carlo estimate.</param>
    /// <returns>A scalar tensor, differentiable in the parameters.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="samples"/> is below 1.</exception>
    /// <exception cref="InvalidOperationException">Two registered forms fit the pair equally well.</exception>
    public static Tensor Compute(Posterior posterior, Prior prior, NoiseSource? noise = null, int samples = 1)
        => GaussianDivergenceNode.Sum((posterior, prior))
            ?? (posterior is IndependentGaussian { Mask: not null } pruned ? KeptEntries.Divergence(pruned, prior, noise, samples)
            : Resolve(posterior, prior) is { } form ? form(posterior, prior)
            : MonteCarlo(posterior, prior, noise, samples));

    /// <summary>The sum of <see cref="Compute"/> over pairs, of which there is one at least.</summary>
    internal static Tensor Sum(IReadOnlyList<(Posterior Posterior, Prior Prior)> terms, NoiseSource noise, int samples)
    {
        if (GaussianDivergenceNode.Sum([.. terms]) is { } all)
            return all;
        using var scope = NewDisposeScope();
        Tensor? total = null;
        foreach ((Posterior posterior, Prior prior) in terms)
        {
            Tensor own = Compute(posterior, prior, noise, samples);
            total = total is null ? own : total.Plus(own);
        }

        return total!.MoveToOuterDisposeScope();
    }

    /// <summary>
    /// The Monte Carlo estimate of KL(q || p): the mean of ln q(w) - ln p(w) over draws w = T(theta, eps), unbiased, with the pathwise
    /// gradient (Blundell et al. 2015, equation 2).
    /// </summary>
    /// <inheritdoc cref="Compute"/>
    public static Tensor MonteCarlo(Posterior posterior, Prior prior, NoiseSource? noise = null, int samples = 1)
    {
        ArgumentNullException.ThrowIfNull(posterior);
        ArgumentNullException.ThrowIfNull(prior);
        Guard.AtLeastOne(samples);
        using var global = noise is null ? new NoiseSource() : null;
        using var scope = NewDisposeScope();
        Tensor weights = posterior.Sample(noise ?? global!, samples);
        Tensor logPrior = prior.LogDensity(weights).flatten(1).sum(dim: 1);
        return posterior.LogDensity(weights).sub(logPrior).mean().MoveToOuterDisposeScope();
    }

    /// <summary>The registered pair of types whose form a pair takes; null where it has none.</summary>
    internal static (Type Posterior, Type Prior)? FormOf(Posterior posterior, Prior prior)
        => Resolve(posterior, prior) is { } form ? Forms.First(entry => entry.Value == form).Key : null;

    private static Func<Posterior, Prior, Tensor>? Resolve(Posterior posterior, Prior prior)
    {
        ArgumentNullException.ThrowIfNull(posterior);
        ArgumentNullException.ThrowIfNull(prior);
        return Resolved.GetOrAdd((posterior.GetType(), prior.GetType()), static pair => Closest(pair));
    }

    /// <summary>The form registered for the pair itself, or the one pair of base types that every other fitting pair is a base of.</summary>
    private static Func<Posterior, Prior, Tensor>? Closest((Type Posterior, Type Prior) pair)
    {
        if (Forms.TryGetValue(pair, out var exact))
            return exact;
        var fitting = Forms.Keys.Where(key => key.Posterior.IsAssignableFrom(pair.Posterior) && key.Prior.IsAssignableFrom(pair.Prior)).ToList();
        if (fitting.Count == 0)
            return null;
        var closest = fitting.Where(key => fitting.All(other =>
            other.Posterior.IsAssignableFrom(key.Posterior) && other.Prior.IsAssignableFrom(key.Prior))).ToList();
        return closest.Count == 1
            ? Forms[closest[0]]
            : throw new InvalidOperationException(
                $"KL({pair.Posterior.Name} || {pair.Prior.Name}) is ambiguous between "
                + string.Join(" and ", fitting.Select(key => $"({key.Posterior.Name}, {key.Prior.Name})")) + "; register the pair itself.");
    }
}
