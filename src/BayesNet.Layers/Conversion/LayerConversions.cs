using System.Collections.Concurrent;
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
            (twin, weight) => With(twin, weight, (hasBias, device, type) => nn.Linear(twin.Map.InputChannels, twin.Map.OutputChannels, hasBias, device, type), Parts)));
        Register(new LayerConversion<Conv1d, BayesConv1d>(
            (layer, options) => new BayesConv1d(MapOf(layer), layer.weight, layer.bias, options),
            (twin, weight) => With(twin, weight, (hasBias, device, type) => Conv1d((ConvolutionMap)twin.Map, hasBias, device, type), Parts)));
        Register(new LayerConversion<Conv2d, BayesConv2d>(
            (layer, options) => new BayesConv2d(MapOf(layer), layer.weight, layer.bias, options),
            (twin, weight) => With(twin, weight, (hasBias, device, type) => Conv2d((ConvolutionMap)twin.Map, hasBias, device, type), Parts)));
        Register(new LayerConversion<Conv3d, BayesConv3d>(
            (layer, options) => new BayesConv3d(MapOf(layer), layer.weight, layer.bias, options),
            (twin, weight) => With(twin, weight, (hasBias, device, type) => Conv3d((ConvolutionMap)twin.Map, hasBias, device, type), Parts)));
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

    /// <summary>A deterministic layer with the weights of an affine twin.</summary>
    private static TLayer With<TLayer>(
        BayesianLayer twin, Func<Posterior, Tensor> weight, Func<bool, Device, ScalarType, TLayer> create, Func<TLayer, (Tensor Weight, Tensor? Bias)> parts)
        where TLayer : nn.Module
    {
        Tensor mean = weight(twin.WeightPosterior);
        TLayer layer = create(twin.BiasPosterior is not null, mean.device, mean.dtype);
        (Tensor own, Tensor? bias) = parts(layer);
        own.copy_(mean);
        bias?.copy_(weight(twin.BiasPosterior!));
        return layer;
    }

    private static (Tensor Weight, Tensor? Bias) Parts(Linear layer) => (layer.weight, layer.bias);

    private static (Tensor Weight, Tensor? Bias) Parts(Convolution layer) => (layer.weight, layer.bias);

    private static ConvolutionMap MapOf(Convolution layer)
        => new(
            layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding, layer.padding_type == Padding.Same, layer.dilation, layer.groups,
            layer.padding_mode);

    private static Conv1d Conv1d(ConvolutionMap map, bool hasBias, Device device, ScalarType type)
        => map.SamePadding
            ? nn.Conv1d(map.InputChannels, map.OutputChannels, map.KernelSize[0], Padding.Same, map.Stride[0], map.Dilation[0], map.PaddingMode, map.Groups, hasBias, device, type)
            : nn.Conv1d(
                map.InputChannels, map.OutputChannels, map.KernelSize[0], map.Stride[0], map.Padding[0], map.Dilation[0], map.PaddingMode, map.Groups, hasBias, device, type);

    private static Conv2d Conv2d(ConvolutionMap map, bool hasBias, Device device, ScalarType type)
        => map.SamePadding
            ? nn.Conv2d(
                map.InputChannels, map.OutputChannels, Pair(map.KernelSize), Padding.Same, Pair(map.Stride), Pair(map.Dilation), map.PaddingMode, map.Groups, hasBias, device, type)
            : nn.Conv2d(
                map.InputChannels, map.OutputChannels, Pair(map.KernelSize), Pair(map.Stride), Pair(map.Padding), Pair(map.Dilation), map.PaddingMode, map.Groups, hasBias,
                device, type);

    private static Conv3d Conv3d(ConvolutionMap map, bool hasBias, Device device, ScalarType type)
        => map.SamePadding
            ? nn.Conv3d(
                map.InputChannels, map.OutputChannels, Triple(map.KernelSize), Padding.Same, Triple(map.Stride), Triple(map.Dilation), map.PaddingMode, map.Groups, hasBias,
                device, type)
            : nn.Conv3d(
                map.InputChannels, map.OutputChannels, Triple(map.KernelSize), Triple(map.Stride), Triple(map.Padding), Triple(map.Dilation), map.PaddingMode, map.Groups,
                hasBias, device, type);

    private static (long, long) Pair(IReadOnlyList<long> sizes) => (sizes[0], sizes[1]);

    private static (long, long, long) Triple(IReadOnlyList<long> sizes) => (sizes[0], sizes[1], sizes[2]);
}
