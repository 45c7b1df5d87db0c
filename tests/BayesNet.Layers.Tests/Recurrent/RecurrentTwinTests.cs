using BayesNet.Estimators;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.TestKit;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Recurrent;

/// <summary>Recurrent layers are their TorchSharp twins when the noise is off, whichever way they are computed.</summary>
public sealed class RecurrentTwinTests
{
    private static readonly (string Name, Sizes Sizes)[] Geometries =
    [
        ("one layer", new()),
        ("time first", new(BatchFirst: false)),
        ("without bias", new(Bias: false)),
        ("two layers both ways", new(Layers: 2, Bidirectional: true)),
        ("three layers, time first", new(Inputs: 4, Layers: 3, BatchFirst: false, Dropout: 0.5)),
    ];

    public static IEnumerable<TheoryDataRow<string, string>> Twins()
        => from kind in RecurrentCase.Kinds
           from geometry in Geometries
           select new TheoryDataRow<string, string>(kind, geometry.Name);

    [Theory]
    [MemberData(nameof(Twins))]
    public void TheMeanIsTheTwinsOutput(string kind, string geometry)
    {
        Sizes sizes = Geometries.Single(known => known.Name == geometry).Sizes;
        foreach (ScalarType dtype in new[] { ScalarType.Float32, ScalarType.Float64 })
        {
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            using var twin = RecurrentCase.Twin(kind, sizes, dtype);
            using var layer = RecurrentCase.Create(kind, sizes, dtype);
            using var around = RecurrentCase.Around(twin, sizes);
            Assert.Equal(twin.Module.named_parameters().Select(entry => entry.name), layer.Posteriors.Keys);
            layer.CopyMeans(twin);
            foreach (RecurrentCase module in new[] { twin, layer, around })
                module.Module.eval();
            double tolerance = dtype == ScalarType.Float32 ? 1e-6 : 1e-14;

            Tensor batch = randn(sizes.BatchFirst ? [4, 5, sizes.Inputs] : [5, 4, sizes.Inputs], dtype: dtype), single = randn(5, sizes.Inputs, dtype: dtype);
            Tensor[] states = RecurrentCase.States(kind, sizes, 4, dtype), singleStates = RecurrentCase.States(kind, sizes, null, dtype);
            foreach ((Tensor input, Tensor[]? given) in new[] { (batch, null), (batch, states), (single, null), (single, singleStates) })
            {
                Tensor[] expected = input.dim() == 3 ? twin.Call(input, given) : OfOne(twin, sizes, input, given);
                using (layer.Module.WithEstimator(Estimator.MeanOnly))
                    Same(expected, layer.Call(input, given), tolerance);
                if (!kind.StartsWith("RNN", StringComparison.Ordinal) || kind == "RNN ReLU")
                {
                    using (around.Module.WithEstimator(Estimator.MeanOnly))
                        Same(expected, around.Call(input, given), tolerance);
                }

                foreach (Estimator estimator in new[] { Estimator.SharedWeights, Estimator.WeightsPerExample, Estimator.LocalReparameterization, Estimator.Flipout })
                {
                    using (layer.Module.WithEstimator(estimator))
                        Assert.Equal(expected.Select(tensor => tensor.shape), layer.Call(input, given).Select(tensor => tensor.shape));
                }
            }
        }
    }

    /// <summary>The twin takes no input without a batch dimension: a batch of one.</summary>
    private static Tensor[] OfOne(RecurrentCase twin, Sizes sizes, Tensor input, Tensor[]? states)
    {
        int batch = sizes.BatchFirst ? 0 : 1;
        Tensor[] results = twin.Call(input.unsqueeze(batch), states is null ? null : [.. states.Select(state => state.unsqueeze(1))]);
        return [results[0].squeeze(batch), .. results.Skip(1).Select(state => state.squeeze(1))];
    }

    /// <summary>libtorch's fused network and the same weights step by step: output, states and every gradient.</summary>
    [Theory]
    [MemberData(nameof(Twins))]
    public void FusedAndStepByStepAgree(string kind, string geometry)
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        Sizes sizes = Geometries.Single(known => known.Name == geometry).Sizes with { Dropout = 0 };
        using var layer = RecurrentCase.Create(kind, sizes, ScalarType.Float64, new BayesOptions { Posterior = new MeanFieldGaussianSpecification { InitialStdDev = 0.3 } });
        Tensor input = randn([4, 5, sizes.Inputs], dtype: ScalarType.Float64).requires_grad_(true);
        Tensor[] states = [.. RecurrentCase.States(kind, sizes, sizes.BatchFirst ? 4 : 5, ScalarType.Float64).Select(state => state.requires_grad_(true))];
        Assert.Same(Estimator.SharedWeights, layer.Bayesian.Estimator);
        (Tensor[] fused, Tensor[] fusedGradients) = Pass();
        layer.Bayesian.Estimator = new Stepwise();
        (Tensor[] steps, Tensor[] stepGradients) = Pass();
        Same(fused, steps, 1e-13);
        Same(fusedGradients, stepGradients, 1e-12);

