using BayesNet.Estimators;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>
/// Independent entries of a location-scale family that is not Gaussian: w = location + scale * eps entry by entry. Sums of them are of no
/// known family, so local reparameterization does not apply; the other estimators do.
/// </summary>
/// <remarks>State dict: <c>mean</c> (the location) and <c>log_scale</c>, both of the weight's shape.</remarks>
public abstract class MeanFieldLocationScale : Posterior, IRowwise
{
    [ComponentName(Name = "mean")]
    private readonly Parameter _location;

    [ComponentName(Name = "log_scale")]
    private readonly Parameter _logScale;

    private readonly LocationScaleLaw _law;

    private protected MeanFieldLocationScale(string name, LocationScaleLaw law, Tensor initialMean, double initialScale)
        : base(name, initialMean.shape)
    {
        _law = law;
        double logScale = Math.Log(Guard.Positive(initialScale));
        using (NewDisposeScope())
        using (no_grad())
        {
            _location = OwnedTensors.Location(initialMean);
            _logScale = OwnedTensors.Parameter(zeros_like(initialMean).Plus(logScale));
        }
    }

    /// <summary>The centre of symmetry, shape W: the parameter itself.</summary>
    public override Tensor Mean => _location;

    /// <summary>ln of the scale, shape W: the parameter itself.</summary>
    public Parameter LogScale => _logScale;

    /// <summary>The scale, shape W, of which the standard deviation is the multiple that the family has; differentiable.</summary>
    public Tensor Scale => _logScale.exp();

    /// <summary>alpha with P(|w| > t) ~ t^-alpha; infinite where every moment is finite.</summary>
    public double TailIndex => _law.Noise.TailIndex;

    /// <inheritdoc/>
    public override Tensor Variance
    {
        get
        {
            using var scope = NewDisposeScope();
            return _logScale.mul(Scalars.Two).exp().Times(_law.Variance).MoveToOuterDisposeScope();
        }
    }

    /// <summary>The variance at a scale of 1; infinite or NaN where there is none.</summary>
    internal double StandardVariance => _law.Variance;

    /// <inheritdoc/>
    public override bool HasIndependentSymmetricEntries => true;

    /// <inheritdoc/>
    public override Tensor SampleNoise(NoiseSource noise, ReadOnlySpan<long> leading)
        => _law.Noise.Draw(noise, [.. leading, .. Shape], _location.dtype, _location.device);

    /// <inheritdoc/>
    public override Tensor Transform(Tensor eps)
    {
        using Tensor scale = Scale;
        return addcmul(_location, scale, eps, Scalars.One);
    }

    /// <inheritdoc/>
    public override Tensor Deviation(Tensor eps)
    {
        using Tensor scale = Scale;
        return scale.mul(eps);
    }

