using BayesNet.Estimators;
using BayesNet.Layers.Conversion;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Conversion;

/// <summary>What TorchSharp does not tell of a layer is found by what it computes, or said by a hint; and comes back with the layer.</summary>
public sealed class UntoldSettingsTests
{
    private const double Rounding = 1e-5;

    public static readonly TheoryData<string, long, double> Attentions = new()
    {
        { "plain", 2, 0 }, { "plain", 1, 0.1 }, { "without bias", 4, 0.3 }, { "other keys and values", 8, 0 }, { "learned key", 2, 0.5 }, { "zeros", 4, 0.25 },
        { "learned key and zeros", 2, 0.125 },
    };

    [Theory]
    [MemberData(nameof(Attentions))]
    public void HeadsZerosAndDropoutOfAttention(string variant, long heads, double dropout)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(5);
        bool isOther = variant == "other keys and values";
        ScalarType type = heads == 4 ? ScalarType.Float64 : ScalarType.Float32;
        MultiheadAttention layer = nn.MultiheadAttention(
            8, heads, dropout, variant != "without bias", variant.StartsWith("learned", StringComparison.Ordinal), variant.EndsWith("zeros", StringComparison.Ordinal),
            isOther ? 5 : null, isOther ? 5 : null);
        layer.to(type);
        Tensor state = random.get_rng_state();
        var twin = Assert.IsType<BayesMultiheadAttention>(((nn.Module)layer).ToBayesian());
        Assert.True(state.equal(random.get_rng_state()).all().item<bool>());
        Assert.True(layer.training && twin.training);
        Assert.Equal((heads, dropout, variant.EndsWith("zeros", StringComparison.Ordinal)), (twin.NumHeads, twin.Dropout, twin.AddsZeroAttention));