        (Tensor[], Tensor[]) Pass()
        {
            layer.Module.SeedNoise(5);
            Tensor[] results = layer.Call(input, states);
            Tensor loss = results.Select(result => (result * arange(result.numel(), dtype: ScalarType.Float64).reshape(result.shape).sin()).sum()).Aggregate((a, b) => a + b);
            loss.backward();
            Tensor[] leaves = [input, .. states, .. layer.Module.parameters()];
            Tensor[] gradients = [.. leaves.Select(leaf => leaf.grad!.clone())];
            foreach (Tensor leaf in leaves)
                leaf.grad = null;
            return (results, gradients);
        }
    }

    [Fact]
    public void PackedSequencesAreTheTwins()
    {
        foreach (string kind in new[] { "LSTM", "GRU", "RNN tanh" })
        {
            foreach (bool sorted in new[] { true, false })
            {
                using var scope = NewDisposeScope();
                using var _ = no_grad();
                var sizes = new Sizes(Layers: 2, Bidirectional: true);
                using var twin = RecurrentCase.Twin(kind, sizes);
                using var layer = RecurrentCase.Create(kind, sizes);
                layer.CopyMeans(twin);
                Tensor padded = randn(3, 5, 2), lengths = sorted ? tensor(new long[] { 5, 4, 2 }) : tensor(new long[] { 2, 5, 3 });
                using var packed = nn.utils.rnn.pack_padded_sequence(padded, lengths, batch_first: true, enforce_sorted: sorted);
                foreach (Estimator estimator in new[] { Estimator.MeanOnly, Estimator.SharedWeights, Estimator.WeightsPerExample, Estimator.LocalReparameterization, Estimator.Flipout })
                {
                    using var scoped = layer.Module.WithEstimator(estimator);
                    (Tensor expected, Tensor[] expectedStates) = Call(twin.Module, packed);
                    (Tensor output, Tensor[] states) = Call(layer.Module, packed);
                    Assert.Equal(expected.shape, output.shape);
                    if (estimator == Estimator.MeanOnly)
                        Same([expected, .. expectedStates], [output, .. states], 1e-6);
                }
            }
        }

        static (Tensor, Tensor[]) Call(nn.Module module, nn.utils.rnn.PackedSequence input)
        {
            switch (module)
            {
                case LSTM twin:
                    var lstm = twin.call(input);
                    return (lstm.Item1.data, [lstm.Item2, lstm.Item3]);
                case BayesLSTM layer:
                    var own = layer.call(input);
                    return (own.Item1.data, [own.Item2, own.Item3]);
                case GRU twin:
                    var gru = twin.call(input);
                    return (gru.Item1.data, [gru.Item2]);
                case BayesGRU layer:
                    var ownGru = layer.call(input);
                    return (ownGru.Item1.data, [ownGru.Item2]);
                case RNN twin:
                    var rnn = twin.call(input);
                    return (rnn.Item1.data, [rnn.Item2]);
                default:
                    var ownRnn = ((BayesRNN)module).call(input);
                    return (ownRnn.Item1.data, [ownRnn.Item2]);
            }
        }
    }

    [Fact]
    public void CudaGivesTheCpusOutput()
    {
        Device cuda = CudaDevice.Required();
        using var scope = NewDisposeScope();
        using var layer = bnn.LSTM(3, 8, numLayers: 2, bidirectional: true);
        Tensor input = randn(4, 2, 3), expected, found;
        using (layer.WithEstimator(Estimator.MeanOnly))
        {
            expected = layer.call(input).Item1;
            layer.to(cuda);
            found = layer.call(input.to(cuda)).Item1.cpu();
        }

        Assert.InRange((expected - found).abs().max().item<float>(), 0, 1e-4f);
        foreach (EstimatorCase estimator in EstimatorCase.All)
        {
            using (layer.WithEstimator(estimator.Estimator))
                Assert.True(layer.call(input.to(cuda)).Item1.isfinite().all().item<bool>());
        }
    }

    [Fact]
    public void StateDictHasTheTwinsNames()
    {
        using var twin = nn.LSTM(2, 3, numLayers: 2, bidirectional: true);
        using var layer = bnn.LSTM(2, 3, numLayers: 2, bidirectional: true, options: new BayesOptions { Prior = GaussianPrior.With(zeros(1), ones(1)) });
        string[] expected = [.. twin.state_dict().Keys.SelectMany(name => new[] { $"{name}.mean", $"{name}.log_scale", $"{name}_prior.mean", $"{name}_prior.std" })];
        Assert.Equal(expected.Order(StringComparer.Ordinal), layer.state_dict().Keys.Order(StringComparer.Ordinal));

        using var loaded = bnn.LSTM(2, 3, numLayers: 2, bidirectional: true, options: new BayesOptions { Prior = GaussianPrior.With(zeros(1), ones(1)) });
        string path = Path.GetTempFileName();
        try
        {
            layer.save(path);
            loaded.load(path);
        }
        finally
        {
            File.Delete(path);
        }

        using var scope = NewDisposeScope();
        Tensor input = randn(4, 2, 2);
        layer.Seed = loaded.Seed = 3;
        Same([layer.call(input).Item1], [loaded.call(input).Item1], 0);
        layer.to(ScalarType.Float64);
        Assert.Equal(ScalarType.Float64, layer.call(input.to(ScalarType.Float64)).Item1.dtype);
        Assert.Equal("BayesLSTM(2 -> 3, layers 2, bidirectional, MeanFieldGaussian, prior GaussianPrior, shared weights)", layer.ToString());
    }

    private static void Same(Tensor[] expected, Tensor[] found, double tolerance)
    {
        Assert.Equal(expected.Length, found.Length);
        foreach ((Tensor one, Tensor other) in expected.Zip(found))
        {
            Assert.Equal(one.shape, other.shape);
            Assert.InRange((one - other).abs().max().to(ScalarType.Float64).item<double>(), 0, tolerance);
        }
    }
}
