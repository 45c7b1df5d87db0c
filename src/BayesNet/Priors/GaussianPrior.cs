using BayesNet.Estimators;
using BayesNet.Posteriors;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace BayesNet.Priors;

/// <summary>Independent Gaussian entries, N(mean, stdDev^2), with one mean and standard deviation for all or one of each an entry.</summary>
/// <remarks>Tensors given to the prior are copied and registered as the buffers <c>mean</c> and <c>std</c>; scalars are not in the state dict.</remarks>
public sealed class GaussianPrior : Prior
{
    [ComponentName(Name = "mean")]
    private readonly Tensor? _mean;

    [ComponentName(Name = "std")]
    private readonly Tensor? _stdDev;

    private readonly double _scalarMean;
    private readonly double _scalarStdDev;

    /// <summary>Creates a prior with one mean and one standard deviation for every entry.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="stdDev"/> is not above zero, or either is not finite.</exception>
    public GaussianPrior(double mean = 0, double stdDev = 1)
        : base(nameof(GaussianPrior))
    {
        _scalarMean = Guard.Finite(mean);
        _scalarStdDev = Guard.Positive(stdDev);
        RegisterComponents();
    }

    /// <summary>Creates a prior with a mean and a standard deviation for each entry; both broadcast to the weight's shape.</summary>
    /// <exception cref="ArgumentException">A value is not finite, or a standard deviation is not above zero.</exception>
    public GaussianPrior(Tensor mean, Tensor stdDev)
        : base(nameof(GaussianPrior))
    {
        ArgumentNullException.ThrowIfNull(mean);
        ArgumentNullException.ThrowIfNull(stdDev);
        Guard.AllFinite(mean);
        Guard.AllFinite(stdDev);
        using (NewDisposeScope())
        {
            if (!stdDev.gt(Scalars.Zero).all().item<bool>())
                throw new ArgumentException("stdDev holds values that are not above zero; give a standard deviation, not a variance or its log.", nameof(stdDev));
        }

        _mean = mean.detach().clone().DetachFromDisposeScope();
        _stdDev = stdDev.detach().clone().DetachFromDisposeScope();
        RegisterComponents();
    }

    /// <summary>Whether the same mean and standard deviation hold for every entry.</summary>
    public bool IsScalar => _mean is null;

    /// <summary>The mean of every entry, where <see cref="IsScalar"/>.</summary>
    /// <exception cref="InvalidOperationException">The prior has a tensor of means.</exception>
    public double ScalarMean => IsScalar ? _scalarMean : throw NotScalar();

    /// <summary>The standard deviation of every entry, where <see cref="IsScalar"/>.</summary>
    /// <exception cref="InvalidOperationException">The prior has a tensor of standard deviations.</exception>
    public double ScalarStdDev => IsScalar ? _scalarStdDev : throw NotScalar();

    /// <summary>The means as given, or null where <see cref="IsScalar"/>. The buffer itself, not a copy.</summary>
    public Tensor? Mean => _mean;

    /// <summary>The standard deviations as given, or null where <see cref="IsScalar"/>. The buffer itself, not a copy.</summary>
    public Tensor? StdDev => _stdDev;

    /// <summary>A zero-mean prior with the given standard deviation.</summary>
    public static PriorSpecification WithStdDev(double stdDev) => new ScalarSpecification(0, Guard.Positive(stdDev));

    /// <summary>A zero-mean prior with the given variance.</summary>
    public static PriorSpecification WithVariance(double variance) => new ScalarSpecification(0, Math.Sqrt(Guard.Positive(variance)));

    /// <summary>A zero-mean prior with the given precision, the inverse of the variance.</summary>
    public static PriorSpecification WithPrecision(double precision) => new ScalarSpecification(0, 1 / Math.Sqrt(Guard.Positive(precision)));

    /// <summary>
    /// A zero-mean prior of variance <paramref name="gain"/>^2 / fan-in, the fan-in of a bias being 1: with it an output has the same variance
    /// under the prior however many inputs it adds up (Neal 1996, section 2.1).
    /// </summary>
    /// <param name="gain">The standard deviation of one output for inputs of size one; sqrt(2) keeps a signal's size through ReLU layers (He et al. 2015).</param>
    /// <remarks>
    /// The fan-in is the number of weights that one output reads: inputs of a group times the kernel for convolutions, pairs of inputs for bilinear
    /// layers, 1 for tables and normalisation. Made without a layer, it is what stands behind the weight's first dimension.
    /// </remarks>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="gain"/> is not a finite number above zero.</exception>
    public static PriorSpecification ByFanIn(double gain = 1) => new FanInSpecification(0, Guard.Positive(gain));

