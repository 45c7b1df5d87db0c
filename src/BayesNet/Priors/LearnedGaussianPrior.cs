using BayesNet.Estimators;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Priors;

/// <summary>
/// Independent zero-mean Gaussian entries with one standard deviation s for the tensor that is learned from the data (empirical Bayes): by
/// gradient, beside the weights, or in closed form, s^2 = E_q[|w|^2] / P, which minimises the KL divergence for the posterior as it stands
/// (MacKay 1992; Graves 2011, section 4).
/// </summary>
/// <remarks>State dict: <c>log_std</c>, a scalar: a parameter when learned by gradient, else a buffer with the latest solution.</remarks>
public sealed class LearnedGaussianPrior : Prior
{
    [ComponentName(Name = "log_std")]
    private readonly Tensor _logStdDev;

    /// <summary>Creates a prior.</summary>
    /// <param name="initialStdDev">The standard deviation it starts with.</param>
    /// <param name="closedForm">Whether s is solved for at every evaluation of a KL divergence, in place of being trained by gradient.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="device">Where it lives; null for the default device.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="initialStdDev"/> is not a finite number above zero.</exception>
    public LearnedGaussianPrior(double initialStdDev = 1, bool closedForm = false, ScalarType? dtype = null, Device? device = null)
        : base(nameof(LearnedGaussianPrior))
    {
        ClosedForm = closedForm;
        double logStdDev = Math.Log(Guard.Positive(initialStdDev));
        using (NewDisposeScope())
        {
            Tensor value = tensor(logStdDev, dtype: Guard.FloatingPoint(dtype ?? get_default_dtype(), nameof(dtype)), device: device ?? get_default_device());
            _logStdDev = closedForm ? value.DetachFromDisposeScope() : OwnedTensors.Parameter(value);
        }

        RegisterComponents();
    }

    /// <summary>Whether s is solved for in place of being trained.</summary>
    public bool ClosedForm { get; }

    /// <summary>ln s, a scalar: the parameter or buffer itself.</summary>
    public Tensor LogStdDev => _logStdDev;

    /// <summary>s now.</summary>
    public double StdDev
    {
        get
        {
            using Tensor value = _logStdDev.detach().to(ScalarType.Float64);
            return Math.Exp(value.item<double>());
        }
    }

    /// <summary>A prior that is learned by gradient, or solved for in closed form, for every tensor of a layer.</summary>
    /// <inheritdoc cref="LearnedGaussianPrior(double, bool, ScalarType?, Device?)"/>
    public static PriorSpecification With(double initialStdDev = 1, bool closedForm = false)
        => new Specification(Guard.Positive(initialStdDev), closedForm);

    /// <inheritdoc/>
    public override Tensor LogDensity(Tensor weight)
    {
        ArgumentNullException.ThrowIfNull(weight);
        using var scope = NewDisposeScope();
        return LocationScaleLaw.Normal.LogDensity(weight.mul(_logStdDev.neg().exp())).sub(_logStdDev).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Sample(NoiseSource noise, ReadOnlySpan<long> shape, ScalarType dtype, Device device)
    {
        ArgumentNullException.ThrowIfNull(noise);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return noise.Normal(shape, dtype, device).mul(_logStdDev.exp()).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override string ToString() => Describe(ClosedForm ? "closed form" : "learned");

    /// <summary>Sets s to the root of a mean square; for the closed form.</summary>
    internal void Solve(Tensor meanSquare)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        _logStdDev.copy_(meanSquare.log().mul(Scalars.Half));
    }

    private sealed record Specification(double InitialStdDev, bool ClosedForm) : PriorSpecification
    {
        public override Prior Create(Tensor like) => new LearnedGaussianPrior(InitialStdDev, ClosedForm, like.dtype, like.device);
    }
}
