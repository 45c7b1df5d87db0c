using System.Reflection;
using BayesNet.Kernels;
using BayesNet.Layers.Recurrent;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Layers.Conversion;

public static partial class LayerConversions
{
    private static void Tables()
    {
        Register(new LayerConversion<Embedding, BayesEmbedding>(
            (layer, hints) => Preparation<BayesEmbedding>.By(options => new BayesEmbedding(layer.weight!, hints.PaddingIndex, options)),
            (twin, weight) =>
            {
                using Tensor table = twin.WithPadding(weight(twin.WeightPosterior));
                return nn.Embedding_from_pretrained(table, freeze: false, padding_idx: twin.PaddingIndex);
            }));
        Register(new LayerConversion<EmbeddingBag, BayesEmbeddingBag>(
            (layer, hints) => BagProbe.Find(layer, hints) is not { } found
                ? Preparation<BayesEmbeddingBag>.Untold("what it makes of its rows, or its padding row", "Mode and PaddingIndex")
                : found.Mode == EmbeddingBagMode.Max
                    ? Preparation<BayesEmbeddingBag>.No("its mode is Max: the largest entry of random rows is no affine map of them")
                    : Preparation<BayesEmbeddingBag>.By(options => new BayesEmbeddingBag(layer.weight!, found.Mode, found.IncludesLastOffset, found.PaddingIndex, options)),
            (twin, weight) =>
            {
                using Tensor table = twin.WithPadding(weight(twin.WeightPosterior));
                return nn.EmbeddingBag_from_pretrained(
                    table, freeze: false, mode: twin.Mode, include_last_offset: twin.IncludesLastOffset, padding_index: twin.PaddingIndex ?? BagProbe.NoPadding);
            }));
    }

    private static void RecurrentLayers()
    {
        Register(new LayerConversion<LSTM, BayesLSTM>(
            (layer, hints) => Recurrent<BayesLSTM>(
                layer, hints, new LstmCell(), x => layer.forward(x, null).Item1, (dropout, options) => new BayesLSTM(layer, IsBatchFirst(layer), dropout, options)),
            (twin, weight) => Fill(nn.LSTM(twin.InputSize, twin.HiddenSize, twin.NumLayers, twin.HasBias, twin.BatchFirst, twin.Dropout, twin.Bidirectional), twin, weight)));
        Register(new LayerConversion<GRU, BayesGRU>(
            (layer, hints) => Recurrent<BayesGRU>(
                layer, hints, new GruCell(), x => layer.forward(x, null).Item1, (dropout, options) => new BayesGRU(layer, IsBatchFirst(layer), dropout, options)),
            (twin, weight) => Fill(nn.GRU(twin.InputSize, twin.HiddenSize, twin.NumLayers, twin.HasBias, twin.BatchFirst, twin.Dropout, twin.Bidirectional), twin, weight)));
        Register(new LayerConversion<RNN, BayesRNN>(
            (layer, hints) =>
            {
                Tensor x = LayerProbe.Input(layer, 3, 2, RecurrentGeometry.Of(layer, false, 0).InputSize);
                nn.NonLinearities? found = hints.NonLinearity ?? (!RecurrentOperator.IsAvailable ? null : LayerProbe.Only<nn.NonLinearities>(
                    layer, [nn.NonLinearities.Tanh, nn.NonLinearities.ReLU], factor => Run(layer, x.mul(factor), input => layer.forward(input, null).Item1),
                    (nonLinearity, factor) => Emulate(layer, new ElmanCell(nonLinearity == nn.NonLinearities.ReLU), x.mul(factor), 0)));
                return found is not { } known
                    ? Preparation<BayesRNN>.Untold("its nonlinearity", nameof(LayerHints.NonLinearity))
                    : Recurrent<BayesRNN>(
                        layer, hints, new ElmanCell(known == nn.NonLinearities.ReLU), input => layer.forward(input, null).Item1,
                        (dropout, options) => new BayesRNN(layer, known, IsBatchFirst(layer), dropout, options));
            },
            (twin, weight) => Fill(
                nn.RNN(twin.InputSize, twin.HiddenSize, twin.NumLayers, twin.NonLinearity, twin.HasBias, twin.BatchFirst, twin.Dropout, twin.Bidirectional), twin, weight)));
    }

    private static Preparation<TTwin> Recurrent<TTwin>(
        nn.Module layer, LayerHints hints, RecurrentCell cell, Func<Tensor, Tensor> forward, Func<double, BayesOptions, TTwin> make)
    {
        RecurrentGeometry geometry = RecurrentGeometry.Of(layer, false, 0);
        double? dropout = hints.Dropout;
        if (dropout is null && geometry.Layers == 1)
            dropout = 0;
        else if (dropout is null && RecurrentOperator.IsAvailable)
        {
            Tensor x = LayerProbe.Input(layer, 3, 2, geometry.InputSize);
            dropout = LayerProbe.Dropout(layer, () => Run(layer, x, forward), share => Emulate(layer, cell, x, share));
        }

        return dropout is { } known
            ? Preparation<TTwin>.By(options => make(known, options))
            : Preparation<TTwin>.Untold("its dropout", nameof(LayerHints.Dropout));
    }

    /// <summary>A layer's output for (batch, time, features).</summary>
    private static Tensor Run(nn.Module layer, Tensor x, Func<Tensor, Tensor> forward)
        => IsBatchFirst(layer) ? forward(x) : forward(x.transpose(0, 1)).transpose(0, 1);

    /// <summary>libtorch's network with a layer's weights.</summary>
    private static Tensor Emulate(nn.Module layer, RecurrentCell cell, Tensor x, double dropout)
    {
        RecurrentGeometry geometry = RecurrentGeometry.Of(layer, true, dropout);
        Tensor zero = zeros([geometry.Layers * geometry.Directions, x.size(0), geometry.HiddenSize], dtype: x.dtype, device: x.device);
        return RecurrentOperator.Run(
            cell.Operator, x, [.. Enumerable.Repeat(zero, cell.States)], [.. layer.parameters()], geometry.HasBias, geometry.Layers, dropout, geometry.IsBidirectional).Output;
    }

    // The one setting of a recurrent layer that neither its parameters nor a property tells.
    private static bool IsBatchFirst(nn.Module layer) => (bool)layer.GetType().GetField("_batch_first", BindingFlags.Instance | BindingFlags.NonPublic)!.GetValue(layer)!;
}
