using BayesNet.Divergences;
using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Runtime;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Layers;

/// <summary>
/// A deterministic layer with random factors of its input and output channels, y = f(x o s, W) o r + b: a weight W o r s' of a posterior with as many
/// parameters as there are channels (Dusenberry et al. 2020). <see cref="bnn"/> has factories for linear layers and convolutions.
/// </summary>
/// <remarks>
/// <para>
/// Weights per example is exact and costs two elementwise products; it is what <see cref="BayesOptions"/> gets where it names no other than local
/// reparameterization, its default. Shared weights draws the factors once for the batch. Local reparameterization and flipout are refused by the property:
/// the outputs are sums of products of random factors. Mean only has the factors' means: with one component the output at the mean weight, since r and s are
/// independent, with several the output at the means over the components.
/// </para>
/// <para>
/// With K components each example, or under shared weights the batch, takes one at random, the same one for r and s. The KL divergence counts r and s and is
/// the mean over the components; W and b are plain parameters. The prior of <see cref="BayesOptions"/> is moved by 1: N(0, s^2) there is N(1, s^2) of the
/// factors. State dict: <c>weight</c>, <c>bias</c>, and <c>factors.*</c> of s and then r, <c>factors.components.*</c> with several components.
/// </para>
/// </remarks>
public sealed class BayesRank1 : nn.Module<Tensor, Tensor>, IBayesianModule
{
    [ComponentName(Name = "weight")]
    private readonly Parameter _weight;

    [ComponentName(Name = "bias")]
    private readonly Parameter? _bias;

    [ComponentName(Name = "factors")]
    private readonly Posterior _factors;

    [ComponentName(Name = "factors_prior")]
    private readonly Prior _prior;

    private readonly int _klSamples;
    private Estimator _estimator;

