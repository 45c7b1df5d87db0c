using System.Collections.Concurrent;
using System.Reflection;
using BayesNet.Kernels;
using BayesNet.Maps;
using BayesNet.Posteriors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Layers.Conversion;

/// <summary>The table of layers and their Bayesian twins, which conversions go by in both directions.</summary>
public static class LayerConversions
{
    private static readonly ConcurrentDictionary<Type, LayerConversion> ByDeterministic = new(), ByBayesian = new();

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

        // TorchSharp does not tell a table's padding row: it becomes a row like the others, which starts at zero.
        Register(new LayerConversion<Embedding, BayesEmbedding>(
            (layer, options) => new BayesEmbedding(layer.weight!, null, options),
            (twin, weight) =>
            {
                using Tensor table = twin.WithPadding(weight(twin.WeightPosterior));
                return nn.Embedding_from_pretrained(table, freeze: false, padding_idx: twin.PaddingIndex);
            }));
        Register(new LayerConversion<LSTM, BayesLSTM>(
            (layer, options) => new BayesLSTM(layer, BatchFirst(layer), 0, options),
            (twin, weight) => Fill(nn.LSTM(twin.InputSize, twin.HiddenSize, twin.NumLayers, HasBias(twin), twin.BatchFirst, 0, twin.Bidirectional), twin, weight),
            WhyNotRecurrent));
        Register(new LayerConversion<GRU, BayesGRU>(
            (layer, options) => new BayesGRU(layer, BatchFirst(layer), 0, options),
            (twin, weight) => Fill(nn.GRU(twin.InputSize, twin.HiddenSize, twin.NumLayers, HasBias(twin), twin.BatchFirst, 0, twin.Bidirectional), twin, weight),
            WhyNotRecurrent));
    }

    /// <summary>The entries, in no particular order.</summary>
    public static IReadOnlyCollection<LayerConversion> All => [.. ByDeterministic.Values];

    /// <summary>Adds an entry, for a layer of one's own.</summary>
    /// <exception cref="ArgumentException">One of the classes has an entry already.</exception>
    public static void Register(LayerConversion conversion)
    {
        ArgumentNullException.ThrowIfNull(conversion);
        if (ByBayesian.ContainsKey(conversion.Bayesian) || !ByDeterministic.TryAdd(conversion.Deterministic, conversion))
            throw new ArgumentException($"{conversion.Deterministic.Name} or {conversion.Bayesian.Name} has a twin already; a class has one.", nameof(conversion));
        ByBayesian[conversion.Bayesian] = conversion;
    }

    internal static LayerConversion? OfDeterministic(nn.Module layer) => ByDeterministic.GetValueOrDefault(layer.GetType());

    internal static LayerConversion? OfBayesian(nn.Module twin) => ByBayesian.GetValueOrDefault(twin.GetType());

    /// <summary>Why a module without an entry is kept, as the end of a sentence.</summary>
    internal static string WhyNoTwin(nn.Module module) => module switch
    {
        MultiheadAttention or TransformerEncoderLayer or TransformerDecoderLayer
            => $"TorchSharp does not tell the number of its heads; put new Bayes{module.GetType().Name}(layer, heads) in its place",
        EmbeddingBag => "TorchSharp does not tell its mode; put new BayesEmbeddingBag(layer.weight, mode) in its place",
        _ => $"{ModuleSlot.Format(module.GetType())} has no Bayesian twin",
    };

    private static void Convolutions()
    {
        static ConvolutionMap Map(Convolution layer)
            => new(
                layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding, layer.padding_type == Padding.Same, layer.dilation, layer.groups,
                layer.padding_mode);

        Register(new LayerConversion<Conv1d, BayesConv1d>((layer, options) => new BayesConv1d(Map(layer), layer.weight, layer.bias, options), (twin, weight) =>
        {
            (ConvolutionMap map, bool bias) = ((ConvolutionMap)twin.Map, twin.BiasPosterior is not null);
            ConvolutionGeometry g = map.Geometry;
            return Fill(
                map.SamePadding
                    ? nn.Conv1d(map.InputChannels, map.OutputChannels, map.KernelSize[0], Padding.Same, 1, g.Dilation[0], map.PaddingMode, g.Groups, bias)
                    : nn.Conv1d(map.InputChannels, map.OutputChannels, map.KernelSize[0], g.Stride[0], map.Padding[0], g.Dilation[0], map.PaddingMode, g.Groups, bias),
                twin, weight);
        }));
        Register(new LayerConversion<Conv2d, BayesConv2d>((layer, options) => new BayesConv2d(Map(layer), layer.weight, layer.bias, options), (twin, weight) =>
        {
            (ConvolutionMap map, bool bias) = ((ConvolutionMap)twin.Map, twin.BiasPosterior is not null);
            ConvolutionGeometry g = map.Geometry;
            return Fill(
                map.SamePadding
                    ? nn.Conv2d(map.InputChannels, map.OutputChannels, Pair(map.KernelSize), Padding.Same, (1, 1), Pair(g.Dilation), map.PaddingMode, g.Groups, bias)
                    : nn.Conv2d(
                        map.InputChannels, map.OutputChannels, Pair(map.KernelSize), Pair(g.Stride), Pair([.. map.Padding]), Pair(g.Dilation), map.PaddingMode, g.Groups, bias),
                twin, weight);
        }));
        Register(new LayerConversion<Conv3d, BayesConv3d>((layer, options) => new BayesConv3d(Map(layer), layer.weight, layer.bias, options), (twin, weight) =>
        {
            (ConvolutionMap map, bool bias) = ((ConvolutionMap)twin.Map, twin.BiasPosterior is not null);
            ConvolutionGeometry g = map.Geometry;
            return Fill(
                map.SamePadding
                    ? nn.Conv3d(map.InputChannels, map.OutputChannels, Triple(map.KernelSize), Padding.Same, (1, 1, 1), Triple(g.Dilation), map.PaddingMode, g.Groups, bias)
                    : nn.Conv3d(
                        map.InputChannels, map.OutputChannels, Triple(map.KernelSize), Triple(g.Stride), Triple([.. map.Padding]), Triple(g.Dilation), map.PaddingMode,
                        g.Groups, bias),
                twin, weight);
        }));
    }

    private static void TransposedConvolutions()
    {
        static TransposedConvolutionMap Map(Convolution layer)
            => new(layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding, layer.output_padding, layer.dilation, layer.groups);

        Register(new LayerConversion<ConvTranspose1d, BayesConvTranspose1d>((layer, options) => new BayesConvTranspose1d(Map(layer), layer.weight, layer.bias, options), (twin, weight) =>
        {
            (var map, bool bias) = ((TransposedConvolutionMap)twin.Map, twin.BiasPosterior is not null);
            ConvolutionGeometry g = map.Geometry;
            return Fill(
                nn.ConvTranspose1d(
                    map.InputChannels, map.OutputChannels, map.KernelSize[0], g.Stride[0], g.Padding[0], g.OutputPadding[0], g.Dilation[0], groups: g.Groups, bias: bias),
                twin, weight);
        }));
        Register(new LayerConversion<ConvTranspose2d, BayesConvTranspose2d>((layer, options) => new BayesConvTranspose2d(Map(layer), layer.weight, layer.bias, options), (twin, weight) =>
        {
            (var map, bool bias) = ((TransposedConvolutionMap)twin.Map, twin.BiasPosterior is not null);
            ConvolutionGeometry g = map.Geometry;
            return Fill(
                nn.ConvTranspose2d(
                    map.InputChannels, map.OutputChannels, Pair(map.KernelSize), Pair(g.Stride), Pair(g.Padding), Pair(g.OutputPadding), Pair(g.Dilation), groups: g.Groups,
                    bias: bias),
                twin, weight);
        }));
        Register(new LayerConversion<ConvTranspose3d, BayesConvTranspose3d>((layer, options) => new BayesConvTranspose3d(Map(layer), layer.weight, layer.bias, options), (twin, weight) =>
        {
            (var map, bool bias) = ((TransposedConvolutionMap)twin.Map, twin.BiasPosterior is not null);
            ConvolutionGeometry g = map.Geometry;
            return Fill(
                nn.ConvTranspose3d(
                    map.InputChannels, map.OutputChannels, Triple(map.KernelSize), Triple(g.Stride), Triple(g.Padding), Triple(g.OutputPadding), Triple(g.Dilation),
                    groups: g.Groups, bias: bias),
                twin, weight);
        }));
    }

    /// <summary>A layer with the weights of a twin, whose posteriors have the names of the layer's parameters; on their device and of their type.</summary>
    private static TLayer Fill<TLayer>(TLayer layer, nn.Module twin, Func<Posterior, Tensor> weight)
        where TLayer : nn.Module
    {
        Dictionary<string, Tensor> weights = twin.named_children().Where(child => child.module is Posterior).ToDictionary(child => child.name, child => weight((Posterior)child.module));
        Tensor first = weights.Values.First();
        layer.to(first.dtype).to(first.device);
        foreach ((string name, Parameter parameter) in layer.named_parameters())
            parameter.copy_(weights[name]);
        return layer;
    }

    private static string? WhyNotRecurrent(nn.Module layer)
        => layer.named_parameters().Any(entry => entry.name == "weight_ih_l1")
            ? $"it has several layers, and TorchSharp does not tell their dropout; put new Bayes{layer.GetType().Name}(layer, batchFirst, dropout) in its place"
            : null;

    // The one setting of a recurrent layer that neither its parameters nor a property tells.
    private static bool BatchFirst(nn.Module layer) => (bool)layer.GetType().GetField("_batch_first", BindingFlags.Instance | BindingFlags.NonPublic)!.GetValue(layer)!;

    private static bool HasBias(nn.Module twin) => twin.named_children().Any(child => child.name == "bias_ih_l0");

    private static (long, long) Pair(long[] sizes) => (sizes[0], sizes[1]);

    private static (long, long, long) Triple(long[] sizes) => (sizes[0], sizes[1], sizes[2]);
}
