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
public sealed class MeanFieldGaussian : IndependentGaussian
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
        : this(initialMean, scale, parameterization =>
        {
            double rho = parameterization.Inverse(Guard.Positive(initialStdDev));
            return zeros_like(initialMean).Plus(rho);
        })
    {
    }

    /// <summary>Creates a posterior with given initial means and standard deviations, entry by entry.</summary>
    /// <param name="initialMean">The means, shape W; copied. Its type and device become the posterior's.</param>
    /// <param name="initialStdDev">The standard deviations, shape W; copied.</param>
    /// <param name="scale">The scale's parameterization; null for <see cref="ScaleParameterization.Log"/>.</param>
    /// <exception cref="ArgumentException">The shapes differ, or a standard deviation is not a finite number above zero.</exception>
    /// <exception cref="NotSupportedException"><paramref name="initialMean"/> is not float32 or float64.</exception>
    public MeanFieldGaussian(Tensor initialMean, Tensor initialStdDev, ScaleParameterization? scale = null)
        : this(initialMean, scale, parameterization =>
        {
            if (!initialStdDev.shape.AsSpan().SequenceEqual(initialMean.shape))
                throw new ArgumentException($"initialStdDev has shape {Guard.Format(initialStdDev.shape)}; the means have {Guard.Format(initialMean.shape)}.", nameof(initialStdDev));
            Guard.AllFinite(initialStdDev);
            if (!initialStdDev.gt(Scalars.Zero).all().item<bool>())
                throw new ArgumentException("initialStdDev holds values that are not above zero.", nameof(initialStdDev));
            return parameterization.Inverse(initialStdDev.detach().to(initialMean.dtype, initialMean.device));
        })
    {
    }

    private MeanFieldGaussian(Tensor initialMean, ScaleParameterization? scale, Func<ScaleParameterization, Tensor> initialScale)
        : base(nameof(MeanFieldGaussian), initialMean)
    {
        ScaleParameterization = scale ?? ScaleParameterization.Log;
        using (NewDisposeScope())
        using (no_grad())
        {
            Parameter scaleParameter = OwnedTensors.Parameter(initialScale(ScaleParameterization).clone());
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

    /// <summary>sigma, shape W, zero of a pruned weight; differentiable.</summary>
    public Tensor StdDev
    {
        get
        {
            Tensor stdDev = ScaleParameterization.Scale(ScaleParameter);
            if (Mask is null)
                return stdDev;
            using (stdDev)
                return Masked(stdDev);
        }
    }

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
        if (Mask is not null)
            return base.RowFactor(rows);
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
}
