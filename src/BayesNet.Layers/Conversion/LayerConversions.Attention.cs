using BayesNet.Posteriors;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Layers.Conversion;

public static partial class LayerConversions
{
    private static void AttentionLayers()
    {
        Register(new LayerConversion<MultiheadAttention, BayesMultiheadAttention>(
            PrepareAttention,
            (twin, weight) =>
            {
                (BayesLinear query, BayesLinear key, BayesLinear value, _) = twin.Projections;
                return Fill(
                    nn.MultiheadAttention(
                        query.Map.OutputChannels, twin.NumHeads, twin.Dropout, query.BiasPosterior is not null, twin.HasBiasKeyValue, twin.AddsZeroAttention,
                        key.Map.InputChannels, value.Map.InputChannels),
                    Parts(twin, "", weight));
            },
            twin => WhyNotBatchFirst(twin, twin.BatchFirst)));
        Register(new LayerConversion<TransformerEncoderLayer, BayesTransformerEncoderLayer>(
            (layer, hints) => PrepareEncoder<BayesTransformerEncoderLayer>(
                layer, hints, [""], layer.forward,
                (settings, dropout, options) => new BayesTransformerEncoderLayer(layer, settings.Heads, dropout, settings.Activation, options: options)),
            (twin, weight) => Fill(EncoderLike(twin), Parts(twin, "", weight)),
            twin => WhyNotBatchFirst(twin, twin.BatchFirst)));
        Register(new LayerConversion<TransformerDecoderLayer, BayesTransformerDecoderLayer>(
            (layer, hints) => PrepareDecoder<BayesTransformerDecoderLayer>(
                layer, hints, [""], (target, memory) => layer.forward(target, memory, null!, null!, null!, null!),
                (settings, dropout, options) => new BayesTransformerDecoderLayer(layer, settings.Heads, dropout, settings.Activation, options: options)),
            (twin, weight) => Fill(DecoderLike(twin), Parts(twin, "", weight)),
            twin => WhyNotBatchFirst(twin, twin.BatchFirst)));
        Register(new LayerConversion<TransformerEncoder, BayesTransformerEncoder>(
            (stack, hints) => PrepareEncoder<BayesTransformerEncoder>(
                stack, hints, [.. TransformerParts.Prefixes(stack)], x => stack.forward(x, null!, null!),
                (settings, dropout, options) => new BayesTransformerEncoder(stack, settings.Heads, dropout, settings.Activation, options: options)),
            (twin, weight) =>
            {
                using TransformerEncoderLayer layer = EncoderLike(twin.Layers[0]);
                return Fill(nn.TransformerEncoder(layer, twin.Layers.Count), Parts(twin, "", weight));
            },
            twin => WhyNotBatchFirst(twin, twin.Layers[0].BatchFirst)));
        Register(new LayerConversion<TransformerDecoder, BayesTransformerDecoder>(
            (stack, hints) => PrepareDecoder<BayesTransformerDecoder>(
                stack, hints, [.. TransformerParts.Prefixes(stack)], (target, memory) => stack.forward(target, memory, null!, null!, null!, null!),
                (settings, dropout, options) => new BayesTransformerDecoder(stack, settings.Heads, dropout, settings.Activation, options: options)),
            (twin, weight) =>
            {
                using TransformerDecoderLayer layer = DecoderLike(twin.Layers[0]);
                return Fill(nn.TransformerDecoder(layer, twin.Layers.Count), Parts(twin, "", weight));
            },
            twin => WhyNotBatchFirst(twin, twin.Layers[0].BatchFirst)));
    }

    private static Preparation<BayesMultiheadAttention> PrepareAttention(MultiheadAttention layer, LayerHints hints)
    {
        AttentionWeights weights = AttentionWeights.Of(layer, "")();
        var probe = new AttentionProbe(layer);
        Tensor query = LayerProbe.Input(layer, 3, 2, weights.Query.Weight.size(1)), key = LayerProbe.Input(layer, 3, 2, weights.Key.Weight.size(1)),
            value = LayerProbe.Input(layer, 3, 2, weights.Value.Weight.size(1));
        return Prepare(
            layer, hints, AttentionSettings.Candidates(hints, weights.Output.Weight.size(0), mayAddZero: true, hasActivation: false),
            factor => layer.forward(query.mul(factor), key.mul(factor), value, null!, false, null!).Item1,
            (settings, dropout, factor) => probe.Attend("", query.mul(factor), key.mul(factor), value, settings, dropout),
            (settings, dropout, options) => new BayesMultiheadAttention(layer, settings.Heads, dropout, settings.AddsZero, options: options));
    }

    private static Preparation<TTwin> PrepareEncoder<TTwin>(
        nn.Module layer, LayerHints hints, string[] prefixes, Func<Tensor, Tensor> forward, Func<AttentionSettings, double, BayesOptions, TTwin> make)
    {
        var probe = new AttentionProbe(layer);
        long features = AttentionWeights.Of(layer, prefixes[0] + "self_attn.")().Output.Weight.size(0);
        Tensor x = LayerProbe.Input(layer, 3, 2, features);
        return Prepare(
            layer, hints, AttentionSettings.Candidates(hints, features, mayAddZero: false, hasActivation: true), factor => forward(x.mul(factor)),
            (settings, dropout, factor) => prefixes.Aggregate(x.mul(factor), (input, prefix) => probe.Encode(prefix, input, settings, dropout)), make);
    }

