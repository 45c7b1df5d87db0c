using BayesNet.Maps;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Layers.Conversion;

public static partial class LayerConversions
{
    private static void Normalizations()
    {
        Norm<LayerNorm>(
            (layer, made) => nn.LayerNorm(layer.normalized_shape, layer.eps, made.Affine, made.Bias, made.Device, made.Type),
            (layer, _) => ScaleMap.OverEntries(layer.normalized_shape));
        Norm<GroupNorm>(
            (layer, made) => nn.GroupNorm(layer.num_groups, made.Channels, layer.eps, made.Affine, made.Device, made.Type), (_, channels) => ScaleMap.OverChannels(channels));
        Norm((BatchNorm1d layer, Made made) => nn.BatchNorm1d(made.Channels, layer.eps, 0.1, made.Affine, layer.track_running_stats, made.Device, made.Type), null, false);
        Norm((BatchNorm2d layer, Made made) => nn.BatchNorm2d(made.Channels, layer.eps, 0.1, made.Affine, layer.track_running_stats, made.Device, made.Type), 2, false);
        Norm((BatchNorm3d layer, Made made) => nn.BatchNorm3d(made.Channels, layer.eps, 0.1, made.Affine, layer.track_running_stats, made.Device, made.Type), 3, false);
        Norm((InstanceNorm1d layer, Made made) => nn.InstanceNorm1d(made.Channels, layer.eps, 0.1, made.Affine, layer.track_running_stats, made.Device, made.Type), 1, true);
        Norm((InstanceNorm2d layer, Made made) => nn.InstanceNorm2d(made.Channels, layer.eps, 0.1, made.Affine, layer.track_running_stats, made.Device, made.Type), 2, true);
        Norm((InstanceNorm3d layer, Made made) => nn.InstanceNorm3d(made.Channels, layer.eps, 0.1, made.Affine, layer.track_running_stats, made.Device, made.Type), 3, true);
    }

    /// <summary>An entry of a normalisation over channels, whose momentum and running statistics, where it has them, are taken over.</summary>
    private static void Norm<TLayer>(Func<TLayer, Made, TLayer> like, int? positions, bool allowsNoBatch)
        where TLayer : NormBase
        => Norm<TLayer>(
            (layer, made) =>
            {
                TLayer copy = like(layer, made);
                copy.momentum = layer.momentum;
                Dictionary<string, Tensor> statistics = layer.named_buffers().ToDictionary(entry => entry.name, entry => entry.buffer);
                foreach ((string name, Tensor buffer) in copy.named_buffers())
                    buffer.copy_(statistics[name]);
                return copy;
            },
            (_, channels) => ScaleMap.OverChannels(channels, positions, allowsNoBatch));

    /// <summary>An entry of a normalisation layer.</summary>
    /// <param name="like">Makes a layer like one, with or without scale and shift.</param>
    /// <param name="map">Which entries have a scale of their own.</param>
    private static void Norm<TLayer>(Func<TLayer, Made, TLayer> like, Func<TLayer, long, ScaleMap> map)
        where TLayer : nn.Module<Tensor, Tensor>
        => OfNormalizations.Add(typeof(TLayer), new LayerConversion<TLayer, BayesNormalization>(
            (layer, _) => Affine(layer, "weight") is not { } scale
                ? Preparation<BayesNormalization>.No("it has no scale and shift")
                : Preparation<BayesNormalization>.By(options => new BayesNormalization(
                    like(layer, Made.Like(scale, false, false)), map(layer, scale.numel()), () => (scale, Affine(layer, "bias")), options)),
            (twin, weight) =>
            {
                Tensor scale = weight(twin.WeightPosterior);
                TLayer layer = like((TLayer)twin.Normalization, Made.Like(scale, true, twin.BiasPosterior is not null));
                Affine(layer, "weight")!.copy_(scale);
                if (twin.BiasPosterior is not null)
                    Affine(layer, "bias")!.copy_(weight(twin.BiasPosterior));
                return layer;
            }));

    private static Parameter? Affine(nn.Module layer, string name) => layer.named_parameters().FirstOrDefault(entry => entry.name == name).parameter;

    /// <summary>What a normalisation layer is made with, beside what it has of another.</summary>
    private readonly record struct Made(long Channels, bool Affine, bool Bias, Device Device, ScalarType? Type)
    {
        // A type that is given becomes that of the count of batches too.
        internal static Made Like(Tensor scale, bool affine, bool bias)
            => new(scale.numel(), affine, bias, scale.device, scale.dtype == get_default_dtype() ? null : scale.dtype);
    }
}
