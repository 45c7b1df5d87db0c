using BayesNet.Maps;
using BayesNet.Runtime;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>
/// Gaussian multiplicative noise, w = theta (1 + sqrt(alpha) eps), eps ~ N(0, 1) entry by entry, with a learned rate alpha (variational
/// dropout; Kingma, Salimans and Welling 2015, section 3): a mean-field Gaussian N(theta, alpha theta^2).
/// </summary>
/// <remarks>
/// State dict: <c>mean</c> (theta), the weight's shape, and <c>log_alpha</c>, which broadcasts to it. For an alpha of each weight that is
/// to be sparsified, a <see cref="MeanFieldGaussian"/> with the same <see cref="Priors.LogUniformPrior"/> is the parameterization with the
/// gradient of lower variance (Molchanov et al. 2017, section 4.2). The density is infinite at a weight of theta = 0, which has no variance.
/// </remarks>
public sealed class VariationalDropout : IndependentGaussian
{
    [ComponentName(Name = "log_alpha")]
    private readonly Parameter _logAlpha;

    /// <summary>Creates a posterior with the given initial theta and one initial alpha.</summary>
    /// <param name="initialMean">theta, shape W; copied. Its type and device become the posterior's.</param>
    /// <param name="initialAlpha">The variance of the multiplicative noise; p / (1 - p) for the dropout rate p that it stands for.</param>
    /// <param name="sharing">Which entries share one alpha.</param>
    /// <param name="layout">Which dimensions of W count outputs and inputs.</param>
    /// <exception cref="ArgumentException">Entries of one output are to share an alpha, and the layout has groups of inputs.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="initialAlpha"/> is not a finite number above zero.</exception>
    /// <exception cref="NotSupportedException"><paramref name="initialMean"/> is not float32 or float64.</exception>
    public VariationalDropout(Tensor initialMean, double initialAlpha, ParameterSharing sharing = ParameterSharing.PerWeight, WeightLayout layout = default)
        : base(nameof(VariationalDropout), initialMean)
    {
        double logAlpha = Math.Log(Guard.Positive(initialAlpha));
        long[] shape = sharing.ShapeOver(Shape, layout);
        using (NewDisposeScope())
        using (no_grad())
        {
            _logAlpha = OwnedTensors.Parameter(zeros(shape, dtype: initialMean.dtype, device: initialMean.device).Plus(logAlpha));
        }

        RegisterComponents();
    }

    /// <summary>ln alpha as it is shared: the parameter itself, of a shape that broadcasts to the weight's.</summary>
    public Parameter SharedLogAlpha => _logAlpha;

    /// <inheritdoc/>
    public override Tensor LogAlpha => _logAlpha.expand(Shape.ToArray());

    /// <inheritdoc/>
    public override Tensor LogStdDev
    {
        get
        {
            using var scope = NewDisposeScope();
            return Mean.abs().log().Plus(_logAlpha.mul(Scalars.Half)).MoveToOuterDisposeScope();
        }
    }

    /// <inheritdoc/>
    public override Tensor Variance
    {
        get
        {
            using var scope = NewDisposeScope();
            return Mean.Squared().mul(_logAlpha.exp()).MoveToOuterDisposeScope();
        }
    }

    /// <summary>sqrt(alpha) theta, which has theta's sign.</summary>
    private protected override Tensor Factor
    {
        get
        {
            using var scope = NewDisposeScope();
            return _logAlpha.mul(Scalars.Half).exp().mul(Mean).MoveToOuterDisposeScope();
        }
    }
}

/// <summary>Gaussian multiplicative noise: see <see cref="VariationalDropout"/>. Its usual prior is <see cref="Priors.LogUniformPrior"/>.</summary>
public sealed record VariationalDropoutSpecification : PosteriorSpecification
{
    /// <summary>The alpha that every entry starts with; 0.05 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double InitialAlpha { get; init => field = Guard.Positive(value, nameof(InitialAlpha)); } = 0.05;

    /// <summary>Which entries share one alpha; none by default. A bias has no inputs: <c>PerInput</c> gives it one alpha.</summary>
    public ParameterSharing Sharing { get; init; } = ParameterSharing.PerWeight;

    /// <inheritdoc/>
    public override Posterior Create(Tensor initialMean) => Create(initialMean, WeightLayout.OutputsFirst);

    /// <inheritdoc/>
    public override Posterior Create(Tensor initialMean, WeightLayout layout) => new VariationalDropout(initialMean, InitialAlpha, Sharing, layout);
}