    private static Preparation<TTwin> PrepareDecoder<TTwin>(
        nn.Module layer, LayerHints hints, string[] prefixes, Func<Tensor, Tensor, Tensor> forward, Func<AttentionSettings, double, BayesOptions, TTwin> make)
    {
        var probe = new AttentionProbe(layer);
        long features = AttentionWeights.Of(layer, prefixes[0] + "self_attn.")().Output.Weight.size(0);
        Tensor x = LayerProbe.Input(layer, 3, 2, features), memory = LayerProbe.Input(layer, 4, 2, features);
        return Prepare(
            layer, hints, AttentionSettings.Candidates(hints, features, mayAddZero: false, hasActivation: true), factor => forward(x.mul(factor), memory.mul(factor)),
            (settings, dropout, factor) => prefixes.Aggregate(x.mul(factor), (input, prefix) => probe.Decode(prefix, input, memory.mul(factor), settings, dropout)), make);
    }

    private static Preparation<TTwin> Prepare<TTwin>(
        nn.Module layer, LayerHints hints, AttentionSettings[] candidates, Func<double, Tensor> run, Func<AttentionSettings, double, double, Tensor> emulate,
        Func<AttentionSettings, double, BayesOptions, TTwin> make)
    {
        AttentionSettings? found = candidates.Length == 1 ? candidates[0] : LayerProbe.Only(layer, candidates, run, (settings, factor) => emulate(settings, 0, factor));
        if (found is not { } known)
            return Preparation<TTwin>.Untold("its number of heads, or its activation", "Heads and Activation");
        return (hints.Dropout ?? LayerProbe.Dropout(layer, () => run(1), share => emulate(known, share, 1))) is { } dropout
            ? Preparation<TTwin>.By(options => make(known, dropout, options))
            : Preparation<TTwin>.Untold("its dropout", nameof(LayerHints.Dropout));
    }

    private static TransformerEncoderLayer EncoderLike(BayesTransformerEncoderLayer twin)
        => nn.TransformerEncoderLayer(twin.FeedForward.In.Map.InputChannels, twin.Heads, twin.FeedForward.In.Map.OutputChannels, twin.Dropout, twin.Activation);

    private static TransformerDecoderLayer DecoderLike(BayesTransformerDecoderLayer twin)
        => nn.TransformerDecoderLayer(twin.FeedForward.In.Map.InputChannels, twin.Heads, twin.FeedForward.In.Map.OutputChannels, twin.Dropout, twin.Activation);

    private static string? WhyNotBatchFirst(nn.Module twin, bool batchFirst)
        => batchFirst
            ? $"{ModuleSlot.Format(twin.GetType())} takes the batch first, and TorchSharp's layer the positions; make it with batchFirst: false and transpose around it."
            : null;

    /// <summary>The weights of a twin and its parts by the names that TorchSharp's layer has for them.</summary>
    private static Dictionary<string, Tensor> Parts(nn.Module twin, string prefix, Func<Posterior, Tensor> weight)
    {
        var weights = new Dictionary<string, Tensor>();
        if (twin is BayesMultiheadAttention attention)
        {
            (BayesLinear query, BayesLinear key, BayesLinear value, BayesLinear output) = attention.Projections;
            BayesLinear[] projections = [query, key, value];
            Tensor[] matrices = [.. projections.Select(part => weight(part.WeightPosterior))];
            if (projections.All(part => part.Map.InputChannels == part.Map.OutputChannels))
                weights.Add(prefix + "in_proj_weight", cat(matrices));
            else
                (weights[prefix + "q_proj_weight"], weights[prefix + "k_proj_weight"], weights[prefix + "v_proj_weight"]) = (matrices[0], matrices[1], matrices[2]);
            if (query.BiasPosterior is not null)
                weights.Add(prefix + "in_proj_bias", cat([.. projections.Select(part => weight(part.BiasPosterior!))]));
            Linear(prefix + "out_proj", output);
        }

        foreach ((string name, Parameter parameter) in twin.named_parameters(recurse: false))
            weights.Add(prefix + name, parameter);
        foreach ((string name, nn.Module part) in twin is BayesMultiheadAttention ? [] : twin.named_children())
        {
            if (part is BayesLinear linear)
                Linear(prefix + name, linear);
            else
            {
                foreach ((string inner, Tensor tensor) in Parts(part, $"{prefix}{name}.", weight))
                    weights.Add(inner, tensor);
            }
        }

        return weights;

        void Linear(string name, BayesLinear linear)
        {
            weights.Add(name + ".weight", weight(linear.WeightPosterior));
            if (linear.BiasPosterior is not null)
                weights.Add(name + ".bias", weight(linear.BiasPosterior));
        }
    }
}
