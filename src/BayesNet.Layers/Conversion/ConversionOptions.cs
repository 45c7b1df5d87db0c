using static TorchSharp.torch;

namespace BayesNet.Layers.Conversion;

/// <summary>How a model is made Bayesian. Immutable.</summary>
public sealed record ConversionOptions
{
    /// <summary>Which layers; all that have a Bayesian twin by default.</summary>
    public LayerSelection Layers { get; init; } = LayerSelection.All;

    /// <summary>
    /// Posterior, prior and estimator of every converted layer; <see cref="BayesOptions.Default"/> by default. <see cref="BayesOptions.Moped"/>
    /// makes both of the trained weights.
    /// </summary>
    public BayesOptions Options { get; init; } = BayesOptions.Default;

    /// <summary>The same layer by layer, by its name in the model and itself; null from it leaves the layer as it is. Takes the place of <see cref="Options"/>.</summary>
    public Func<string, nn.Module, BayesOptions?>? OptionsFor { get; init; }

    /// <summary>What TorchSharp does not tell of the layers, where it is known; nothing by default.</summary>
    public LayerHints Hints { get; init; } = new();

    /// <summary>The same layer by layer, by its name in the model and itself; null from it for <see cref="Hints"/>.</summary>
    public Func<string, nn.Module, LayerHints?>? HintsFor { get; init; }

    /// <summary>Whether normalisation layers get a Bayesian scale and shift; not by default: they stay as they are.</summary>
    public bool Normalizations { get; init; }

    /// <summary>
    /// Whether layers are converted whose parameters are all frozen (<c>requires_grad</c> false); not by default: a frozen layer is a fixed part
    /// of the model. Where they are, and where a single parameter is frozen, the means stay frozen and the scales are learned.
    /// </summary>
    public bool Frozen { get; init; }

    /// <summary>Whether the model stays as it is and a copy of it is converted; not by default.</summary>
    public bool Copy { get; init; }
}
