using System.Collections.Concurrent;
using BayesNet.Posteriors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Layers.Conversion;

/// <summary>The table of layers and their Bayesian twins, which conversions go by in both directions.</summary>
public static partial class LayerConversions
{
    private static readonly ConcurrentDictionary<Type, LayerConversion> ByDeterministic = new(), ByBayesian = new();

    // Those that are asked for by name; their twins are all of one class.
    private static readonly Dictionary<Type, LayerConversion> OfNormalizations = [];

    static LayerConversions()
    {
        Register(new LayerConversion<Linear, BayesLinear>(
            (layer, options) => new BayesLinear(layer.weight, layer.bias, options),
            (twin, weight) => Fill(nn.Linear(twin.Map.InputChannels, twin.Map.OutputChannels, twin.BiasPosterior is not null), twin, weight)));
        Register(new LayerConversion<Bilinear, BayesBilinear>(
            (layer, options) => new BayesBilinear(layer.weight, layer.bias, options),
            (twin, weight) => Fill(nn.Bilinear(twin.Map.FirstInputs, twin.Map.SecondInputs, twin.Map.OutputChannels, twin.BiasPosterior is not null), twin, weight)));
        Convolutions();
        TransposedConvolutions();
        Tables();
        RecurrentLayers();
        AttentionLayers();
        Normalizations();
    }

    /// <summary>The entries, in no particular order.</summary>
    public static IReadOnlyCollection<LayerConversion> All => [.. ByDeterministic.Values, .. OfNormalizations.Values];

    /// <summary>Adds an entry, for a layer of one's own.</summary>
    /// <exception cref="ArgumentException">One of the classes has an entry already.</exception>
    public static void Register(LayerConversion conversion)
    {
        ArgumentNullException.ThrowIfNull(conversion);
        if (OfNormalizations.ContainsKey(conversion.Deterministic) || IsBayesian(conversion.Bayesian) || !ByDeterministic.TryAdd(conversion.Deterministic, conversion))
            throw new ArgumentException($"{conversion.Deterministic.Name} or {conversion.Bayesian.Name} has a twin already; a class has one.", nameof(conversion));
        ByBayesian[conversion.Bayesian] = conversion;

        static bool IsBayesian(Type type) => ByBayesian.ContainsKey(type) || type == typeof(BayesNormalization) || type == typeof(BayesRank1);
    }

    /// <summary>The entry of a layer, null where it has none.</summary>
    internal static LayerConversion? OfDeterministic(nn.Module layer, bool normalizations)
        => ByDeterministic.GetValueOrDefault(layer.GetType()) ?? (normalizations ? OfNormalizations.GetValueOrDefault(layer.GetType()) : null);

    internal static LayerConversion? OfBayesian(nn.Module twin) => twin switch
    {
        BayesNormalization around => OfNormalizations.GetValueOrDefault(around.Normalization.GetType()),
        BayesRank1 => OfRank1,
        _ => ByBayesian.GetValueOrDefault(twin.GetType()),
    };

    /// <summary>Why a module without an entry is kept, as the end of a sentence.</summary>
    internal static string WhyNoTwin(nn.Module module)
        => OfNormalizations.ContainsKey(module.GetType())
            ? "normalisations are, unless ConversionOptions.Normalizations is true"
            : $"{ModuleSlot.Format(module.GetType())} has no Bayesian twin";

    /// <summary>A layer with the weights of a twin, whose posteriors have the names of the layer's parameters; on their device and of their type.</summary>
    private static TLayer Fill<TLayer>(TLayer layer, nn.Module twin, Func<Posterior, Tensor> weight)
        where TLayer : nn.Module
        => Fill(layer, twin.named_children().Where(child => child.module is Posterior).ToDictionary(child => child.name, child => weight((Posterior)child.module)));

    /// <summary>A layer with weights by its own names for them; on their device and of their type.</summary>
    private static TLayer Fill<TLayer>(TLayer layer, IReadOnlyDictionary<string, Tensor> weights)
        where TLayer : nn.Module
    {
        Tensor first = weights.Values.First();
        layer.to(first.dtype).to(first.device);
        foreach ((string name, Parameter parameter) in layer.named_parameters())
            parameter.copy_(weights[name]);
        return layer;
    }
}
