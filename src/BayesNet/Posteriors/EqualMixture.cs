using BayesNet.Estimators;
using BayesNet.Runtime;
using TorchSharp;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>
/// A mixture of K components of one family with equal shares: a draw takes a component at random, then a draw of it (Dusenberry et al. 2020).
/// </summary>
/// <remarks>
/// State dict: <c>components.*</c>, a posterior over (K, W). Where the component counts as drawn too, under a prior that makes all of them as probable,
/// the divergence is the mean of the components', which bounds that of the mixture alone from above: it is convex. Noise: for each weight one row, that of all components and a uniform.
/// </remarks>
public sealed class EqualMixture : Posterior
{
    [ComponentName(Name = "components")]
    private readonly Posterior _components;

    private readonly long[] _noiseShape;

    /// <summary>Creates a mixture; the components become its own.</summary>
    /// <param name="components">A posterior with independent entries over (K, W).</param>
    /// <exception cref="NotSupportedException">Its entries are not independent.</exception>
    public EqualMixture(Posterior components)
        : base(nameof(EqualMixture), components is null ? throw new ArgumentNullException(nameof(components)) : components.Shape[1..])
    {
        if (components is not IRowwise)
        {
            throw new NotSupportedException(
                $"The entries of a {components.GetName()} posterior are not independent, so that its rows are no components; use a mean-field posterior, or one component.");
        }

        _components = components;
        using var noise = new NoiseSource(0);
        using Tensor eps = components.SampleNoise(noise, []);
        _noiseShape = eps.shape;
        RegisterComponents();
    }

    /// <summary>The components, a posterior over (K, W).</summary>
    public Posterior Components => _components;

    /// <summary>K.</summary>
    public long Count => _components.Shape[0];

    /// <inheritdoc/>
    public override Tensor Mean => _components.Mean.mean([0]);

    /// <inheritdoc/>
    public override Tensor Variance
    {
        get
        {
            using var scope = NewDisposeScope();
            Tensor ofMeans = _components.Mean.sub(Mean).Squared();
            return _components.Variance.Plus(ofMeans).mean([0]).MoveToOuterDisposeScope();
        }
    }

    /// <inheritdoc/>
    public override bool HasIndependentSymmetricEntries => false;

    /// <inheritdoc/>
    /// <returns>(L, n + 1): the noise of all components and a uniform on (-1/2, 1/2) that chooses one.</returns>
    public override Tensor SampleNoise(NoiseSource noise, ReadOnlySpan<long> leading)
    {
        ArgumentNullException.ThrowIfNull(noise);
        using var scope = NewDisposeScope();
        Tensor ofComponents = _components.SampleNoise(noise, leading).reshape([.. leading, -1]);
        Tensor choice = noise.SymmetricUniform([.. leading, 1], ofComponents.dtype, ofComponents.device);
        return cat([ofComponents, choice], -1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Transform(Tensor eps)
    {
        ArgumentNullException.ThrowIfNull(eps);
        using var scope = NewDisposeScope();
        using Scalar last = Count - 1;
        long[] leading = eps.shape[..^1];
        long noises = eps.size(-1) - 1;
        Tensor draws = _components.Transform(eps.narrow(-1, 0, noises).reshape([.. leading, .. _noiseShape])).reshape([-1, .. _components.Shape]);

        // The largest uniform of float32 plus a half is 1.
        Tensor choice = eps.narrow(-1, noises, 1).Plus(0.5).Times(Count).to(ScalarType.Int64).clamp_max(last).flatten();
        using Scalar count = Count;
        Tensor rows = arange(draws.size(0), dtype: ScalarType.Int64, device: draws.device);
        Tensor chosen = draws.flatten(0, 1).index_select(0, rows.mul(count).PlusWhole(choice));
        return chosen.reshape([.. leading, .. Shape]).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Deviation(Tensor eps)
    {
        using var scope = NewDisposeScope();
        return Transform(eps).sub(Mean).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <exception cref="NotSupportedException">Always, with <see cref="Entropy"/>.</exception>
    public override Tensor LogDensity(Tensor weight) => throw NoDensity();

    /// <inheritdoc/>
    /// <exception cref="NotSupportedException">Always: a mixture has no closed entropy.</exception>
    public override Tensor Entropy() => throw NoDensity();

    private static NotSupportedException NoDensity()
        => new("An EqualMixture has no closed entropy; the layer that holds it takes the mean of its components' divergences.");
}
