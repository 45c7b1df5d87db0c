using BayesNet.Posteriors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Pruning;

/// <summary>What a trained posterior says of each weight, and setting those to zero for good that it says are noise.</summary>
/// <remarks>
/// A pruned weight is zero and has no variance, no gradient and no divergence, whatever optimizer goes on training. The mask is the buffer
/// <c>mask</c> of the posterior: in state dicts, checkpoints and safetensors files. A layer with pruned weights computes by plain operations, not
/// by the fused ones.
/// </remarks>
public static class WeightPruning
{
    private static readonly TorchSharp.Scalar Tiny = 1e-30;

    /// <summary>|mean| / standard deviation of each entry, the weight's shape; zero of a pruned one, no gradient.</summary>
    /// <exception cref="NotSupportedException">The posterior has no variance.</exception>
    public static Tensor SignalToNoise(this Posterior posterior)
    {
        ArgumentNullException.ThrowIfNull(posterior);
        if (posterior is MeanFieldLocationScale heavy && !double.IsFinite(heavy.StandardVariance))
            throw new NotSupportedException($"A {posterior.GetName()} posterior with tail index {heavy.TailIndex} has no variance, and so no signal-to-noise ratio.");
        using var scope = NewDisposeScope();
        using var _ = no_grad();

        // Of ln alpha, which has no variance that underflows; at a mean of zero that is bounded, and the ratio is zero.
        Tensor mean = posterior.Mean;
        Tensor ratio = posterior is GaussianPosterior gaussian
            ? gaussian.LogAlpha.Times(-0.5).exp().masked_fill(mean.eq(Scalars.Zero), Scalars.Zero)
            : mean.abs().div(posterior.Variance.sqrt().clamp_min(Tiny));
        return ratio.MoveToOuterDisposeScope();
    }

    /// <summary>Whether weights of a posterior can be pruned: those with independent Gaussian entries can.</summary>
    public static bool IsPrunable(this Posterior posterior) => posterior is IndependentGaussian;

    /// <summary>Prunes the weights that a rule selects, in every posterior of the model with independent Gaussian entries.</summary>
    /// <param name="model">Any model with Bayesian layers.</param>
    /// <param name="rule">Which weights are noise.</param>
    /// <param name="biases">Whether biases, which are vectors, are pruned too; the papers keep them.</param>
    /// <returns>What is left, by posterior; with what was pruned before.</returns>
    /// <exception cref="InvalidOperationException">The model has no posterior of these kinds.</exception>
    /// <exception cref="NotSupportedException">A prior's entries are not independent, so that none can be left out; nothing has been pruned.</exception>
    public static SparsityReport Prune(this nn.Module model, PruningRule rule, bool biases = false)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(rule);
        using (NewDisposeScope())
        using (no_grad())
        {
            IndependentGaussian[] posteriors = [.. Prunable(model, biases)];
            if (posteriors.Length == 0)
            {
                throw new InvalidOperationException(
                    $"The model {model.GetName()} has no mean-field Gaussian or variational dropout posterior, which are those with weights that can be pruned.");
            }

            Tensor[] selected = rule.Select([.. posteriors.Select(SignalToNoise)]);
            foreach ((IndependentGaussian posterior, Tensor pruned) in posteriors.Zip(selected))
                posterior.Prune(pruned);
        }

        return model.Sparsity();
    }

    /// <summary>How many weights of each posterior are zero for good, and how many there are.</summary>
    /// <exception cref="InvalidOperationException">The model has no Bayesian layer.</exception>
    public static SparsityReport Sparsity(this nn.Module model)
    {
        ArgumentNullException.ThrowIfNull(model);
        using var scope = NewDisposeScope();
        var rows = new List<SparsityRow>();
        foreach ((string name, _, string part, Posterior posterior) in model.Posteriors())
        {
            long total = 1;
            foreach (long size in posterior.Shape)
                total *= size;
            long kept = posterior is IndependentGaussian { Mask: { } mask } ? (long)mask.to(ScalarType.Float64).sum().item<double>() : total;
            rows.Add(new SparsityRow(name.Length == 0 ? part : $"{name}.{part}", total, kept, posterior.Shape.Length < 2));
        }

        return rows.Count > 0 ? new SparsityReport(rows) : throw BayesianModuleExtensions.NoBayesianLayer(model);
    }

    private static IEnumerable<IndependentGaussian> Prunable(nn.Module model, bool biases)
    {
        var seen = new HashSet<Posterior>(ReferenceEqualityComparer.Instance);
        foreach ((string name, IBayesianModule module, string part, Posterior posterior) in model.Posteriors())
        {
            if (posterior is not IndependentGaussian independent || (!biases && posterior.Shape.Length < 2) || !seen.Add(posterior))
                continue;
            if (module.DivergenceTerms?.FirstOrDefault(term => ReferenceEquals(term.Posterior, posterior)).Prior is { HasIndependentEntries: false } prior)
                throw new NotSupportedException($"'{name}.{part}' has a {prior.GetName()}, whose entries are not independent, so that none can be left out; give it a prior whose entries are.");
            yield return independent;
        }
    }
}
