using BayesNet.Estimators;
using BayesNet.Posteriors;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Priors;

/// <summary>What was believed of a weight tensor before the data: a distribution p with a density.</summary>
/// <remarks>A prior is a module, so that tensors it holds move with the layer and are saved with it.</remarks>
public abstract class Prior : nn.Module
{
    /// <summary>Creates a prior.</summary>
    protected Prior(string name)
        : base(name)
        => NativeLibraries.Load();

    /// <summary>ln p(w), entry by entry where the entries are independent.</summary>
    /// <param name="weight">Shape (L, W): any leading dimensions, then the weight's.</param>
    /// <returns>
    /// Terms whose sum behind the leading dimensions is ln p(w): shape (L, W) for independent entries, (L, 1) for a joint density;
    /// differentiable in <paramref name="weight"/>.
    /// </returns>
    public abstract Tensor LogDensity(Tensor weight);

    /// <summary>Draws weights from the prior.</summary>
    /// <param name="noise">Where the noise comes from.</param>
    /// <param name="shape">(L, W).</param>
    /// <param name="dtype">float32 or float64.</param>
    /// <param name="device">Where the draw is to live.</param>
    public abstract Tensor Sample(NoiseSource noise, ReadOnlySpan<long> shape, ScalarType dtype, Device device);

    /// <summary>The family and its settings in a few words, for summaries, and by which a checkpoint knows its model's priors.</summary>
    public override string ToString() => GetName();

    /// <summary>The family with its settings.</summary>
    private protected string Describe(params ReadOnlySpan<object> settings)
    {
        var parts = new string[settings.Length];
        for (int i = 0; i < parts.Length; i++)
            parts[i] = Convert.ToString(settings[i], System.Globalization.CultureInfo.InvariantCulture)!;
        return $"{GetName()}({string.Join(", ", parts)})";
    }

    /// <summary>Whether the entries are independent, so that a posterior can keep some of them and leave out the others.</summary>
    internal virtual bool HasIndependentEntries => true;

    /// <summary>
    /// The prior of the entries that a pruned posterior keeps: this one, where the entries are independent and alike; else one to be disposed.
    /// </summary>
    /// <param name="kept">The entries.</param>
    /// <param name="shape">The shape of the whole weight.</param>
    internal virtual Prior Restrict(KeptEntries kept, ReadOnlySpan<long> shape) => this;

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            this.DisposeOwnTensors();
        base.Dispose(disposing);
    }
}

/// <summary>
/// A prior without a shape, from which a layer makes a <see cref="Prior"/> for each of its tensors. Immutable, and so shared freely.
/// </summary>
public abstract record PriorSpecification
{
    /// <summary>Makes a prior for a weight of the shape, type and device of <paramref name="like"/>.</summary>
    public abstract Prior Create(Tensor like);

    /// <summary>The same, for families whose settings follow the number of terms that an output of the layer adds up.</summary>
    /// <param name="like">Gives shape, type and device.</param>
    /// <param name="fanIn">That number; 1 for a bias.</param>
    public virtual Prior Create(Tensor like, long fanIn) => Create(like);

    /// <summary>
    /// The law of w + <paramref name="by"/>: what a layer takes whose weights start there, such as the scale of a normalisation layer, at 1.
    /// </summary>
    /// <exception cref="NotSupportedException">The family has no centre but zero.</exception>
    public virtual PriorSpecification Shifted(double by)
        => by == 0
            ? this
            : throw new NotSupportedException(
                $"The layer's weights start at {by.ToString(System.Globalization.CultureInfo.InvariantCulture)}, and its prior has no centre but zero; give it "
                + "a GaussianPrior, LaplacePrior or StudentTPrior, as BayesOptions.Prior of the layer.");
}
