using BayesNet.Posteriors;
using static TorchSharp.torch;

namespace BayesNet.Layers.Conversion;

/// <summary>
/// One entry of the table of twins: how a TorchSharp layer becomes a Bayesian one, its weights the initial means, and how it becomes a
/// TorchSharp layer again.
/// </summary>
public abstract class LayerConversion
{
    private protected LayerConversion(Type deterministic, Type bayesian) => (Deterministic, Bayesian) = (deterministic, bayesian);

    /// <summary>The class of the deterministic layer.</summary>
    public Type Deterministic { get; }

    /// <summary>The class of its Bayesian twin.</summary>
    public Type Bayesian { get; }

    /// <summary>What makes a layer's twin, or why it has none as the end of a sentence.</summary>
    internal abstract Preparation<nn.Module> Prepare(nn.Module layer, LayerHints hints);

    /// <summary>Why a twin can't become a deterministic layer, as a sentence; null where it can.</summary>
    internal abstract string? WhyNotBack(nn.Module twin);

    internal abstract nn.Module ToDeterministic(nn.Module twin, Func<Posterior, Tensor> weight);
}

/// <summary>What makes a layer's twin, or why it has none.</summary>
internal readonly record struct Preparation<TTwin>(Func<BayesOptions, TTwin>? Make, string? WhyNot)
{
    internal static Preparation<TTwin> By(Func<BayesOptions, TTwin> make) => new(make, null);

    internal static Preparation<TTwin> No(string reason) => new(null, reason);

    /// <summary>A setting that nothing tells, and the hint for it.</summary>
    internal static Preparation<TTwin> Untold(string settings, string hint)
        => No($"what it computes does not tell {settings}; give LayerHints.{hint} in ConversionOptions.Hints or HintsFor");
}

/// <inheritdoc cref="LayerConversion"/>
/// <typeparam name="TLayer">The class of the deterministic layer, exactly.</typeparam>
/// <typeparam name="TTwin">The class of its twin, exactly: Bayesian, or made of Bayesian layers.</typeparam>
public sealed class LayerConversion<TLayer, TTwin> : LayerConversion
    where TLayer : nn.Module
    where TTwin : nn.Module
{
    private readonly Func<TLayer, LayerHints, Preparation<TTwin>> _prepare;
    private readonly Func<TTwin, Func<Posterior, Tensor>, TLayer> _toDeterministic;
    private readonly Func<TTwin, string?> _whyNotBack;

    /// <summary>Creates an entry; <see cref="LayerConversions.Register"/> puts it into the table.</summary>
    /// <param name="toBayesian">
    /// Makes the twin of a layer: its geometry, its weights copied for means, their type and device. Called in a dispose scope with gradients off.
    /// </param>
    /// <param name="toDeterministic">
    /// Makes the layer of a twin, with the weights that the second argument gives for each of its posteriors: copied, on the same device, of the
    /// same type. Called in a dispose scope with gradients off.
    /// </param>
    /// <param name="whyNot">Why a layer of the class has no twin, as the end of a sentence, null where it has; null where all have.</param>
    public LayerConversion(
        Func<TLayer, BayesOptions, TTwin> toBayesian, Func<TTwin, Func<Posterior, Tensor>, TLayer> toDeterministic, Func<TLayer, string?>? whyNot = null)
        : this((layer, _) => whyNot?.Invoke(layer) is { } reason ? Preparation<TTwin>.No(reason) : Preparation<TTwin>.By(options => toBayesian(layer, options)), toDeterministic)
        => ArgumentNullException.ThrowIfNull(toBayesian);

    /// <summary>Creates an entry of a layer that does not tell all that its twin has to know.</summary>
    internal LayerConversion(
        Func<TLayer, LayerHints, Preparation<TTwin>> prepare, Func<TTwin, Func<Posterior, Tensor>, TLayer> toDeterministic, Func<TTwin, string?>? whyNotBack = null)
        : base(typeof(TLayer), typeof(TTwin))
    {
        ArgumentNullException.ThrowIfNull(toDeterministic);
        (_prepare, _toDeterministic, _whyNotBack) = (prepare, toDeterministic, whyNotBack ?? (_ => null));
    }

    internal override Preparation<nn.Module> Prepare(nn.Module layer, LayerHints hints)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Preparation<TTwin> prepared = _prepare((TLayer)layer, hints);
        return new(prepared.Make is { } make ? options => make(options) : null, prepared.WhyNot);
    }

    internal override string? WhyNotBack(nn.Module twin) => _whyNotBack((TTwin)twin);

    internal override nn.Module ToDeterministic(nn.Module twin, Func<Posterior, Tensor> weight) => _toDeterministic((TTwin)twin, weight);
}