    Tensor IRowwise.SampleRowDeviations(Tensor rows, NoiseSource noise)
    {
        using var scope = NewDisposeScope();
        Tensor scale = _logScale.index_select(0, rows).exp();
        return scale.mul(_law.Noise.Draw(noise, scale.shape, scale.dtype, scale.device)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor LogDensity(Tensor weight)
    {
        using var scope = NewDisposeScope();
        Tensor perEntry = _law.LogDensity(weight.sub(_location).div(Scale)).sub(_logScale);
        return SumOverEntries(perEntry).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Entropy()
    {
        using var scope = NewDisposeScope();
        return _logScale.sum().Plus(_logScale.numel() * _law.Entropy).MoveToOuterDisposeScope();
    }
}

/// <summary>Independent Laplace entries; the standard deviation is sqrt(2) times the scale. See <see cref="MeanFieldLocationScale"/>.</summary>
public sealed class MeanFieldLaplace : MeanFieldLocationScale
{
    /// <summary>Creates a posterior with the given initial locations and one initial scale.</summary>
    /// <param name="initialMean">The locations, shape W; copied. Its type and device become the posterior's.</param>
    /// <param name="initialScale">The scale every entry starts with.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="initialScale"/> is not a finite number above zero.</exception>
    /// <exception cref="NotSupportedException"><paramref name="initialMean"/> is not float32 or float64.</exception>
    public MeanFieldLaplace(Tensor initialMean, double initialScale)
        : base(nameof(MeanFieldLaplace), LocationScaleLaw.Laplace, initialMean, initialScale)
        => RegisterComponents();
}

/// <summary>Independent logistic entries; the standard deviation is pi / sqrt(3) times the scale. See <see cref="MeanFieldLocationScale"/>.</summary>
public sealed class MeanFieldLogistic : MeanFieldLocationScale
{
    /// <inheritdoc cref="MeanFieldLaplace(Tensor, double)"/>
    public MeanFieldLogistic(Tensor initialMean, double initialScale)
        : base(nameof(MeanFieldLogistic), LocationScaleLaw.Logistic, initialMean, initialScale)
        => RegisterComponents();
}

/// <summary>
/// Independent uniform entries on (mean - scale / 2, mean + scale / 2); the standard deviation is scale / sqrt(12). See
/// <see cref="MeanFieldLocationScale"/>.
/// </summary>
public sealed class MeanFieldUniform : MeanFieldLocationScale
{
    /// <inheritdoc cref="MeanFieldLaplace(Tensor, double)"/>
    public MeanFieldUniform(Tensor initialMean, double initialScale)
        : base(nameof(MeanFieldUniform), LocationScaleLaw.Uniform, initialMean, initialScale)
        => RegisterComponents();
}

/// <summary>
/// Independent Student-t entries with fixed degrees of freedom nu; the standard deviation is sqrt(nu / (nu - 2)) times the scale where
/// nu > 2, infinite below. nu = 1 is Cauchy. See <see cref="MeanFieldLocationScale"/>.
/// </summary>
/// <remarks>
/// Under a squared loss the gradient of a location has finite variance only where nu > 2, that of a scale only where nu > 4: f'(w) grows
/// as |w|, and the gradient of the scale is f'(w) eps.
/// </remarks>
public sealed class MeanFieldStudentT : MeanFieldLocationScale
{
    /// <summary>Creates a posterior with the given initial locations and one initial scale.</summary>
    /// <param name="initialMean">The locations, shape W; copied. Its type and device become the posterior's.</param>
    /// <param name="initialScale">The scale every entry starts with.</param>
    /// <param name="degreesOfFreedom">nu.</param>
    /// <exception cref="ArgumentOutOfRangeException">Scale or nu is not a finite number above zero.</exception>
    /// <exception cref="NotSupportedException"><paramref name="initialMean"/> is not float32 or float64.</exception>
    public MeanFieldStudentT(Tensor initialMean, double initialScale, double degreesOfFreedom)
        : base(nameof(MeanFieldStudentT), LocationScaleLaw.StudentT(degreesOfFreedom), initialMean, initialScale)
    {
        DegreesOfFreedom = degreesOfFreedom;
        RegisterComponents();
    }

    /// <summary>nu.</summary>
    public double DegreesOfFreedom { get; }
}

/// <summary>Independent entries of a location-scale family, each starting with the same scale: see <see cref="MeanFieldLocationScale"/>.</summary>
public abstract record MeanFieldLocationScaleSpecification : PosteriorSpecification
{
    /// <summary>The scale that every entry starts with; 0.01 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double InitialScale { get; init => field = Guard.Positive(value, nameof(InitialScale)); } = 0.01;
}

/// <summary>Independent Laplace entries: see <see cref="MeanFieldLaplace"/>.</summary>
public sealed record MeanFieldLaplaceSpecification : MeanFieldLocationScaleSpecification
{
    /// <inheritdoc/>
    public override Posterior Create(Tensor initialMean) => new MeanFieldLaplace(initialMean, InitialScale);
}

/// <summary>Independent logistic entries: see <see cref="MeanFieldLogistic"/>.</summary>
public sealed record MeanFieldLogisticSpecification : MeanFieldLocationScaleSpecification
{
    /// <inheritdoc/>
    public override Posterior Create(Tensor initialMean) => new MeanFieldLogistic(initialMean, InitialScale);
}

/// <summary>Independent uniform entries: see <see cref="MeanFieldUniform"/>.</summary>
public sealed record MeanFieldUniformSpecification : MeanFieldLocationScaleSpecification
{
    /// <inheritdoc/>
    public override Posterior Create(Tensor initialMean) => new MeanFieldUniform(initialMean, InitialScale);
}

/// <summary>Independent Student-t entries: see <see cref="MeanFieldStudentT"/>.</summary>
public sealed record MeanFieldStudentTSpecification : MeanFieldLocationScaleSpecification
{
    /// <summary>nu; 5 by default, the least whole number at which a squared loss has gradients of finite variance in location and scale.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double DegreesOfFreedom { get; init => field = Guard.Positive(value, nameof(DegreesOfFreedom)); } = 5;

    /// <inheritdoc/>
    public override Posterior Create(Tensor initialMean) => new MeanFieldStudentT(initialMean, InitialScale, DegreesOfFreedom);
}
