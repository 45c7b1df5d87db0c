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

    internal abstract string? WhyNot(nn.Module layer);

    internal abstract nn.Module ToBayesian(nn.Module layer, BayesOptions options);

    internal abstract nn.Module ToDeterministic(nn.Module twin, Func<Posterior, Tensor> weight);
}

/// <inheritdoc cref="LayerConversion"/>
/// <typeparam name="TLayer">The class of the deterministic layer, exactly.</typeparam>
/// <typeparam name="TTwin">The class of its Bayesian twin, exactly.</typeparam>
public sealed class LayerConversion<TLayer, TTwin> : LayerConversion
    where TLayer : nn.Module
    where TTwin : nn.Module, IBayesianModule
{
    private readonly Func<TLayer, BayesOptions, TTwin> _toBayesian;
    private readonly Func<TTwin, Func<Posterior, Tensor>, TLayer> _toDeterministic;
    private readonly Func<TLayer, string?> _whyNot;

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
        : base(typeof(TLayer), typeof(TTwin))
    {
        ArgumentNullException.ThrowIfNull(toBayesian);
        ArgumentNullException.ThrowIfNull(toDeterministic);
        (_toBayesian, _toDeterministic, _whyNot) = (toBayesian, toDeterministic, whyNot ?? (_ => null));
    }

    internal override string? WhyNot(nn.Module layer) => _whyNot((TLayer)layer);

    internal override nn.Module ToBayesian(nn.Module layer, BayesOptions options) => _toBayesian((TLayer)layer, options);

    internal override nn.Module ToDeterministic(nn.Module twin, Func<Posterior, Tensor> weight) => _toDeterministic((TTwin)twin, weight);
}