    /// <summary>Creates a layer whose W and b are drawn as those of TorchSharp's own layers.</summary>
    /// <param name="map">f: a linear map, a convolution or a transposed one.</param>
    /// <param name="hasBias">Whether there is a bias.</param>
    /// <param name="components">K.</param>
    /// <param name="spread">The standard deviation about 1 of the components' initial means, where there are several.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior and estimator of the factors; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException">The map is none that has factors.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="components"/> is below 1, or <paramref name="spread"/> not a finite number above zero.</exception>
    /// <exception cref="NotSupportedException">The type is a half-precision one, or posterior, prior or estimator do not fit.</exception>
    public BayesRank1(
        AffineMap map, bool hasBias = true, int components = 1, double spread = 0.5, Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        : this(map, () => BayesianLayer.InitialMeans(map, hasBias, device, dtype), components, spread, options)
    {
    }

    /// <summary>Creates a layer with given W and b, such as those of a trained layer.</summary>
    /// <param name="map">f: a linear map, a convolution or a transposed one.</param>
    /// <param name="weight">W, the map's shape; copied. Its type and device become the layer's.</param>
    /// <param name="bias">b, (out), copied, or null for a layer without a bias.</param>
    /// <param name="components">K.</param>
    /// <param name="spread">The standard deviation about 1 of the components' initial means, where there are several.</param>
    /// <param name="options">Posterior, prior and estimator of the factors; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException">The map is none that has factors, or a shape does not fit it.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="components"/> is below 1, or <paramref name="spread"/> not a finite number above zero.</exception>
    /// <exception cref="NotSupportedException">The type is a half-precision one, or posterior, prior or estimator do not fit.</exception>
    public BayesRank1(AffineMap map, Tensor weight, Tensor? bias = null, int components = 1, double spread = 0.5, BayesOptions? options = null)
        : this(map, () => Checked(map, weight, bias), components, spread, options)
    {
    }

    private BayesRank1(AffineMap map, Func<(Tensor Weight, Tensor? Bias)> initial, int components, double spread, BayesOptions? options)
        : base(nameof(BayesRank1))
    {
        NativeLibraries.Load();
        options ??= BayesOptions.Default;
        Guard.AtLeastOne(components);
        Guard.Positive(spread);
        _klSamples = (int)Guard.AtLeastOne(options.KlSamples, nameof(options.KlSamples));
        Map = new Rank1Map(map, () => (_weight!, _bias));
        using (NewDisposeScope())
        using (no_grad())
        {
            (Tensor weight, Tensor? bias) = initial();
            _weight = OwnedTensors.Location(weight);
            _bias = bias is null ? null : OwnedTensors.Location(bias);
            long[] shape = components == 1 ? Map.WeightShape.ToArray() : [components, .. Map.WeightShape];
            Tensor means = ones(shape, dtype: weight.dtype, device: weight.device);
            if (components > 1)
                means = means.Plus(randn(shape, dtype: weight.dtype, device: weight.device).Times(spread));
            (Posterior own, _prior) = (options with { Prior = options.Prior.Shifted(1) }).OfWeight(means, WeightLayout.OutputsFirst, fanIn: 1);
            _factors = components == 1 ? own : new EqualMixture(own);
        }

        _estimator = ReferenceEquals(options.Estimator, Estimator.LocalReparameterization) ? Estimator.WeightsPerExample : options.Estimator;
        _estimator.EnsureSupports(Map, _factors, null);
        Noise = new NoiseSource(options.Seed);
        RegisterComponents();
    }

    /// <summary>What the layer computes of an input and the factors.</summary>
    public Rank1Map Map { get; }

    /// <summary>W: the parameter itself.</summary>
    public Parameter Weight => _weight;

    /// <summary>b: the parameter itself, or null for a layer without one.</summary>
    public Parameter? Bias => _bias;

    /// <summary>The posterior of the factors, s and then r, (in + out); an <see cref="EqualMixture"/> where there are several components.</summary>
    public Posterior Factors => _factors;

    /// <summary>The prior of the factors.</summary>
    public Prior FactorsPrior => _prior;

    /// <summary>K.</summary>
    public long Components => _factors is EqualMixture mixture ? mixture.Count : 1;

    /// <inheritdoc/>
    public Estimator Estimator
    {
        get => _estimator;
        set
        {
            ArgumentNullException.ThrowIfNull(value);
            value.EnsureSupports(Map, _factors, null);
            _estimator = value;
        }
    }

    /// <inheritdoc/>
    public NoiseSource Noise { get; }

    /// <inheritdoc/>
    public IReadOnlyList<(Posterior Posterior, Prior Prior)>? DivergenceTerms => _factors is EqualMixture ? null : [(_factors, _prior)];

    /// <inheritdoc/>
    public string? WhyNot(Estimator estimator)
    {
        ArgumentNullException.ThrowIfNull(estimator);
        return estimator.WhyNot(Map, _factors, null);
    }

    /// <inheritdoc/>
    public Tensor KlDivergence()
    {
        using var scope = NewDisposeScope();
        Tensor total = KlDivergences.Compute(_factors is EqualMixture mixture ? mixture.Components : _factors, _prior, Noise, _klSamples);
        return total.Times(1.0 / Components).MoveToOuterDisposeScope();
    }

    /// <summary>The layer's output with factors as the estimator draws them, fresh at every call.</summary>
    /// <param name="input">As TorchSharp's twin takes it: with or without a batch dimension.</param>
    /// <returns>The twin's output shape, differentiable in the input, W, b and the posterior's parameters.</returns>
    /// <exception cref="ArgumentException">The input's shape or type does not fit the layer.</exception>
    public override Tensor forward(Tensor input)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (Map.WhyNotType(input.dtype, _weight.dtype) is { } reason)
            throw new ArgumentException($"{GetName()} {reason}.", nameof(input));
        return _estimator.ForwardAny(Map, _factors, null, input, Noise);
    }

    /// <summary>The layer's parts in one line.</summary>
    public override string ToString()
        => $"{GetName()}({Map}, {(_factors is EqualMixture mixture ? $"{mixture.Count} x {mixture.Components.GetName()}" : _factors.GetName())}, "
            + $"prior {_prior.GetName()}, {_estimator})";

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            this.DisposeOwnTensors();
            _factors.Dispose();
            _prior.Dispose();
            Noise.Dispose();
        }

        base.Dispose(disposing);
    }

    private static (Tensor, Tensor?) Checked(AffineMap map, Tensor weight, Tensor? bias)
    {
        ArgumentNullException.ThrowIfNull(weight);
        if (!weight.shape.AsSpan().SequenceEqual(map.WeightShape))
            throw new ArgumentException($"The weight has shape {Guard.Format(weight.shape)}; that of {map} is {Guard.Format(map.WeightShape)}.", nameof(weight));
        if (bias is not null && (bias.dim() != 1 || bias.size(0) != map.OutputChannels))
            throw new ArgumentException($"The bias has shape {Guard.Format(bias.shape)}; that of {map} is ({map.OutputChannels}).", nameof(bias));
        return (weight, bias);
    }
}