        var back = Assert.IsType<MultiheadAttention>(((nn.Module)twin).ToDeterministic());
        Assert.Equal(Entries(layer), Entries(back));
        Tensor q = randn(3, 2, 8, dtype: type), k = randn(4, 2, isOther ? 5 : 8, dtype: type), v = randn(4, 2, isOther ? 5 : 8, dtype: type);
        foreach (bool training in new[] { false, true })
        {
            // In training mode the same entries are dropped, in as many.
            layer.train(training);
            back.train(training);
            Tensor expected = Seeded(() => layer.call(q, k, v, need_weights: false).Item1);
            Assert.True(Seeded(() => back.call(q, k, v, need_weights: false).Item1).allclose(expected, Rounding, Rounding));
            twin.train(training);
            using (twin.WithEstimator(Estimator.MeanOnly))
                Assert.True(Seeded(() => twin.call(q, k, v, need_weights: false).Item1).allclose(expected, Rounding, Rounding));
        }
    }

    [Theory]
    [InlineData(2, 0.1, nn.Activations.ReLU, 1)]
    [InlineData(4, 0, nn.Activations.GELU, 3)]
    public void TransformersAndTheirStacks(long heads, double dropout, nn.Activations activation, long layers)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(6);
        TransformerEncoderLayer encoder = nn.TransformerEncoderLayer(8, heads, 16, dropout, activation);
        TransformerDecoderLayer decoder = nn.TransformerDecoderLayer(8, heads, 16, dropout, activation);
        Tensor x = randn(3, 2, 8), memory = randn(5, 2, 8), mask = randn(3, 3);
        encoder.eval();
        var twin = Assert.IsType<BayesTransformerEncoderLayer>(((nn.Module)encoder).ToBayesian());
        Assert.False(twin.training);
        Assert.Equal((heads, dropout, activation), (twin.Heads, twin.Dropout, twin.Activation));
        ThereAndBack(encoder, twin, module => ((nn.IModule<Tensor, Tensor, Tensor>)module).call(x, mask));
        var decoderTwin = Assert.IsType<BayesTransformerDecoderLayer>(((nn.Module)decoder).ToBayesian());
        Assert.Equal((heads, dropout, activation), (decoderTwin.Heads, decoderTwin.Dropout, decoderTwin.Activation));
        ThereAndBack(decoder, decoderTwin, module => ((nn.Module<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>)module).call(x, memory, mask, null!, null!, null!));

        TransformerEncoder encoders = nn.TransformerEncoder(encoder, layers);
        TransformerDecoder decoders = nn.TransformerDecoder(decoder, layers);
        var stack = Assert.IsType<BayesTransformerEncoder>(((nn.Module)encoders).ToBayesian());
        Assert.Equal((layers, dropout), (stack.Layers.Count, stack.Layers[0].Dropout));
        ThereAndBack(encoders, stack, module => ((nn.IModule<Tensor, Tensor, Tensor>)module).call(x, mask));
        ThereAndBack(
            decoders, ((nn.Module)decoders).ToBayesian(),
            module => ((nn.Module<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>)module).call(x, memory, mask, null!, null!, null!));
    }

    [Theory]
    [InlineData("LSTM", 2, true, 0.3)]
    [InlineData("LSTM", 3, false, 0)]
    [InlineData("GRU", 2, false, 0.2)]
    [InlineData("RNN Tanh", 1, false, 0)]
    [InlineData("RNN ReLU", 2, true, 0.1)]
    public void DropoutAndNonlinearityOfRecurrentLayers(string kind, int layers, bool bidirectional, double dropout)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(7);
        Tensor x = randn(4, 3, 5);
        nn.NonLinearities nonLinearity = kind == "RNN ReLU" ? nn.NonLinearities.ReLU : nn.NonLinearities.Tanh;
        nn.Module layer = kind switch
        {
            "LSTM" => nn.LSTM(5, 6, layers, batchFirst: layers == 2, dropout: dropout, bidirectional: bidirectional),
            "GRU" => nn.GRU(5, 6, layers, batchFirst: layers == 2, dropout: dropout, bidirectional: bidirectional),
            _ => nn.RNN(5, 6, layers, nonLinearity, batchFirst: layers == 2, dropout: dropout, bidirectional: bidirectional),
        };
        nn.Module twin = layer.ToBayesian();
        Assert.Equal(dropout, twin switch { BayesLSTM lstm => lstm.Dropout, BayesGRU gru => gru.Dropout, _ => Assert.IsType<BayesRNN>(twin).Dropout });
        if (twin is BayesRNN rnn)
            Assert.Equal(nonLinearity, rnn.NonLinearity);
        ThereAndBack(layer, twin, module => module switch
        {
            nn.Module<Tensor, (Tensor, Tensor)?, (Tensor, Tensor, Tensor)> lstm => lstm.call(x, null).Item1,
            nn.Module<Tensor, Tensor?, (Tensor, Tensor)> other => other.call(x, null).Item1,
            _ => throw new InvalidOperationException(),
        });
    }

    [Theory]
    [InlineData(EmbeddingBagMode.Sum, false, null)]
    [InlineData(EmbeddingBagMode.Sum, true, 3L)]
    [InlineData(EmbeddingBagMode.Mean, true, null)]
    [InlineData(EmbeddingBagMode.Mean, false, 2L)]
    public void ModeAndPaddingOfABag(EmbeddingBagMode mode, bool includesLast, long? padding)
    {
        using var scope = NewDisposeScope();
        Tensor table = randn(7, 3, dtype: ScalarType.Float64);
        EmbeddingBag layer = padding is { } row
            ? nn.EmbeddingBag_from_pretrained(table, freeze: false, mode: mode, include_last_offset: includesLast, padding_index: row)
            : nn.EmbeddingBag_from_pretrained(table, freeze: false, mode: mode, include_last_offset: includesLast);
        nn.Module converted = ((nn.Module)layer).ToBayesian(null, out ConversionReport report);
        Assert.True(converted is BayesEmbeddingBag, report.ToString());
        var twin = (BayesEmbeddingBag)converted;
        Assert.Equal((mode, includesLast, padding), (twin.Mode, twin.IncludesLastOffset, twin.PaddingIndex));
        Tensor input = tensor(new long[] { 0, 3, 2, 6, 2, 5 }), offsets = tensor(includesLast ? new long[] { 0, 2, 5, 6 } : [0, 2, 5]);
        ThereAndBack(layer, twin, module => module is BayesEmbeddingBag bag ? bag.call(input, offsets) : ((EmbeddingBag)module).call(input, offsets));
    }

    [Fact]
    public void AZeroPaddingRowOfAMeanIsFoundAndThatOfASumIsAHint()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        foreach (EmbeddingBagMode mode in new[] { EmbeddingBagMode.Mean, EmbeddingBagMode.Sum })
        {
            EmbeddingBag layer = nn.EmbeddingBag(5, 3, mode: mode, padding_index: 1);
            layer.weight![1].zero_();
            Assert.Equal(mode == EmbeddingBagMode.Mean ? 1L : null, Assert.IsType<BayesEmbeddingBag>(((nn.Module)layer).ToBayesian()).PaddingIndex);
            var hinted = (BayesEmbeddingBag)((nn.Module)layer).ToBayesian(new ConversionOptions { Hints = new LayerHints { PaddingIndex = 1 } });
            Assert.Equal((1L, mode), (hinted.PaddingIndex, hinted.Mode));
        }

        using var largest = nn.EmbeddingBag(5, 3, mode: EmbeddingBagMode.Max);
        Assert.Same(largest, ((nn.Module)largest).ToBayesian(null, out ConversionReport report));
        Assert.Contains("largest entry of random rows", Assert.Single(report.Kept).Reason, StringComparison.Ordinal);

        // Rows that max_norm scales when they are looked up stay as they are.
        EmbeddingBag scaled = nn.EmbeddingBag(5, 3, max_norm: 0.1);
        Tensor before = scaled.weight!.clone();
        ((nn.Module)scaled).ToBayesian(null, out report);
        Assert.Contains("LayerHints", Assert.Single(report.Kept).Reason, StringComparison.Ordinal);
        Assert.True(scaled.weight!.equal(before).all().item<bool>());

        Embedding words = nn.Embedding(6, 2, padding_idx: 4);
        Assert.Null(Assert.IsType<BayesEmbedding>(words.ToBayesian()).PaddingIndex);
        Assert.Equal(4, ((BayesEmbedding)words.ToBayesian(new ConversionOptions { Hints = new LayerHints { PaddingIndex = -2 } })).PaddingIndex);
    }

    [Fact]
    public void WhatNothingTellsIsAHintByNameAndTheHintWins()
    {
        using var scope = NewDisposeScope();
        using var model = new Silent();
        model.ToBayesian(null, out ConversionReport report);
        Assert.Empty(report.Converted);
        Assert.Contains("its number of heads, or its activation; give LayerHints.Heads and Activation", report.Entries[0].Reason, StringComparison.Ordinal);
        Assert.Contains("its dropout; give LayerHints.Dropout", report.Entries[1].Reason, StringComparison.Ordinal);
        model.ToBayesian(
            new ConversionOptions { HintsFor = (name, _) => name == "_attention" ? new LayerHints { Heads = 2, Dropout = 0.4, AddsZeroAttention = false } : new LayerHints { Dropout = 0.7 } },
            out report);
        Assert.Equal(2, report.Converted.Count());
        var attention = (BayesMultiheadAttention)model.named_children().First().module;
        Assert.Equal((2, 0.4), (attention.NumHeads, attention.Dropout));
        Assert.Equal(0.7, ((BayesLSTM)model.named_children().Last().module).Dropout);
        Assert.Contains("LayerHints.Heads is 3", Assert.Throws<ConversionException>(
            () => ((nn.Module)nn.MultiheadAttention(4, 2)).ToBayesian(new ConversionOptions { Hints = new LayerHints { Heads = 3 } })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void FrozenPartsOfAttentionStayFrozen()
    {
        MultiheadAttention layer = nn.MultiheadAttention(4, 2);
        layer.named_parameters().Single(entry => entry.name == "in_proj_weight").parameter.requires_grad = false;
        using nn.Module twin = ((nn.Module)layer).ToBayesian();
        Assert.Equal(
            ["q_proj.weight.mean", "k_proj.weight.mean", "v_proj.weight.mean"],
            twin.named_parameters().Where(entry => !entry.parameter.requires_grad).Select(entry => entry.name));
        using nn.Module back = twin.ToDeterministic();
        Assert.Equal("in_proj_weight", Assert.Single(back.named_parameters(), entry => !entry.parameter.requires_grad).name);
    }

    [Fact]
    public void LayersThatTakeTheBatchFirstSayWhyTheyCantGoBack()
    {
        using var model = nn.Sequential(("encoder", bnn.TransformerEncoderLayer(4, 2, batchFirst: true)));
        Assert.Contains("'encoder': BayesTransformerEncoderLayer takes the batch first", Assert.Throws<ConversionException>(() => model.ToDeterministic()).Message, StringComparison.Ordinal);
        using var up = bnn.ConvTranspose2d(2, 2, (3, 3), stride: (2, 2), output_padding: (1, 0));
        Assert.Contains("output padding", Assert.Throws<ConversionException>(() => up.ToDeterministic()).Message, StringComparison.Ordinal);
    }

    private static void ThereAndBack(nn.Module layer, nn.Module twin, Func<nn.Module, Tensor> run)
    {
        nn.Module back = twin.ToDeterministic();
        Assert.Equal(layer.GetType(), back.GetType());
        Assert.Equal(Entries(layer), Entries(back));
        foreach (bool training in new[] { false, true })
        {
            foreach (nn.Module module in new[] { layer, twin, back })
                module.train(training);
            Tensor expected = Seeded(() => run(layer));
            Assert.True(Seeded(() => run(back)).allclose(expected, Rounding, Rounding));

            // The twin puts the batch first inside, and drops other entries.
            if (!training)
            {
                using (twin.WithEstimator(Estimator.MeanOnly))
                    Assert.True(run(twin).allclose(expected, Rounding, Rounding));
            }
        }
    }

    private static Tensor Seeded(Func<Tensor> run)
    {
        random.manual_seed(3);
        return run();
    }

    private static IEnumerable<(string Name, ScalarType Type, string Shape)> Entries(nn.Module layer)
        => layer.named_parameters().Select(entry => (entry.name, entry.parameter.dtype, string.Join('x', entry.parameter.shape)));

    /// <summary>Layers whose output is zero whatever they were made with.</summary>
    private sealed class Silent : nn.Module
    {
        private readonly nn.Module _attention = nn.MultiheadAttention(4, 2, dropout: 0.1);
        private readonly nn.Module _lstm = nn.LSTM(2, 2, numLayers: 2, dropout: 0.1);

        public Silent()
            : base(nameof(Silent))
        {
            RegisterComponents();
            using (no_grad())
            {
                foreach (Parameter parameter in parameters())
                    parameter.zero_();
            }

            _ = (_attention, _lstm);
        }
    }
}
