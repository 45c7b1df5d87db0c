using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>
/// Bernoulli gates over Gaussian weights: w = z (mu + sigma eps), z = 1 with a learned probability, else exactly 0 (spike and slab). In
/// training z is the concrete relaxation, or on request the draw with the gradient of the relaxation (straight-through); in evaluation
/// mode it is the draw.
/// </summary>
/// <remarks>
/// State dict: <c>mean</c> (mu) and <c>log_scale</c> (ln sigma), both of the weight's shape, and <c>gate</c>, the logit of the inclusion
/// probability, in a shape that broadcasts to it. Noise: for each weight one row of P normals, in the weight's order, and a logistic for each
/// gate. The posterior has no density; its divergence is from <see cref="Priors.SpikeAndSlabPrior"/>.
/// </remarks>
public sealed class SpikeAndSlab : Posterior
{
    [ComponentName(Name = "mean")]
    private readonly Parameter _mean;

    [ComponentName(Name = "log_scale")]
    private readonly Parameter _logScale;

    [ComponentName(Name = "gate")]
    private readonly Parameter _gate;

    private readonly double _temperature;
    private readonly bool _straightThrough;

    /// <summary>Creates a posterior with the given initial means.</summary>
    /// <param name="initialMean">mu, shape W; copied. Its type and device become the posterior's.</param>
    /// <param name="initialStdDev">sigma, to start with.</param>
    /// <param name="initialInclusion">The probability of a weight's being there, to start with; strictly between 0 and 1.</param>
    /// <param name="sharing">Which entries share one gate.</param>
    /// <param name="temperature">The temperature of the relaxation in training.</param>
    /// <param name="straightThrough">Whether gates are exactly 0 or 1 in training too, with the gradient of the relaxation.</param>
    /// <param name="layout">Which dimensions of W count outputs and inputs.</param>
    /// <exception cref="ArgumentException">Entries of one output are to share a gate, and the layout has groups of inputs.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A number is out of its range.</exception>
    /// <exception cref="NotSupportedException"><paramref name="initialMean"/> is not float32 or float64.</exception>
    public SpikeAndSlab(
        Tensor initialMean, double initialStdDev, double initialInclusion = 0.9, ParameterSharing sharing = ParameterSharing.PerWeight,
        double temperature = 0.5, bool straightThrough = false, WeightLayout layout = default)
        : base(nameof(SpikeAndSlab), initialMean.shape)
    {
        double logStdDev = Math.Log(Guard.Positive(initialStdDev));
        Guard.OpenUnitInterval(initialInclusion);
        _temperature = Guard.Positive(temperature);
        _straightThrough = straightThrough;
        using (NewDisposeScope())
        using (no_grad())
        {
            _mean = OwnedTensors.Location(initialMean);
            _logScale = OwnedTensors.Parameter(zeros_like(initialMean).Plus(logStdDev));
            Tensor gate = zeros(sharing.ShapeOver(Shape, layout), dtype: initialMean.dtype, device: initialMean.device);
            _gate = OwnedTensors.Parameter(gate.Plus(Math.Log(initialInclusion / (1 - initialInclusion))));
        }

        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor Mean
    {
        get
        {
            using Tensor inclusion = Inclusion;
            return inclusion.mul(_mean);
        }
    }

    /// <summary>The probability that a weight is there, in a shape that broadcasts to the weight's; differentiable.</summary>
    public Tensor Inclusion => _gate.sigmoid();

    /// <summary>The logit of <see cref="Inclusion"/>: the parameter itself.</summary>
    public Parameter InclusionLogit => _gate;

    /// <summary>mu, the mean of a weight that is there, shape W: the parameter itself.</summary>
    public Parameter SlabMean => _mean;

    /// <summary>ln sigma of a weight that is there, shape W: the parameter itself.</summary>
    public Parameter LogSlabStdDev => _logScale;

    /// <inheritdoc/>
    public override Tensor Variance
    {
        get
        {
            // pi sigma^2 + pi (1 - pi) mu^2
            using var scope = NewDisposeScope();
            Tensor inclusion = Inclusion;
            Tensor fromGate = _mean.Squared().mul(_gate.neg().sigmoid());
            return _logScale.mul(Scalars.Two).exp().Plus(fromGate).mul(inclusion).MoveToOuterDisposeScope();
        }
    }

    /// <inheritdoc/>
    public override bool HasIndependentSymmetricEntries => false;

    /// <inheritdoc/>
    public override Tensor SampleNoise(NoiseSource noise, ReadOnlySpan<long> leading)
    {
        using var scope = NewDisposeScope();
        Tensor normal = noise.Normal([.. leading, _mean.numel()], _mean.dtype, _mean.device);
        Tensor logistic = BaseNoise.Logistic.Draw(noise, [.. leading, _gate.numel()], _mean.dtype, _mean.device);
        return cat([normal, logistic], -1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Transform(Tensor eps)
    {
        using var scope = NewDisposeScope();
        long weights = _mean.numel();
        ReadOnlySpan<long> leading = eps.shape.AsSpan(..^1);
        Tensor normal = eps.narrow(-1, 0, weights).reshape([.. leading, .. Shape]);
        Tensor logistic = eps.narrow(-1, weights, _gate.numel()).reshape([.. leading, .. _gate.shape]);
        Tensor gate = Gate.Open(logistic.Plus(_gate), training, _temperature, _straightThrough);
        return addcmul(_mean, _logScale.exp(), normal, Scalars.One).mul(gate).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Deviation(Tensor eps)
    {
        using var scope = NewDisposeScope();
        return Transform(eps).sub(Mean).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <exception cref="NotSupportedException">Always: the posterior has an atom at zero.</exception>
    public override Tensor LogDensity(Tensor weight) => throw NoDensity();

    /// <inheritdoc/>
    /// <exception cref="NotSupportedException">Always: the posterior has an atom at zero.</exception>
    public override Tensor Entropy() => throw NoDensity();

    private static NotSupportedException NoDensity()
        => new("A SpikeAndSlab posterior has no density; its closed divergence is from SpikeAndSlabPrior. Give the layer that prior.");
}

/// <summary>Bernoulli gates over Gaussian weights: see <see cref="SpikeAndSlab"/>. Its prior is <see cref="Priors.SpikeAndSlabPrior"/>.</summary>
public sealed record SpikeAndSlabSpecification : PosteriorSpecification
{
    /// <summary>sigma, to start with; 0.01 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double InitialStdDev { get; init => field = Guard.Positive(value, nameof(InitialStdDev)); } = 0.01;

    /// <summary>The probability of a weight's being there, to start with; 0.9 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not strictly between 0 and 1.</exception>
    public double InitialInclusion { get; init => field = Guard.OpenUnitInterval(value, nameof(InitialInclusion)); } = 0.9;

    /// <summary>Which entries share one gate; none by default.</summary>
    public ParameterSharing Sharing { get; init; } = ParameterSharing.PerWeight;

    /// <summary>The temperature of the relaxation in training; 0.5 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double Temperature { get; init => field = Guard.Positive(value, nameof(Temperature)); } = 0.5;

    /// <summary>Whether gates are exactly 0 or 1 in training too, with the gradient of the relaxation; false by default.</summary>
    public bool StraightThrough { get; init; }

    /// <inheritdoc/>
    public override Posterior Create(Tensor initialMean) => Create(initialMean, WeightLayout.OutputsFirst);

    /// <inheritdoc/>
    public override Posterior Create(Tensor initialMean, WeightLayout layout)
        => new SpikeAndSlab(initialMean, InitialStdDev, InitialInclusion, Sharing, Temperature, StraightThrough, layout);
}
