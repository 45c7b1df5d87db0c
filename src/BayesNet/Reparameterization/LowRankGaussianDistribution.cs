using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>
/// Gaussian with covariance diag(D) + P P', P of r columns: z = location + sqrt(D) eps1 + P eps2. Draws and densities cost O(dr), besides
/// O(d r^2 + r^3) once for the capacitance matrix C = I + P' D^-1 P; no d x d matrix is made (Ong, Nott and Smith 2018).
/// </summary>
/// <remarks>Noise: d + r standard normals an event, eps1 before eps2.</remarks>
public sealed class LowRankGaussianDistribution : ReparameterizedDistribution
{
    private readonly Tensor _location, _diagonal, _factor;

    /// <summary>Creates the distribution; the batch shapes of the parameters broadcast.</summary>
    /// <param name="location">(B, d), the mean.</param>
    /// <param name="diagonal">D, (B, d): the variance that P P' is added to, above zero.</param>
    /// <param name="factor">P, (B, d, r).</param>
    /// <exception cref="ArgumentException">A value is not finite, an entry of D is not above zero, or shapes or types do not fit.</exception>
    /// <exception cref="NotSupportedException">The parameters are not float32 or float64.</exception>
    public LowRankGaussianDistribution(Tensor location, Tensor diagonal, Tensor factor)
        : base(
            BaseNoise.Normal, CholeskyGaussianDistribution.Size(location), NoiseSize(location, factor),
            DistributionParameter.Real(location, 1), DistributionParameter.Positive(diagonal, 1), DistributionParameter.Real(factor, 2))
    {
        long size = location.size(-1);
        RequireRows(diagonal, -1, nameof(diagonal));
        RequireRows(factor, -2, nameof(factor));
        (_location, _diagonal, _factor) = (location, diagonal, factor);

        void RequireRows(Tensor value, int dimension, string name)
        {
            if (value.size(dimension) != size)
            {
                throw new ArgumentException(
                    $"{name} has shape {Guard.Format(value.shape)}; for a location of {size} entries dimension {dimension} is {size}.", name);
            }
        }
    }

    /// <inheritdoc/>
    public override bool HasClosedFormEntropy => true;

    /// <summary>r, the number of columns of P.</summary>
    public long Rank => _factor.size(-1);

    /// <inheritdoc/>
    public override Tensor Entropy()
    {
        using var scope = NewDisposeScope();
        Tensor logDeterminant = HalfLogDeterminant(linalg.cholesky(Capacitance(ScaledFactor())));
        return ToBatch(logDeterminant.Plus(EventShape[0] * LocationScaleLaw.Normal.Entropy)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Mean() => ToBatch(_location, EventShape);

    /// <inheritdoc/>
    public override Tensor Variance()
    {
        using var scope = NewDisposeScope();
        return ToBatch(_factor.Squared().sum(dim: -1).Plus(_diagonal), EventShape).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override ReparameterizedDistribution WithParameters(IReadOnlyList<Tensor> parameters)
        => new LowRankGaussianDistribution(parameters[0], parameters[1], parameters[2]);

    /// <inheritdoc/>
    protected override Tensor Apply(Tensor eps)
    {
        using var scope = NewDisposeScope();
        long size = EventShape[0];
        Tensor own = addcmul(_location, _diagonal.sqrt(), eps.narrow(-1, 0, size), Scalars.One);
        Tensor shared = CholeskyGaussianDistribution.RowsTimes(eps.narrow(-1, size, Rank), _factor.transpose(-2, -1));
        return own.Plus(shared).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>
    /// With x standardised by sqrt(D) and Q = D^-1/2 P, Woodbury's x'x - x'Q C^-1 Q'x is written as |x - Qc|^2 + |c|^2, c = C^-1 Q'x:
    /// the same number, without the cancellation where P P' dominates.
    /// </remarks>
    protected override Tensor LogDensityOf(Tensor z)
    {
        using var scope = NewDisposeScope();
        Tensor scaled = ScaledFactor();
        Tensor root = linalg.cholesky(Capacitance(scaled));
        Tensor x = z.sub(_location).div(_diagonal.sqrt());
        Tensor right = CholeskyGaussianDistribution.RowsTimes(x, scaled).unsqueeze(-1);
        Tensor half = linalg.solve_triangular(root, right, upper: false);
        Tensor c = linalg.solve_triangular(root.transpose(-2, -1), half, upper: true).squeeze(-1);
        Tensor residual = x.sub(CholeskyGaussianDistribution.RowsTimes(c, scaled.transpose(-2, -1)));
        Tensor distance = residual.Squared().sum(dim: -1).Plus(c.Squared().sum(dim: -1));
        return distance.mul(Scalars.Half).Plus(HalfLogDeterminant(root)).Plus(EventShape[0] * LocationScaleLaw.HalfLogTwoPi).neg().MoveToOuterDisposeScope();
    }

    private static long[] NoiseSize(Tensor location, Tensor factor)
    {
        ArgumentNullException.ThrowIfNull(factor);
        return factor.dim() >= 2
            ? [CholeskyGaussianDistribution.Size(location)[0] + factor.size(-1)]
            : throw new ArgumentException($"factor has shape {Guard.Format(factor.shape)}; it is a matrix (d, r), r = 1 included.", nameof(factor));
    }

    private static Tensor Capacitance(Tensor scaled)
    {
        using var scope = NewDisposeScope();
        Tensor identity = eye(scaled.size(-1), dtype: scaled.dtype, device: scaled.device);
        return scaled.transpose(-2, -1).matmul(scaled).Plus(identity).MoveToOuterDisposeScope();
    }

    // D^-1/2 P
    private Tensor ScaledFactor() => _factor.div(_diagonal.sqrt().unsqueeze(-1));

    // 1/2 ln det(diag(D) + P P') = 1/2 sum ln D + 1/2 ln det C
    private Tensor HalfLogDeterminant(Tensor root)
        => _diagonal.log().sum(dim: -1).mul(Scalars.Half).Plus(root.diagonal(0, -2, -1).log().sum(dim: -1));
}
