using BayesNet.Estimators;
using BayesNet.Posteriors;
using BayesNet.Prediction;
using BayesNet.TestKit;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Attention;

/// <summary>Attention and transformer layers are their TorchSharp twins when the noise is off; their noise is that of the linear layers they are made of.</summary>
public sealed class AttentionTests
{
    private const double Rounding = 2e-6;

    private static readonly BayesOptions Wide = new() { Posterior = new MeanFieldGaussianSpecification { InitialStdDev = 0.3 } };

    public static readonly TheoryData<string> Variants = ["plain", "without bias", "other keys and values", "learned key and zeros"];

    [Theory]
    [MemberData(nameof(Variants))]
    public void TheMeanIsTheTwinsOutput(string variant)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        manual_seed(1);
        (bool bias, bool extra, long? kdim, long? vdim) = (variant != "without bias", variant == "learned key and zeros",
            variant == "other keys and values" ? 5L : null, variant == "other keys and values" ? 5L : (long?)null);
        using var twin = nn.MultiheadAttention(8, 2, bias: bias, add_bias_kv: extra, add_zero_attn: extra, kdim: kdim, vdim: vdim);
        foreach ((string name, Parameter parameter) in twin.named_parameters())
        {
            if (name.Contains("bias", StringComparison.Ordinal))
                parameter.normal_();
        }

        using var layer = bnn.MultiheadAttention(twin, 2, addZeroAttn: extra);
        using var batchFirst = bnn.MultiheadAttention(twin, 2, addZeroAttn: extra, batchFirst: true);
        using var means = layer.WithEstimator(Estimator.MeanOnly);
        using var otherMeans = batchFirst.WithEstimator(Estimator.MeanOnly);
        Tensor q = randn(4, 3, 8), k = randn(6, 3, kdim ?? 8), v = randn(6, 3, vdim ?? 8);
        Tensor padding = tensor(new[] { false, false, false, false, true, true, false, true, false, false, false, false, false, false, false, false, false, false }).reshape(3, 6);

