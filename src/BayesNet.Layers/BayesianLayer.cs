using BayesNet.Divergences;
using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Runtime;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Layers;

/// <summary>
/// A layer with a posterior over its weights: an affine map, a posterior and a prior for weight and bias, and an estimator. The sealed
/// classes derived from it choose the map and nothing else.
/// </summary>
/// <remarks>
/// A forward pass draws noise in training and in evaluation mode alike; for the output at the posterior's mean ask by name:
/// <c>model.WithEstimator(Estimator.MeanOnly)</c>. State dict: <c>weight.*</c> and <c>bias.*</c> as the posterior names its parameters,
/// <c>weight_prior.*</c> and <c>bias_prior.*</c> where a prior holds tensors.
/// </remarks>
public abstract class BayesianLayer : nn.Module<Tensor, Tensor>, IBayesianAffine
{
    [ComponentName(Name = "weight")]
    private readonly Posterior _weight;

    [ComponentName(Name = "bias")]
    private readonly Posterior? _bias;

    [ComponentName(Name = "weight_prior")]
    private readonly Prior _weightPrior;

    [ComponentName(Name = "bias_prior")]
    private readonly Prior? _biasPrior;

    private readonly int _klSamples;
    private Estimator _estimator;

    /// <summary>A layer whose initial means are drawn as TorchSharp's own layers draw their weights: uniform within 1 / sqrt(fan-in).</summary>
    private protected BayesianLayer(string name, AffineMap map, bool hasBias, Device? device, ScalarType? dtype, BayesOptions? options)
        : this(name, map, () => InitialMeans(map, hasBias, device, dtype), options)
    {
    }

    /// <summary>A layer whose means start at given values; they are copied, and give the layer its type and device.</summary>
    private protected BayesianLayer(string name, AffineMap map, Func<(Tensor Weight, Tensor? Bias)> initial, BayesOptions? options)
        : base(name)
    {
        NativeLibraries.Load();
        options ??= BayesOptions.Default;
        Map = map;
        _klSamples = (int)Guard.AtLeastOne(options.KlSamples, nameof(options.KlSamples));
        using (NewDisposeScope())
        using (no_grad())
        {
            (Tensor weight, Tensor? bias) = initial();
            (_weight, _weightPrior) = options.OfWeight(weight, map.Layout, map.Summands);
            if (bias is not null)
                (_bias, _biasPrior) = options.OfBias(bias);
        }

        _estimator = options.Estimator;
        _estimator.EnsureSupports(map, _weight, _bias);
        Noise = new NoiseSource(options.Seed);
        RegisterComponents();
    }

    /// <summary>What the layer computes from an input and a weight.</summary>
    public AffineMap Map { get; }

    /// <summary>The posterior of the weight.</summary>
    public Posterior WeightPosterior => _weight;

    /// <summary>The posterior of the bias, or null for a layer without one.</summary>
    public Posterior? BiasPosterior => _bias;

    /// <summary>The prior of the weight.</summary>
    public Prior WeightPrior => _weightPrior;

    /// <summary>The prior of the bias, or null for a layer without one.</summary>
    public Prior? BiasPrior => _biasPrior;

    /// <inheritdoc/>
    public Estimator Estimator
    {
        get => _estimator;
        set
        {
            ArgumentNullException.ThrowIfNull(value);
            value.EnsureSupports(Map, _weight, _bias);
            _estimator = value;
        }
    }

    /// <inheritdoc/>
    public NoiseSource Noise { get; }

    /// <inheritdoc cref="NoiseSource.Seed"/>
    public ulong? Seed
    {
        get => Noise.Seed;
        set => Noise.Seed = value;
    }

    /// <inheritdoc/>
    public string? WhyNot(Estimator estimator)
    {
        ArgumentNullException.ThrowIfNull(estimator);
        return estimator.WhyNot(Map, _weight, _bias);
    }

    /// <inheritdoc/>
    public Tensor KlDivergence() => KlDivergences.Sum(DivergenceTerms, Noise, _klSamples);

    /// <inheritdoc/>
    public IReadOnlyList<(Posterior Posterior, Prior Prior)> DivergenceTerms
        => _bias is null ? [(_weight, _weightPrior)] : [(_weight, _weightPrior), (_bias, _biasPrior!)];

    /// <summary>The layer's output with noise as the estimator draws it, fresh at every call.</summary>
    /// <param name="input">As TorchSharp's twin takes it: with or without a batch dimension.</param>
    /// <returns>The twin's output shape, differentiable in the input and in the posterior's parameters.</returns>
    /// <exception cref="ArgumentException">The input's shape or type does not fit the layer.</exception>
    public sealed override Tensor forward(Tensor input)
    {
        CheckType(input);
        return Compute(input);
    }

    /// <summary>Refuses an input whose type does not fit the layer.</summary>
    private protected void CheckType(Tensor input)
    {
        ArgumentNullException.ThrowIfNull(input);
        ScalarType type = _weight.Type;
        if (Map.WhyNotType(input.dtype, type) is { } reason)
        {
            Guard.FloatingPoint(type, "the layer's type");
            throw new ArgumentException($"{GetName()} {reason}.", nameof(input));
        }
    }

    /// <summary>What <see cref="forward"/> returns, of an input whose type fits.</summary>
    private protected virtual Tensor Compute(Tensor input) => Output(Map, input);

    /// <summary>The image of an input, whose batch may be missing, by the layer's map or one with the same weight, under the estimator.</summary>
    private protected Tensor Output(AffineMap map, Tensor input) => _estimator.ForwardAny(map, _weight, _bias, input, Noise);

    /// <summary>The layer's parts in one line.</summary>
    public sealed override string ToString()
        => $"{GetName()}({Map}, {_weight.GetName()}, prior {_weightPrior.GetName()}, {_estimator})";

    /// <summary>Weights as TorchSharp's own layers draw them.</summary>
    internal static (Tensor Weight, Tensor? Bias) InitialMeans(AffineMap map, bool hasBias, Device? device, ScalarType? dtype)
    {
        ScalarType type = Guard.FloatingPoint(dtype ?? get_default_dtype(), nameof(dtype));
        Device where = device ?? get_default_device();
        double bound = 1 / Math.Sqrt(map.FanIn);
        Tensor weight = empty(map.WeightShape.ToArray(), dtype: type, device: where).uniform_(-bound, bound);
        return (weight, hasBias ? empty(map.OutputChannels, dtype: type, device: where).uniform_(-bound, bound) : null);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            this.DisposeChildren();
            Noise.Dispose();
        }

        base.Dispose(disposing);
    }
}
