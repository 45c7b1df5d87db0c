using BayesNet.Estimators;
using BayesNet.Posteriors;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Recurrent;

/// <summary>Laws of the outputs under each estimator, gradients and divergences.</summary>
public sealed class RecurrentEstimatorTests
{
    private const double StdDev = 0.5;
    private static readonly Sizes Small = new(Inputs: 2, Hidden: 2);
    private static readonly BayesOptions Wide = new() { Posterior = new MeanFieldGaussianSpecification { InitialStdDev = StdDev } };

    public static IEnumerable<TheoryDataRow<string, string>> ExactLaws()
        => from kind in new[] { "LSTM", "GRU", "RNN tanh" }
           from estimator in new[] { "shared weights", "weights per example", "flipout" }
           select new TheoryDataRow<string, string>(kind, estimator);

    /// <summary>
    /// The output over all steps has the law of a network whose weights are drawn once for the sequence: first and second moments against a network
    /// written here, run with a weight for each of many draws.
    /// </summary>
    [Theory]
    [MemberData(nameof(ExactLaws))]
    public void OutputsAreThoseOfWeightsDrawnOnceASequence(string kind, string estimator)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        manual_seed(1);
        using var layer = RecurrentCase.Create(kind, Small, ScalarType.Float64, Wide);
        layer.Module.SeedNoise(2);
        Tensor sequence = randn([1, 3, 2], dtype: ScalarType.Float64) * 1.5;
        Tensor expected = Reference(kind, layer, sequence, 40_000);
        using var scoped = layer.Module.WithEstimator(EstimatorCase.Named(estimator).Estimator);

