using BayesNet.Kernels;
using BayesNet.Maps;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Layers.Conversion;

public static partial class LayerConversions
{
    /// <summary>
    /// A rank-1 layer has no twin of its own among TorchSharp's: it becomes the layer around its weight, W o r s'. The mean is that of mean-only passes: the
    /// factors' means, with several components their mean over these. A draw is of one component, chosen at random.
    /// </summary>
    private static LayerConversion<nn.Module<Tensor, Tensor>, BayesRank1> OfRank1 { get; } = new(
        (layer, _) => Preparation<BayesRank1>.No($"{layer.GetName()} has no factors"),
        (twin, weight) =>
        {
            Dictionary<string, Tensor> weights = new() { ["weight"] = twin.Weight.mul(OuterProduct(twin.Map.Inner, weight(twin.Factors))) };
            if (twin.Bias is not null)
                weights["bias"] = twin.Bias;
            return Fill(Plain(twin.Map.Inner, twin.Bias is not null), weights);
        },
        twin => WhyNotPlain(twin.Map.Inner));

    private static void Convolutions()
    {
        static ConvolutionMap Map(Convolution layer)
            => new(
                layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding, layer.padding_type == Padding.Same, layer.dilation, layer.groups,
                layer.padding_mode);

        Add<Conv1d, BayesConv1d>((layer, options) => new BayesConv1d(Map(layer), layer.weight, layer.bias, options));
        Add<Conv2d, BayesConv2d>((layer, options) => new BayesConv2d(Map(layer), layer.weight, layer.bias, options));
        Add<Conv3d, BayesConv3d>((layer, options) => new BayesConv3d(Map(layer), layer.weight, layer.bias, options));
    }

    private static void TransposedConvolutions()
    {
        static TransposedConvolutionMap Map(Convolution layer)
            => new(layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding, layer.output_padding, layer.dilation, layer.groups);

        Add<ConvTranspose1d, BayesConvTranspose1d>((layer, options) => new BayesConvTranspose1d(Map(layer), layer.weight, layer.bias, options));
        Add<ConvTranspose2d, BayesConvTranspose2d>((layer, options) => new BayesConvTranspose2d(Map(layer), layer.weight, layer.bias, options));
        Add<ConvTranspose3d, BayesConvTranspose3d>((layer, options) => new BayesConvTranspose3d(Map(layer), layer.weight, layer.bias, options));
    }

    private static void Add<TLayer, TTwin>(Func<TLayer, BayesOptions, TTwin> toBayesian)
        where TLayer : Convolution
        where TTwin : BayesianLayer
        => Register(new LayerConversion<TLayer, TTwin>(
            (layer, _) => Preparation<TTwin>.By(options => toBayesian(layer, options)),
            (twin, weight) => Fill((TLayer)Plain(twin.Map, twin.BiasPosterior is not null), twin, weight),
            twin => WhyNotPlain(twin.Map)));

    /// <summary>The TorchSharp layer of a map.</summary>
    private static nn.Module<Tensor, Tensor> Plain(AffineMap map, bool bias) => map switch
    {
        ConvolutionMap { SamePadding: true } same => Same(same, bias),
        ConvolutionMap convolution => Padded(convolution, bias),
        TransposedConvolutionMap transposed => Transposed(transposed, bias),
        _ => nn.Linear(map.InputChannels, map.OutputChannels, bias),
    };

    private static nn.Module<Tensor, Tensor> Same(ConvolutionMap map, bool bias)
    {
        (long inputs, long outputs, long[] kernel, ConvolutionGeometry g) = (map.InputChannels, map.OutputChannels, map.KernelSize, map.Geometry);
        return kernel.Length switch
        {
            1 => nn.Conv1d(inputs, outputs, kernel[0], Padding.Same, 1, g.Dilation[0], map.PaddingMode, g.Groups, bias),
            2 => nn.Conv2d(inputs, outputs, Pair(kernel), Padding.Same, (1, 1), Pair(g.Dilation), map.PaddingMode, g.Groups, bias),
            _ => nn.Conv3d(inputs, outputs, Triple(kernel), Padding.Same, (1, 1, 1), Triple(g.Dilation), map.PaddingMode, g.Groups, bias),
        };
    }

    private static nn.Module<Tensor, Tensor> Padded(ConvolutionMap map, bool bias)
    {
        (long inputs, long outputs, long[] kernel, ConvolutionGeometry g) = (map.InputChannels, map.OutputChannels, map.KernelSize, map.Geometry);
        long[] padding = [.. map.Padding];
        return kernel.Length switch
        {
            1 => nn.Conv1d(inputs, outputs, kernel[0], g.Stride[0], padding[0], g.Dilation[0], map.PaddingMode, g.Groups, bias),
            2 => nn.Conv2d(inputs, outputs, Pair(kernel), Pair(g.Stride), Pair(padding), Pair(g.Dilation), map.PaddingMode, g.Groups, bias),
            _ => nn.Conv3d(inputs, outputs, Triple(kernel), Triple(g.Stride), Triple(padding), Triple(g.Dilation), map.PaddingMode, g.Groups, bias),
        };
    }

    private static nn.Module<Tensor, Tensor> Transposed(TransposedConvolutionMap map, bool bias)
    {
        (long inputs, long outputs, long[] kernel, ConvolutionGeometry g) = (map.InputChannels, map.OutputChannels, map.KernelSize, map.Geometry);
        return kernel.Length switch
        {
            1 => nn.ConvTranspose1d(inputs, outputs, kernel[0], g.Stride[0], g.Padding[0], g.OutputPadding[0], g.Dilation[0], groups: g.Groups, bias: bias),
            2 => nn.ConvTranspose2d(inputs, outputs, Pair(kernel), Pair(g.Stride), Pair(g.Padding), Pair(g.OutputPadding), Pair(g.Dilation), groups: g.Groups, bias: bias),
            _ => nn.ConvTranspose3d(
                inputs, outputs, Triple(kernel), Triple(g.Stride), Triple(g.Padding), Triple(g.OutputPadding), Triple(g.Dilation), groups: g.Groups, bias: bias),
        };
    }

    private static string? WhyNotPlain(AffineMap map)
        => map is TransposedConvolutionMap { Geometry.OutputPadding: { } padding } && padding.Distinct().Count() > 1
            ? "TorchSharp 0.107 applies the first entry of an output padding to every dimension, and this layer's differ; keep it and use Estimator.MeanOnly."
            : null;

    /// <summary>s of the input channels times r of the output channels, as (rows, columns) of a map's weight.</summary>
    private static Tensor OuterProduct(AffineMap map, Tensor factors)
    {
        Tensor ofInputs = factors.narrow(0, 0, map.InputChannels), ofOutputs = factors.narrow(0, map.InputChannels, map.OutputChannels);
        (Tensor rows, Tensor columns) = map is TransposedConvolutionMap ? (ofInputs, ofOutputs) : (ofOutputs, ofInputs);
        long groups = map is SpatialMap spatial ? spatial.Geometry.Groups : 1;
        Tensor product = rows.unsqueeze(1).mul(columns.reshape(groups, -1).repeat_interleave(rows.numel() / groups, 0));
        return product.reshape([.. product.shape, .. Enumerable.Repeat(1L, map.WeightShape.Length - 2)]).expand(map.WeightShape.ToArray());
    }

    private static (long, long) Pair(long[] sizes) => (sizes[0], sizes[1]);

    private static (long, long, long) Triple(long[] sizes) => (sizes[0], sizes[1], sizes[2]);
}
