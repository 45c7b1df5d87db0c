using BayesNet.Maps;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>
/// Gaussian with a full covariance within each group of entries: w_g = mu_g + L_g eps_g, L_g lower triangular with a positive diagonal.
/// Memory and a draw cost O(n^2) for a group of n entries.
/// </summary>
/// <remarks>
/// State dict: <c>mean</c>, the weight's shape, and <c>factor</c>, (groups, n, n): below the diagonal L itself, on it ln L or, on request,
/// softplus^-1 L; what is above is not used. Local reparameterization, per output only, takes the variance |L_o' x|^2 of each output and
/// costs n weights an output where the mean costs one.
/// </remarks>
public sealed class FullCovarianceGaussian : StructuredGaussian
{
    [ComponentName(Name = "factor")]
    private readonly Parameter _factor;

    private readonly ScaleParameterization _diagonal;

    /// <summary>Creates a posterior with the given initial means, entries uncorrelated with one standard deviation.</summary>
    /// <param name="initialMean">The means, shape W; copied. Its type and device become the posterior's.</param>
    /// <param name="initialStdDev">The standard deviation every entry starts with.</param>
    /// <param name="groups">Which entries covary.</param>
    /// <param name="diagonal">How L's diagonal is made; null for <see cref="ScaleParameterization.Log"/>.</param>
    /// <param name="layout">Which dimensions of W count outputs and inputs.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="initialStdDev"/> is not a finite number above zero.</exception>
    /// <exception cref="NotSupportedException"><paramref name="initialMean"/> is not float32 or float64.</exception>
    public FullCovarianceGaussian(
        Tensor initialMean, double initialStdDev, CovarianceGroups groups = CovarianceGroups.PerOutput, ScaleParameterization? diagonal = null,
        WeightLayout layout = default)
        : base(nameof(FullCovarianceGaussian), initialMean, groups, layout)
    {
        _diagonal = diagonal ?? ScaleParameterization.Log;
        double rho = _diagonal.Inverse(Guard.Positive(initialStdDev));
        using (NewDisposeScope())
        using (no_grad())
        {
            Tensor identity = eye(Groups.Size, dtype: initialMean.dtype, device: initialMean.device);
            _factor = OwnedTensors.Parameter(identity.Times(rho).expand(Groups.Groups, -1, -1).clone());
        }

        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor Variance
    {
        get
        {
            using var scope = NewDisposeScope();
            return Groups.Join(Factor().Squared().sum(dim: 2), Shape).MoveToOuterDisposeScope();
        }
    }

    /// <summary>L, (groups, n, n); differentiable.</summary>
    public Tensor Factor() => CholeskyGaussianDistribution.Factor(_factor, _diagonal);

    /// <inheritdoc/>
    public override Tensor Deviation(Tensor eps)
    {
        using var scope = NewDisposeScope();
        return Groups.Join(WeightGroups.Multiply(Factor(), Groups.Split(eps)), eps.shape).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Entropy()
    {
        using var scope = NewDisposeScope();
        Tensor logDiagonal = _diagonal.LogScaleOf(_factor.diagonal(0, 1, 2));
        return logDiagonal.sum().Plus(Count * LocationScaleLaw.Normal.Entropy).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor OutputVariance(AffineMap map, Tensor input, Tensor? biasVariance)
    {
        ArgumentNullException.ThrowIfNull(map);
        using var scope = NewDisposeScope();
        Tensor variance = SumOfSquares(map, input, Factor().transpose(1, 2));
        if (biasVariance is not null)
            variance = variance.Plus(map.OverPositions(biasVariance.unsqueeze(0), variance.dim()));
        return variance.MoveToOuterDisposeScope();
    }

    private protected override ReparameterizedDistribution Distribution() => new CholeskyGaussianDistribution(PerGroup(Mean), _factor, _diagonal);
}

/// <summary>
/// A full covariance within each group: see <see cref="FullCovarianceGaussian"/>. A bias, whose outputs are single entries, gets
/// independent entries where the groups are outputs.
/// </summary>
public sealed record FullCovarianceGaussianSpecification : PosteriorSpecification
{
    /// <summary>The standard deviation that every entry starts with; 0.01 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double InitialStdDev { get; init => field = Guard.Positive(value, nameof(InitialStdDev)); } = 0.01;

    /// <summary>Which entries covary; those of one output by default.</summary>
    public CovarianceGroups Groups { get; init; } = CovarianceGroups.PerOutput;

    /// <inheritdoc/>
    public override Posterior Create(Tensor initialMean) => Create(initialMean, WeightLayout.OutputsFirst);

    /// <inheritdoc/>
    public override Posterior Create(Tensor initialMean, WeightLayout layout)
        => Groups == CovarianceGroups.PerOutput && initialMean.dim() <= 1
            ? new MeanFieldGaussian(initialMean, InitialStdDev)
            : new FullCovarianceGaussian(initialMean, InitialStdDev, Groups, layout: layout);
}