        // The twin adds a mask of truth values to the scores as it is, and takes none of three dimensions: what those do here is the next test.
        foreach ((Tensor? keys, Tensor? attention) in new (Tensor?, Tensor?)[] { (null, null), (padding, null), (null, randn(4, 6)), (padding, randn(4, 6)) })
        {
            var expected = twin.call(q, k, v, keys!, true, attention!);
            foreach (bool weights in new[] { true, false })
            {
                var found = layer.call(q, k, v, keys, weights, attention);
                Close(expected.Item1, found.Item1);
                if (weights)
                    Close(expected.Item2, found.Item2!);
                else
                    Assert.Null(found.Item2);
                Close(expected.Item1.transpose(0, 1), batchFirst.call(q.transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1), keys, weights, attention).Item1);
            }
        }
    }

    [Fact]
    public void MasksOfTruthValuesForbidAttention()
    {
        using var scope = NewDisposeScope();
        using var layer = bnn.MultiheadAttention(8, 2);
        using var means = layer.WithEstimator(Estimator.MeanOnly);
        Tensor x = randn(4, 3, 8), future = Future(4), forbidden = zeros(4, 4).masked_fill(future, float.NegativeInfinity);
        (Tensor expected, Tensor? weights) = layer.call(x, x, x, attn_mask: forbidden);
        Assert.Equal(0, weights!.masked_select(future).abs().max().item<float>());
        Close(expected, layer.call(x, x, x, attn_mask: future).Item1);
        Close(expected, layer.call(x, x, x, attn_mask: future.expand(6, 4, 4), need_weights: false).Item1);

        // Of each example and head: the second example attends to everything.
        Tensor each = forbidden.expand(6, 4, 4).clone();
        each.narrow(0, 2, 2).zero_();
        Tensor mixed = layer.call(x, x, x, attn_mask: each).Item1;
        Close(expected.select(1, 0), mixed.select(1, 0));
        Close(layer.call(x, x, x).Item1.select(1, 1), mixed.select(1, 1));
    }

    private static Tensor Future(long positions) => ones(positions, positions).triu(1).to(ScalarType.Bool);

    [Theory]
    [InlineData(nn.Activations.ReLU)]
    [InlineData(nn.Activations.GELU)]
    public void AnEncoderLayersMeanIsTheTwinsOutput(nn.Activations activation)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        manual_seed(1);
        using var twin = nn.TransformerEncoderLayer(8, 2, 12, dropout: 0.2, activation: activation);
        foreach (Parameter parameter in twin.parameters())
            parameter.add_(randn_like(parameter) * 0.3);
        using var layer = bnn.TransformerEncoderLayer(twin, 2, dropout: 0.2, activation: activation);
        using var batchFirst = bnn.TransformerEncoderLayer(twin, 2, activation: activation, batchFirst: true);
        foreach (nn.Module module in new nn.Module[] { twin, layer, batchFirst })
            module.eval();
        using var means = layer.WithEstimator(Estimator.MeanOnly);
        using var otherMeans = batchFirst.WithEstimator(Estimator.MeanOnly);
        Tensor src = randn(5, 3, 8), mask = zeros(5, 5).masked_fill(Future(5), float.NegativeInfinity), padding = zeros(3, 5).to(ScalarType.Bool);
        padding[0, 4] = tensor(true);
        Close(twin.call(src, null!, null!), layer.call(src));
        Close(twin.call(src, mask, padding), layer.call(src, mask, padding));
        Close(twin.call(src, mask, padding).transpose(0, 1), batchFirst.call(src.transpose(0, 1), mask, padding));
    }

    [Fact]
    public void ADecoderLayersMeanIsTheTwinsOutput()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        manual_seed(1);
        using var twin = nn.TransformerDecoderLayer(8, 2, 12, dropout: 0.2);
        foreach (Parameter parameter in twin.parameters())
            parameter.add_(randn_like(parameter) * 0.3);
        using var layer = bnn.TransformerDecoderLayer(twin, 2, dropout: 0.2);
        twin.eval();
        layer.eval();
        using var means = layer.WithEstimator(Estimator.MeanOnly);
        Tensor target = randn(4, 3, 8), memory = randn(5, 3, 8), mask = zeros(4, 4).masked_fill(Future(4), float.NegativeInfinity), padding = zeros(3, 5).to(ScalarType.Bool);
        padding[0, 4] = tensor(true);
        Close(twin.call(target, memory, mask, memory_key_padding_mask: padding), layer.call(target, memory, mask, memory_key_padding_mask: padding));
        Close(twin.call(target, memory), layer.call(target, memory));
    }

    /// <summary>
    /// Where attention is uniform, keys have no weights, the output is W_o (W_v mean(v) + b_v) + b_o: its moments in closed form, and for estimators
    /// that hold a weight over the positions of an example all positions are one.
    /// </summary>
    [Theory]
    [InlineData("shared weights")]
    [InlineData("weights per example")]
    [InlineData("local reparameterization")]
    [InlineData("flipout")]
    public void MomentsAreThoseOfTheProjections(string estimator)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        manual_seed(1);
        using var layer = bnn.MultiheadAttention(2, 1, batchFirst: true, dtype: ScalarType.Float64, options: Wide);
        layer.SeedNoise(2);
        var key = (MeanFieldGaussian)layer.Projections.Key.WeightPosterior;
        key.Mean.zero_();
        key.ScaleParameter.fill_(-80);
        using var scoped = layer.WithEstimator(EstimatorCase.Named(estimator).Estimator);
        Tensor x = randn([1, 3, 2], dtype: ScalarType.Float64), average = x.mean([0, 1]);
        Tensor draws = cat([.. Enumerable.Range(0, 1000).Select(i => layer.call(x, x, x).Item1.flatten(1))], 0);

        // v has independent entries of mean m and variance s: under local reparameterization their noise is averaged over three positions.
        bool local = estimator == "local reparameterization";
        (BayesLinear value, BayesLinear output) = (layer.Projections.Value, layer.Projections.Output);
        double variance = 0.3 * 0.3;
        Tensor mean = value.WeightPosterior.Mean.mv(average) + value.BiasPosterior!.Mean;
        double spread = local ? variance * (x.square().sum().item<double>() + 3) / 9 : variance * (average.square().sum().item<double>() + 1);
        Tensor weight = output.WeightPosterior.Mean;
        Tensor within = weight.mm(weight.t()) * spread + eye(2, dtype: ScalarType.Float64) * (variance * (mean.square().sum().item<double>() + 2 * spread + 1));
        Tensor across = local ? weight.mm(weight.t()) * spread : within;
        Tensor covariance = kron(ones([3, 3], dtype: ScalarType.Float64), across) + kron(eye(3, dtype: ScalarType.Float64), within - across);
        SampleMoments.AssertMeanAndCovariance(draws, (weight.mv(mean) + output.BiasPosterior!.Mean).repeat(3), covariance);
    }

    [Theory]
    [InlineData("shared weights")]
    [InlineData("weights per example")]
    [InlineData("local reparameterization")]
    [InlineData("flipout")]
    [InlineData("mean only")]
    public void GradientsAreThoseOfTheFunctionWithItsNoiseHeld(string estimator)
    {
        using var scope = NewDisposeScope();
        manual_seed(2);
        using var layer = bnn.TransformerEncoderLayer(4, 2, batchFirst: estimator != "flipout", dim_feedforward: 3, dropout: 0, dtype: ScalarType.Float64, options: Wide);
        using var scoped = layer.WithEstimator(EstimatorCase.Named(estimator).Estimator);
        Tensor input = randn([2, 3, 4], dtype: ScalarType.Float64).requires_grad_(true), slope = randn([2, 3, 4], dtype: ScalarType.Float64);
        FiniteDifferences.AssertGradients(
            () =>
            {
                layer.SeedNoise(17);
                return (layer.call(input) * slope).sum();
            },
            [("input", input), .. layer.named_parameters().Select(entry => (entry.name, (Tensor)entry.parameter))]);
    }

    [Fact]
    public void TheDivergenceCountsEveryWeightOnceAndStateIsComplete()
    {
        using var scope = NewDisposeScope();
        using var twin = nn.TransformerEncoderLayer(4, 2, 6);
        using var model = nn.Sequential(("first", bnn.TransformerEncoderLayer(4, 2, 6)), ("second", bnn.TransformerEncoderLayer(4, 2, 6)));
        double expected = 0;
        foreach ((string name, Parameter parameter) in model.named_parameters())
        {
            if (name.EndsWith(".mean", StringComparison.Ordinal))
                expected += parameter.numel() * (0.5 * 0.01 * 0.01 - Math.Log(0.01) - 0.5) + 0.5 * parameter.square().sum().item<float>();
        }

        Assert.Equal(expected, model.KlDivergence().item<float>(), 1e-5 * expected);
        Assert.Equal(12, model.BayesianModules().Count());
        Assert.Equal(
            twin.parameters().Sum(parameter => parameter.numel()) * 2 * 2 - 2 * 2 * 2 * 4, model.parameters().Sum(parameter => parameter.numel()));
        Assert.Contains("first.self_attn.q_proj.weight.mean", model.state_dict().Keys);
        Assert.Contains("first.norm1.weight", model.state_dict().Keys);

        // Seeds differ between the parts of a layer, and between the parts of their parts.
        using var seeded = bnn.TransformerEncoderLayer(4, 2, 6, options: new BayesOptions { Seed = 3 });
        Assert.Equal(6, seeded.BayesianModules().Select(entry => entry.Module.Noise.Seed).Distinct().Count());
    }

    /// <summary>Layers are built as the twins are, with initial means of the same spread; what is built within a dispose scope outlives it.</summary>
    [Fact]
    public void InitialMeansAreDrawnAsTheTwins()
    {
        using var twin = nn.MultiheadAttention(16, 2, add_bias_kv: true);
        BayesTransformerEncoderLayer encoder;
        using (NewDisposeScope())
            encoder = bnn.TransformerEncoderLayer(16, 2, 32);
        using var own = encoder;
        using var scope = NewDisposeScope();
        Assert.Equal([3, 5, 16], own.call(randn(3, 5, 16)).shape);
        using var layer = bnn.MultiheadAttention(16, 2, add_bias_kv: true);
        double bound = Math.Sqrt(6.0 / 64);
        Assert.InRange(twin.named_parameters().First(entry => entry.name == "in_proj_weight").parameter.abs().max().item<float>() / bound, 0.9, 1.0001);
        Assert.InRange(layer.Projections.Query.WeightPosterior.Mean.abs().max().item<float>() / bound, 0.9, 1.0001);
        Assert.Equal(0, layer.Projections.Output.BiasPosterior!.Mean.abs().max().item<float>());
        Assert.Equal(["bias_k", "bias_v"], layer.named_parameters().Select(entry => entry.name).Where(name => !name.Contains('.')));
    }

    [Fact]
    public void TheDocumentedStackRuns()
    {
        using var scope = NewDisposeScope();
        using var model = nn.Sequential(
            ("embed", bnn.Linear(3, 32)),
            ("first", bnn.TransformerEncoderLayer(32, 4, batchFirst: true, dim_feedforward: 64)),
            ("second", bnn.TransformerEncoderLayer(32, 4, batchFirst: true, dim_feedforward: 64)),
            ("flatten", nn.Flatten()),
            ("head", bnn.Linear(32 * 20, 1)));
        Assert.Equal([5, 1], model.call(randn(5, 20, 3)).shape);

        // Rows are known to be independent: samples are computed together.
        Assert.Equal([7, 5, 1], Predictor.SampleOutputs(model, randn(5, 20, 3), 7).shape);
    }

    [Fact]
    public void CudaGivesTheCpusOutput()
    {
        Device cuda = CudaDevice.Required();
        using var scope = NewDisposeScope();
        using var model = bnn.TransformerEncoderLayer(8, 2, batchFirst: true, dim_feedforward: 16, dropout: 0);
        Tensor input = randn(4, 3, 8), expected, found;
        using (model.WithEstimator(Estimator.MeanOnly))
        {
            expected = model.call(input);
            model.to(cuda);
            found = model.call(input.to(cuda)).cpu();
        }

        Assert.InRange((expected - found).abs().max().item<float>(), 0, 1e-4f);
        Assert.True(model.call(input.to(cuda)).isfinite().all().item<bool>());
    }

    [Fact]
    public void DropoutIsOfTrainingModeAlone()
    {
        using var scope = NewDisposeScope();
        using var layer = bnn.TransformerEncoderLayer(8, 2, 12, dropout: 0.5);
        using var means = layer.WithEstimator(Estimator.MeanOnly);
        Tensor src = randn(5, 3, 8);
        Assert.False(layer.call(src).eq(layer.call(src)).all().item<bool>());
        layer.eval();
        Assert.True(layer.call(src).eq(layer.call(src)).all().item<bool>());
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        Assert.Contains("divide", Assert.Throws<ArgumentException>("numHeads", () => bnn.MultiheadAttention(6, 4)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>("embeddedDim", () => bnn.MultiheadAttention(0, 1));
        Assert.Throws<ArgumentOutOfRangeException>("dropout", () => bnn.TransformerEncoderLayer(4, 2, dropout: -1));
        using var layer = bnn.MultiheadAttention(4, 2);
        Tensor x = randn(3, 2, 4);
        Assert.Throws<ArgumentException>("query", () => layer.call(randn(3, 4), x, x));
        Assert.Throws<ArgumentException>("key", () => layer.call(x, randn(5, 2, 4), x));
        Assert.Contains("(2, 3)", Assert.Throws<ArgumentException>("key_padding_mask", () => layer.call(x, x, x, zeros(3, 2))).Message, StringComparison.Ordinal);
        Assert.Contains("(4, 3, 3)", Assert.Throws<ArgumentException>("attn_mask", () => layer.call(x, x, x, attn_mask: zeros(2, 2))).Message, StringComparison.Ordinal);
    }

    private static void Close(Tensor expected, Tensor found)
    {
        Assert.Equal(expected.shape, found.shape);
        Assert.InRange((expected - found).abs().max().item<float>(), 0, Rounding);
    }
}
