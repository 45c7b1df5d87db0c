using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>
/// Gaussian whose covariance within each group of entries is diag(d^2) + P P', P of r columns: w_g = mu_g + d_g eps1_g + P_g eps2_g (Ong,
/// Nott and Smith 2018). Memory and a draw cost O(n r) for a group of n entries.
/// </summary>
/// <remarks>
/// State dict: <c>mean</c> and <c>log_scale</c> (ln d), both of the weight's shape, and <c>factor</c>, (groups, n, r). Noise: for each
/// weight one row of P + groups * r normals, eps1 in the weight's order before eps2. Local reparameterization, per output only, takes the
/// variance x^2.d^2 + |P' x|^2 of each output and costs r + 1 weights an output where the mean costs one.
/// </remarks>
public sealed class LowRankGaussian : StructuredGaussian
{
    [ComponentName(Name = "log_scale")]
    private readonly Parameter _logScale;

    [ComponentName(Name = "factor")]
    private readonly Parameter _factor;

    /// <summary>Creates a posterior with the given initial means.</summary>
    /// <param name="initialMean">The means, shape W; copied. Its type and device become the posterior's.</param>
    /// <param name="initialStdDev">
    /// The root of the variance that every entry starts with in expectation, half of it from d and half from P, whose entries are drawn from
    /// libtorch's global generator: at P = 0 its gradient would be zero, and P would stay there.
    /// </param>
    /// <param name="rank">r, the columns of P.</param>
    /// <param name="groups">Which entries covary.</param>
    /// <param name="layout">Which dimensions of W count outputs and inputs.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="initialStdDev"/> is not a finite number above zero, or <paramref name="rank"/> is below 1.</exception>
    /// <exception cref="NotSupportedException"><paramref name="initialMean"/> is not float32 or float64.</exception>
    public LowRankGaussian(
        Tensor initialMean, double initialStdDev, int rank, CovarianceGroups groups = CovarianceGroups.PerOutput, WeightLayout layout = default)
        : base(nameof(LowRankGaussian), initialMean, groups, layout)
    {
        Guard.AtLeastOne(rank);
        double half = Guard.Positive(initialStdDev) / Math.Sqrt(2);
        using (NewDisposeScope())
        using (no_grad())
        {
            _logScale = OwnedTensors.Parameter(zeros_like(initialMean).Plus(Math.Log(half)));
            Tensor normal = randn([Groups.Groups, Groups.Size, rank], dtype: initialMean.dtype, device: initialMean.device);
            _factor = OwnedTensors.Parameter(normal.Times(half / Math.Sqrt(rank)));
        }

        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor Variance
    {
        get
        {
            using var scope = NewDisposeScope();
            return Groups.Join(_factor.Squared().sum(dim: 2), Shape).Plus(OwnVariance()).MoveToOuterDisposeScope();
        }
    }

    /// <summary>r, the columns of P.</summary>
    public long Rank => _factor.size(2);

    /// <inheritdoc/>
    public override Tensor SampleNoise(NoiseSource noise, ReadOnlySpan<long> leading)
        => noise.Normal([.. leading, Groups.Groups * (Groups.Size + Rank)], Mean.dtype, Mean.device);

    /// <inheritdoc/>
    public override Tensor Deviation(Tensor eps)
    {
        using var scope = NewDisposeScope();
        long own = Groups.Groups * Groups.Size;
        long[] shape = [.. eps.shape.AsSpan(..^1), .. Shape];
        Tensor shared = eps.narrow(-1, own, Groups.Groups * Rank).reshape(-1, Groups.Groups, Rank);
        Tensor fromFactor = Groups.Join(WeightGroups.Multiply(_factor, shared), shape);
        return addcmul(fromFactor, _logScale.exp(), eps.narrow(-1, 0, own).reshape(shape), Scalars.One).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Entropy()
    {
        using var scope = NewDisposeScope();
        return Distribution().Entropy().sum().MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor OutputVariance(AffineMap map, Tensor input, Tensor? biasVariance)
    {
        ArgumentNullException.ThrowIfNull(map);
        using var scope = NewDisposeScope();
        Tensor own = map.ApplySquared(input, OwnVariance(), biasVariance);
        return own.Plus(SumOfSquares(map, input, _factor.transpose(1, 2))).MoveToOuterDisposeScope();
    }

    private Tensor OwnVariance()
    {
        using Tensor twice = _logScale.mul(Scalars.Two);
        return twice.exp();
    }

    private protected override ReparameterizedDistribution Distribution()
        => new LowRankGaussianDistribution(PerGroup(Mean), PerGroup(OwnVariance()), _factor);
}

/// <summary>
/// Low rank plus diagonal within each group: see <see cref="LowRankGaussian"/>. A bias, whose outputs are single entries, gets
/// independent entries where the groups are outputs.
/// </summary>
public sealed record LowRankGaussianSpecification : PosteriorSpecification
{
    /// <summary>The root of the variance that every entry starts with in expectation; 0.01 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double InitialStdDev { get; init => field = Guard.Positive(value, nameof(InitialStdDev)); } = 0.01;

    /// <summary>r, the columns of P; 4 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int Rank { get; init => field = (int)Guard.AtLeastOne(value, nameof(Rank)); } = 4;

    /// <summary>Which entries covary; those of one output by default.</summary>
    public CovarianceGroups Groups { get; init; } = CovarianceGroups.PerOutput;

    /// <inheritdoc/>
    public override Posterior Create(Tensor initialMean) => Create(initialMean, WeightLayout.OutputsFirst);

    /// <inheritdoc/>
    public override Posterior Create(Tensor initialMean, WeightLayout layout)
        => Groups == CovarianceGroups.PerOutput && initialMean.dim() <= 1
            ? new MeanFieldGaussian(initialMean, InitialStdDev)
            : new LowRankGaussian(initialMean, InitialStdDev, Rank, Groups, layout);
}
