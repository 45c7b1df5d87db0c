using BayesNet.Posteriors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>Gaussian with a full covariance L L': z = location + L eps, L lower triangular with a positive diagonal.</summary>
/// <remarks>
/// L is made of an unconstrained matrix: its entries below the diagonal as they are, its diagonal through a positive map, what is above
/// the diagonal ignored. A draw costs O(d^2), a density one triangular solve.
/// </remarks>
public sealed class CholeskyGaussianDistribution : ReparameterizedDistribution
{
    private readonly Tensor _location, _unconstrained;
    private readonly ScaleParameterization _diagonal;

    /// <summary>Creates the distribution; the batch shapes of the two parameters broadcast.</summary>
    /// <param name="location">(B, d), the mean.</param>
    /// <param name="unconstrained">(B, d, d).</param>
    /// <param name="diagonal">How L's diagonal is made; null for <see cref="ScaleParameterization.Log"/>.</param>
    /// <exception cref="ArgumentException">A value is not finite, or shapes or types do not fit.</exception>
    /// <exception cref="NotSupportedException">The parameters are not float32 or float64.</exception>
    public CholeskyGaussianDistribution(Tensor location, Tensor unconstrained, ScaleParameterization? diagonal = null)
        : base(
            BaseNoise.Normal, Size(location), Size(location),
            DistributionParameter.Real(location, 1), DistributionParameter.Real(unconstrained, 2))
    {
        long size = location.size(-1);
        if (unconstrained.size(-1) != size || unconstrained.size(-2) != size)
        {
            throw new ArgumentException(
                $"unconstrained has shape {Guard.Format(unconstrained.shape)}; for a location of {size} entries its last dimensions are "
                + $"({size}, {size}).",
                nameof(unconstrained));
        }

        (_location, _unconstrained, _diagonal) = (location, unconstrained, diagonal ?? ScaleParameterization.Log);
    }

    /// <inheritdoc/>
    public override bool HasClosedFormEntropy => true;

    /// <summary>L, shape (B, d, d); differentiable.</summary>
    public Tensor Factor() => Factor(_unconstrained, _diagonal);

    /// <summary>L of an unconstrained matrix (..., d, d); differentiable.</summary>
    public static Tensor Factor(Tensor unconstrained, ScaleParameterization diagonal)
    {
        ArgumentNullException.ThrowIfNull(unconstrained);
        ArgumentNullException.ThrowIfNull(diagonal);
        using var scope = NewDisposeScope();
        return unconstrained.tril(-1).Plus(diagonal.Scale(unconstrained.diagonal(0, -2, -1)).diag_embed()).MoveToOuterDisposeScope();
    }

    /// <summary>The unconstrained matrix whose L is <paramref name="factor"/>; no gradient.</summary>
    /// <param name="factor">Lower triangular with a positive diagonal, (..., d, d), as a Cholesky decomposition returns it.</param>
    /// <param name="diagonal">How L's diagonal is made; null for <see cref="ScaleParameterization.Log"/>.</param>
    public static Tensor Unconstrain(Tensor factor, ScaleParameterization? diagonal = null)
    {
        ArgumentNullException.ThrowIfNull(factor);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor scale = DistributionParameter.Positive(factor.diagonal(0, -2, -1), 1, nameof(factor)).Value;
        return factor.tril(-1).Plus((diagonal ?? ScaleParameterization.Log).Inverse(scale).diag_embed()).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Entropy()
    {
        using var scope = NewDisposeScope();
        return ToBatch(LogDeterminant().Plus(EventShape[0] * LocationScaleLaw.Normal.Entropy)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Mean() => ToBatch(_location, EventShape);

    /// <inheritdoc/>
    public override Tensor Variance()
    {
        using var scope = NewDisposeScope();
        return ToBatch(Factor().Squared().sum(dim: -1), EventShape).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override ReparameterizedDistribution WithParameters(IReadOnlyList<Tensor> parameters)
        => new CholeskyGaussianDistribution(parameters[0], parameters[1], _diagonal);

    /// <inheritdoc/>
    protected override Tensor Apply(Tensor eps)
    {
        using var scope = NewDisposeScope();
        return _location.Plus(RowsTimes(eps, Factor().transpose(-2, -1))).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override Tensor LogDensityOf(Tensor z)
    {
        using var scope = NewDisposeScope();
        Tensor eps = linalg.solve_triangular(Factor(), z.sub(_location).unsqueeze(-1), upper: false).squeeze(-1);
        return LocationScaleLaw.Normal.LogDensity(eps).sum(dim: -1).sub(LogDeterminant()).MoveToOuterDisposeScope();
    }

    /// <summary>rows @ matrix for rows (L, B, m) and a matrix (B', m, n), as one matrix product where the matrix has no batch.</summary>
    internal static Tensor RowsTimes(Tensor rows, Tensor matrix)
    {
        using var scope = NewDisposeScope();
        return (matrix.dim() == 2 ? rows.matmul(matrix) : rows.unsqueeze(-2).matmul(matrix).squeeze(-2)).MoveToOuterDisposeScope();
    }

    internal static long[] Size(Tensor location)
    {
        ArgumentNullException.ThrowIfNull(location);
        return location.dim() >= 1
            ? [location.size(-1)]
            : throw new ArgumentException(
                "location is a scalar; its last dimension holds the entries of one event. Use NormalDistribution on the line.", nameof(location));
    }

    private Tensor Diagonal() => _unconstrained.diagonal(0, -2, -1);

    private Tensor LogDeterminant() => _diagonal.LogScaleOf(Diagonal()).sum(dim: -1);
}