        // Examples are independent under weights per example; the others draw once a call.
        Tensor found = estimator == "weights per example"
            ? layer.Call(sequence.expand(1200, 3, 2))[0].flatten(1)
            : cat([.. Enumerable.Range(0, 1200).Select(i => layer.Call(sequence)[0].flatten(1))], 0);
        Tensor mean = expected.mean([0]), centred = expected - mean;
        SampleMoments.AssertMeanAndCovariance(found, mean, centred.t().mm(centred) / expected.size(0));
    }

    /// <summary>
    /// Where the state has no weight the outputs are linear, and their covariance over steps and units is in closed form: sum_k x_tk x_sk sigma^2 +
    /// 2 sigma_b^2 within a unit. Local reparameterization keeps it at each step, and across steps the state's bias alone.
    /// </summary>
    [Theory]
    [InlineData("shared weights")]
    [InlineData("weights per example")]
    [InlineData("local reparameterization")]
    [InlineData("flipout")]
    public void CovarianceAcrossStepsIsTheDocumentedOne(string estimator)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        manual_seed(1);
        using var layer = RecurrentCase.Create("RNN ReLU", Small, ScalarType.Float64, Wide);
        layer.Module.SeedNoise(3);

        // A bias far above the noise, so that the rectifier is the identity, and a state without a weight.
        layer.Posteriors["bias_ih_l0"].Mean.fill_(100);
        layer.Posteriors["weight_hh_l0"].Mean.zero_();
        ((MeanFieldGaussian)layer.Posteriors["weight_hh_l0"]).ScaleParameter.fill_(-80);
        Tensor x = randn([1, 3, 2], dtype: ScalarType.Float64), rows = x[0];
        Tensor mean = rows.mm(layer.Posteriors["weight_ih_l0"].Mean.t()) + layer.Posteriors["bias_ih_l0"].Mean + layer.Posteriors["bias_hh_l0"].Mean;
        double variance = StdDev * StdDev;
        Tensor overSteps = (rows.mm(rows.t()) + 1) * variance;
        if (estimator == "local reparameterization")
            overSteps = overSteps.diag().diag();
        Tensor covariance = kron(overSteps + variance, eye(2, dtype: ScalarType.Float64));

        using var scoped = layer.Module.WithEstimator(EstimatorCase.Named(estimator).Estimator);
        Tensor draws = cat([.. Enumerable.Range(0, 1200).Select(i => layer.Call(x)[0].flatten(1))], 0);
        SampleMoments.AssertMeanAndCovariance(draws, mean.flatten(), covariance);
    }

    /// <summary>Of a sequence of one step, and of the first step of any, local reparameterization has the exact law.</summary>
    [Theory]
    [InlineData("LSTM")]
    [InlineData("GRU")]
    public void LocalReparameterizationIsExactAtOneStep(string kind)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        manual_seed(1);
        using var layer = RecurrentCase.Create(kind, Small, ScalarType.Float64, Wide with { Estimator = Estimator.LocalReparameterization });
        layer.Module.SeedNoise(4);
        Tensor sequence = randn([1, 1, 2], dtype: ScalarType.Float64);
        Tensor expected = Reference(kind, layer, sequence, 40_000), mean = expected.mean([0]), centred = expected - mean;
        Tensor draws = cat([.. Enumerable.Range(0, 1200).Select(i => layer.Call(sequence)[0].flatten(1))], 0);
        SampleMoments.AssertMeanAndCovariance(draws, mean, centred.t().mm(centred) / expected.size(0));
    }

    /// <summary>Under flipout and weights per example the examples of a batch are uncorrelated; under shared weights they are not.</summary>
    [Theory]
    [InlineData("shared weights", true)]
    [InlineData("weights per example", false)]
    [InlineData("flipout", false)]
    public void ExamplesShareNoNoiseButWithSharedWeights(string estimator, bool shared)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        manual_seed(1);
        using var layer = RecurrentCase.Create("LSTM", Small with { Bias = false }, ScalarType.Float64, Wide);
        layer.Module.SeedNoise(5);
        using var scoped = layer.Module.WithEstimator(EstimatorCase.Named(estimator).Estimator);
        Tensor pair = randn([1, 1, 2], dtype: ScalarType.Float64).expand(2, 1, 2);
        Tensor draws = stack([.. Enumerable.Range(0, 800).Select(i => layer.Call(pair)[0].flatten(1))], 0);
        Tensor centred = draws - draws.mean([0], keepdim: true);
        Tensor products = centred.select(1, 0) * centred.select(1, 1), variance = centred.square().mean([0, 1]);
        Tensor correlation = products.mean([0]) / variance, error = products.var(0).sqrt() / Math.Sqrt(draws.size(0)) / variance;
        Assert.Equal(shared, (correlation > 0.99).all().item<bool>());
        Assert.Equal(shared, !(correlation.abs() < SampleMoments.StandardErrors * error).all().item<bool>());
    }

    /// <summary>The gradient of an expectation over sequences is the same under flipout as under weights of each example's own.</summary>
    [Fact]
    public void FlipoutsGradientIsUnbiased()
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        using var layer = RecurrentCase.Create("LSTM", Small, ScalarType.Float64, Wide);
        layer.Module.SeedNoise(6);
        Tensor sequence = randn([1, 3, 2], dtype: ScalarType.Float64).expand(25, 3, 2);
        Tensor[] exact = Gradients(Estimator.WeightsPerExample), flipout = Gradients(Estimator.Flipout);
        Tensor difference = exact[0] - flipout[0], error = (exact[1] + flipout[1]).sqrt();
        Assert.InRange((difference.abs() / error).max().item<double>(), 0, SampleMoments.StandardErrors);

        // The mean of the gradients of calls, and the variance of that mean.
        Tensor[] Gradients(Estimator estimator)
        {
            using var scoped = layer.Module.WithEstimator(estimator);
            Tensor[] leaves = [.. layer.Module.parameters()];
            var all = new List<Tensor>();
            for (int i = 0; i < 100; i++)
            {
                Tensor output = layer.Call(sequence)[0];
                (output.sum([1, 2]).sin() + output.square().sum([1, 2])).mean().backward();
                all.Add(cat([.. leaves.Select(leaf => leaf.grad!.flatten())]));
                foreach (Tensor leaf in leaves)
                    leaf.grad = null;
            }

            Tensor drawn = stack(all);
            return [drawn.mean([0]), drawn.var(0) / all.Count];
        }
    }

    public static IEnumerable<TheoryDataRow<string, string>> Combinations()
        => from kind in RecurrentCase.Kinds
           from estimator in EstimatorCase.All
           select new TheoryDataRow<string, string>(kind, estimator.Name);

    [Theory]
    [MemberData(nameof(Combinations))]
    public void GradientsAreThoseOfTheFunctionWithItsNoiseHeld(string kind, string estimator)
    {
        using var scope = NewDisposeScope();
        manual_seed(2);
        bool deep = kind == "GRU" && estimator == "shared weights";
        Sizes sizes = deep ? new Sizes(Inputs: 1, Hidden: 1, Layers: 2, Bidirectional: true) : Small with { BatchFirst = false };
        using var layer = RecurrentCase.Create(kind, sizes, ScalarType.Float64, Wide);
        using var scoped = layer.Module.WithEstimator(EstimatorCase.Named(estimator).Estimator);
        Tensor input = randn([2, 2, sizes.Inputs], dtype: ScalarType.Float64).requires_grad_(true);
        Tensor[] states = [.. RecurrentCase.States(kind, sizes, 2, ScalarType.Float64).Select(state => state.requires_grad_(true))];
        FiniteDifferences.AssertGradients(
            () =>
            {
                layer.Module.SeedNoise(17);
                return layer.Call(input, states).Select((result, i) => ((i + 1) * result + result.square()).sum()).Aggregate((a, b) => a + b);
            },
            [("input", input), .. states.Select((state, i) => ($"state {i}", state)), .. layer.Module.named_parameters().Select(entry => (entry.name, (Tensor)entry.parameter))]);
    }

    [Fact]
    public void TheDivergenceCountsEveryParameterOnce()
    {
        using var scope = NewDisposeScope();
        using var layer = bnn.GRU(2, 3, numLayers: 2, bidirectional: true, dtype: ScalarType.Float64);
        double expected = 0;
        foreach (Posterior posterior in layer.Posteriors.Values)
            expected += posterior.Mean.numel() * (0.5 * 0.01 * 0.01 - Math.Log(0.01) - 0.5) + 0.5 * posterior.Mean.square().sum().item<double>();
        Assert.Equal(16, layer.DivergenceTerms.Count);
        Assert.Equal(expected, layer.KlDivergence().item<double>(), 1e-9 * expected);
        layer.call(randn(7, 2, 2, dtype: ScalarType.Float64));
        Assert.Equal(expected, ((nn.Module)layer).KlDivergence().item<double>(), 1e-9 * expected);
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var scope = NewDisposeScope();
        Assert.Throws<ArgumentOutOfRangeException>("hiddenSize", () => bnn.LSTM(2, 0));
        Assert.Throws<ArgumentOutOfRangeException>("numLayers", () => bnn.GRU(2, 2, numLayers: 0));
        Assert.Throws<ArgumentOutOfRangeException>("dropout", () => bnn.LSTM(2, 2, dropout: 1.5));
        Assert.Contains("float32 or float64", Assert.Throws<NotSupportedException>(() => bnn.LSTM(3, 2, dtype: ScalarType.Float16)).Message, StringComparison.Ordinal);
        var laplace = new BayesOptions { Posterior = new MeanFieldLaplaceSpecification() };
        using (bnn.LSTM(2, 2, options: laplace))
            Assert.Contains("Laplace", Assert.Throws<NotSupportedException>(() => bnn.LSTM(2, 2, options: laplace with { Estimator = Estimator.LocalReparameterization })).Message, StringComparison.Ordinal);

        using var layer = bnn.LSTM(3, 2);
        Assert.Contains("(4, 1, 5)", Assert.Throws<ArgumentException>("input", () => layer.call(randn(4, 1, 5))).Message, StringComparison.Ordinal);
        Assert.Contains("one step", Assert.Throws<ArgumentException>("input", () => layer.call(randn(0, 1, 3))).Message, StringComparison.Ordinal);
        Assert.Contains("convert", Assert.Throws<ArgumentException>("input", () => layer.call(randn(4, 1, 3, dtype: ScalarType.Float64))).Message, StringComparison.Ordinal);
        Assert.Contains("(1, 1, 2)", Assert.Throws<ArgumentException>("state", () => layer.call(randn(4, 1, 3), (zeros(1, 2, 2), zeros(1, 2, 2)))).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentNullException>("trained", () => bnn.RNN((TorchSharp.Modules.RNN)null!));
        Assert.Throws<NotSupportedException>(() => bnn.LSTM(3, 2, options: laplace).Estimator = Estimator.LocalReparameterization);
    }

    /// <summary>A network in plain operations with a weight for each of many draws, (draws, steps * hidden).</summary>
    private static Tensor Reference(string kind, RecurrentCase layer, Tensor sequence, long draws)
    {
        using var scope = NewDisposeScope();
        Tensor Draw(string name)
        {
            Tensor mean = layer.Posteriors[name].Mean;
            return mean + StdDev * randn([draws, .. mean.shape], dtype: ScalarType.Float64);
        }

        (Tensor inputWeight, Tensor stateWeight, Tensor inputBias, Tensor stateBias) = (Draw("weight_ih_l0"), Draw("weight_hh_l0"), Draw("bias_ih_l0"), Draw("bias_hh_l0"));
        Tensor h = zeros([draws, 2], dtype: ScalarType.Float64), c = h;
        var outputs = new List<Tensor>();
        foreach (Tensor x in sequence[0].unbind(0))
        {
            Tensor a = inputWeight.matmul(x) + inputBias, b = stateWeight.matmul(h.unsqueeze(2)).squeeze(2) + stateBias;
            Tensor Gate(int k) => (a + b)[TensorIndex.Colon, TensorIndex.Slice(2 * k, 2 * k + 2)];
            switch (kind)
            {
                case "LSTM":
                    c = Gate(1).sigmoid() * c + Gate(0).sigmoid() * Gate(2).tanh();
                    h = Gate(3).sigmoid() * c.tanh();
                    break;
                case "GRU":
                    Tensor update = Gate(1).sigmoid();
                    Tensor candidate = (a[TensorIndex.Colon, TensorIndex.Slice(4, 6)] + Gate(0).sigmoid() * b[TensorIndex.Colon, TensorIndex.Slice(4, 6)]).tanh();
                    h = (1 - update) * candidate + update * h;
                    break;
                default:
                    h = (a + b).tanh();
                    break;
            }

            outputs.Add(h);
        }

        return stack(outputs, 1).flatten(1).MoveToOuterDisposeScope();
    }
}
