using BayesNet.Kernels;
using BayesNet.Runtime;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>
/// Independent Gaussian entries: w = mu + sigma * eps, eps ~ N(0, 1) entry by entry (Graves 2011; Blundell et al. 2015, section 3.2).
/// </summary>
/// <remarks>
/// State dict: <c>mean</c>, and <c>log_scale</c> or <c>rho</c> by <see cref="ScaleParameterization"/>, both of the weight's shape.
/// </remarks>
public sealed class MeanFieldGaussian : IndependentGaussian, ISparsifiable
{
    // One of these two holds the scale's parameter; a null field is not registered, so the name in a state dict tells which it is.
    [ComponentName(Name = "log_scale")]
    private readonly Parameter? _logScale;

    [ComponentName(Name = "rho")]
    private readonly Parameter? _rho;

    private bool _disposed;

    /// <summary>Creates a posterior with the given initial means and one initial standard deviation.</summary>
    /// <param name="initialMean">The means, shape W; copied. Its type and device become the posterior's.</param>
    /// <param name="initialStdDev">The standard deviation every entry starts with.</param>
    /// <param name="scale">The scale's parameterization; null for <see cref="ScaleParameterization.Log"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="initialStdDev"/> is not a finite number above zero.</exception>
    /// <exception cref="NotSupportedException"><paramref name="initialMean"/> is not float32 or float64.</exception>
    public MeanFieldGaussian(Tensor initialMean, double initialStdDev, ScaleParameterization? scale = null)
        : base(nameof(MeanFieldGaussian), initialMean)
    {
        ScaleParameterization = scale ?? ScaleParameterization.Log;
        using (NewDisposeScope())
        using (no_grad())
        {
            double rho = ScaleParameterization.Inverse(Guard.Positive(initialStdDev));
            Parameter scaleParameter = OwnedTensors.Parameter(zeros_like(initialMean).Plus(rho));
            if (ReferenceEquals(ScaleParameterization, ScaleParameterization.Log))
                _logScale = scaleParameter;
            else
                _rho = scaleParameter;
        }

        RegisterComponents();
    }

    /// <summary>How <see cref="StdDev"/> is made of <see cref="ScaleParameter"/>.</summary>
    public ScaleParameterization ScaleParameterization { get; }

    /// <summary>The unconstrained parameter of the standard deviation, shape W.</summary>
    public Parameter ScaleParameter => _logScale ?? _rho!;

    /// <summary>sigma, shape W; differentiable.</summary>
    public Tensor StdDev => ScaleParameterization.Scale(ScaleParameter);

    /// <inheritdoc/>
    public override Tensor LogStdDev => ScaleParameterization.LogScaleOf(ScaleParameter);

    /// <inheritdoc/>
    public override Tensor Variance
    {
        get
        {
            using Tensor stdDev = StdDev;
            return stdDev.Squared();
        }
    }

    /// <summary>The memory that fused functions of this posterior work in.</summary>
    internal TensorPool Workspaces { get; } = TensorPool.Acquire();

    private protected override Tensor Factor => StdDev;

    private protected override Tensor RowFactor(Tensor rows)
    {
        using Tensor parameter = ScaleParameter.index_select(0, rows);
        return ScaleParameterization.Scale(parameter);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing && !_disposed)
        {
            _disposed = true;
            Workspaces.Release();
        }

        base.Dispose(disposing);
    }

    // The standard deviation of a zeroed weight: nothing beside any weight that is left, and still a number with a logarithm.
    long ISparsifiable.Sparsify(double logAlpha)
        => Sparsification.FillWhere(this, logAlpha, (Mean, 0), (ScaleParameter, ScaleParameterization.Inverse(1e-20)));
}