    /// <summary>A prior with one mean and one standard deviation for every entry.</summary>
    public static PriorSpecification With(double mean, double stdDev) => new ScalarSpecification(Guard.Finite(mean), Guard.Positive(stdDev));

    /// <summary>A prior with a mean and a standard deviation for each entry, which broadcast to the weight's shape; the caller keeps the tensors.</summary>
    public static PriorSpecification With(Tensor mean, Tensor stdDev) => new PerEntrySpecification(mean, stdDev);

    /// <summary>
    /// A prior whose means are the values that the posterior's means start with: trained weights, where a layer is made of them (MOPED; Krishnan,
    /// Subedar and Tickoo 2020).
    /// </summary>
    public static PriorSpecification AtInitialMeans(double stdDev = 1) => new InitialMeansSpecification(Guard.Positive(stdDev));

    /// <inheritdoc/>
    public override Tensor LogDensity(Tensor weight)
    {
        using var scope = NewDisposeScope();
        Tensor density = IsScalar
            ? LocationScaleLaw.Normal.LogDensity(weight.Plus(-_scalarMean).Times(1 / _scalarStdDev)).Plus(-Math.Log(_scalarStdDev))
            : LocationScaleLaw.Normal.LogDensity(weight.sub(_mean!).div(_stdDev!)).sub(_stdDev!.log());
        return density.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Sample(NoiseSource noise, ReadOnlySpan<long> shape, ScalarType dtype, Device device)
    {
        using var scope = NewDisposeScope();
        Tensor eps = noise.Normal(shape, dtype, device);
        Tensor weight = IsScalar ? eps.Times(_scalarStdDev).Plus(_scalarMean) : addcmul(_mean!, _stdDev!, eps, Scalars.One);
        return weight.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override string ToString() => IsScalar ? Describe(_scalarMean, _scalarStdDev) : Describe("for each entry");

    internal override Prior Restrict(KeptEntries kept, ReadOnlySpan<long> shape)
    {
        if (IsScalar)
            return this;
        using var scope = NewDisposeScope();
        long[] whole = shape.ToArray();
        return new GaussianPrior(kept.Select(_mean!.expand(whole)), kept.Select(_stdDev!.expand(whole)));
    }

    private static InvalidOperationException NotScalar()
        => new("This Gaussian prior has a mean and a standard deviation for each entry; read Mean and StdDev, or test IsScalar first.");

    private sealed record ScalarSpecification(double Mean, double StdDev) : PriorSpecification
    {
        public override Prior Create(Tensor like) => new GaussianPrior(Mean, StdDev);

        public override PriorSpecification Shifted(double by) => this with { Mean = Mean + by };
    }

    private sealed record FanInSpecification(double Mean, double Gain) : PriorSpecification
    {
        public override Prior Create(Tensor like) => Create(like, like.dim() < 2 ? 1 : like.numel() / like.size(0));

        public override Prior Create(Tensor like, long fanIn) => new GaussianPrior(Mean, Gain / Math.Sqrt(Guard.AtLeastOne(fanIn)));

        public override PriorSpecification Shifted(double by) => this with { Mean = Mean + by };
    }

    private sealed record InitialMeansSpecification(double StdDev) : PriorSpecification
    {
        // Around where the weights start already, wherever that is.
        public override PriorSpecification Shifted(double by) => this;

        public override Prior Create(Tensor like)
        {
            using var scope = NewDisposeScope();
            return new GaussianPrior(like, full_like(like, StdDev));
        }
    }

    private sealed record PerEntrySpecification(Tensor Mean, Tensor StdDev, double By = 0) : PriorSpecification
    {
        public override PriorSpecification Shifted(double by) => this with { By = By + by };

        public override Prior Create(Tensor like)
        {
            using var scope = NewDisposeScope();
            return new GaussianPrior(Match(Mean, nameof(Mean)).Plus(By), Match(StdDev, nameof(StdDev)));

            Tensor Match(Tensor value, string name)
            {
                try
                {
                    return value.to(like.dtype, like.device).expand(like.shape);
                }
                catch (System.Runtime.InteropServices.ExternalException)
                {
                    throw new ArgumentException(
                        $"The prior's {name} of shape {Guard.Format(value.shape)} does not broadcast to the weight's {Guard.Format(like.shape)}.", name);
                }
            }
        }
    }
}
