using BayesNet.Maps;
using BayesNet.Reparameterization;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>A Gaussian posterior whose entries covary within groups: the weights of one output, or all of the layer.</summary>
public abstract class StructuredGaussian : GaussianPosterior, ILocallyReparameterizable
{
    private readonly CovarianceGroups _groups;

    private protected StructuredGaussian(string name, Tensor initialMean, CovarianceGroups groups, WeightLayout layout)
        : base(name, initialMean)
    {
        _groups = groups;
        Groups = new WeightGroups(Shape, groups, layout);
    }

    /// <inheritdoc/>
    public sealed override bool HasIndependentSymmetricEntries => false;

    private protected WeightGroups Groups { get; }

    /// <inheritdoc/>
    public sealed override Tensor LogDensity(Tensor weight)
    {
        using var scope = NewDisposeScope();
        Tensor perGroup = Distribution().LogDensity(Groups.Split(weight));
        return perGroup.sum(dim: 1).reshape(weight.shape.AsSpan(..^Shape.Length).ToArray()).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public string? WhyNotLocally(AffineMap map)
        => _groups == CovarianceGroups.PerOutput
            ? map.WhyNotByOutput is { } reason ? $"the entries of a row covary under a {GetName()} posterior, and {reason}" : null
            : $"a {GetName()} posterior over the whole layer correlates them with each other; CovarianceGroups.PerOutput does not";

    /// <inheritdoc/>
    public abstract Tensor OutputVariance(AffineMap map, Tensor input, Tensor? biasVariance);

    /// <summary>The groups as a batch of distributions over (n); called inside a dispose scope.</summary>
    private protected abstract ReparameterizedDistribution Distribution();

    /// <summary>A value of shape W as (groups, n).</summary>
    private protected Tensor PerGroup(Tensor value) => Groups.Split(value).squeeze(0);

    /// <summary>The variances of the outputs from columns (groups, columns, n) of a factor: the squared images of the columns, summed.</summary>
    private protected Tensor SumOfSquares(AffineMap map, Tensor input, Tensor columns)
        => map.SumOfSquares(input, Groups.AsWeights(columns));
}
