using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Contract;

/// <summary>
/// What every estimator owes on every map with every posterior: the right first and second moments over examples, channels and
/// positions, gradients that are those of the function it computes, and a reason where it refuses.
/// </summary>
public sealed class EstimatorContract
{
    private const int Draws = 2500;

    public static IEnumerable<TheoryDataRow<string, string, string>> Combinations()
        => from estimator in EstimatorCase.All
           from map in MapCase.All
           from posterior in PosteriorCase.All
           where map.IsRepresentative || posterior.Name.StartsWith("mean-field Gaussian", StringComparison.Ordinal)
           select new TheoryDataRow<string, string, string>(estimator.Name, map.Name, posterior.Name);

    [Theory]
    [MemberData(nameof(Combinations))]
    public void OutputsHaveTheMomentsOfTheWeights(string estimatorName, string mapName, string posteriorName)
    {
        using var scope = NewDisposeScope();
        using var parts = new Parts(estimatorName, mapName, posteriorName);
        if (parts.Refused())
            return;

        // Gates are relaxed in training; their draws are those of evaluation mode.
        parts.Weight.eval();
        parts.Bias.eval();
        using var _ = no_grad();
        var draws = new Tensor[Draws];
        for (int i = 0; i < Draws; i++)
            draws[i] = parts.Forward().flatten();
        long[] shape = parts.Forward().shape;

        Tensor jacobian = MapCase.Jacobian(parts.Map, parts.Input);
        Tensor biasJacobian = MapCase.BiasJacobian(parts.Map, parts.Input);
        Tensor mean = jacobian.mv(parts.Weight.Mean.flatten()) + biasJacobian.mv(parts.Bias.Mean);
        Tensor full = jacobian.mm(parts.PosteriorCase.Covariance(parts.Weight)).mm(jacobian.t())
            + biasJacobian.mm(parts.PosteriorCase.Covariance(parts.Bias)).mm(biasJacobian.t());
        SampleMoments.AssertMeanAndCovariance(stack(draws), mean, parts.EstimatorCase.Kept(full, shape, parts.Map.ChannelDimension(shape.Length), parts.PosteriorCase.KeepsChannels));
    }

    [Theory]
    [MemberData(nameof(Combinations))]
    public void GradientsAreThoseOfTheFunctionWithItsNoiseHeld(string estimatorName, string mapName, string posteriorName)
    {
        using var scope = NewDisposeScope();
        using var parts = new Parts(estimatorName, mapName, posteriorName);
        if (parts.Refused())
            return;

        Tensor input = Parts.Leaf(parts.Input.clone());
        Tensor slope = randn(parts.Forward().shape, dtype: ScalarType.Float64);
        (string, Tensor)[] leaves =
        [
            .. input.requires_grad ? [("input", input)] : Array.Empty<(string, Tensor)>(),
            .. parts.Weight.named_parameters().Select(entry => ($"weight.{entry.name}", (Tensor)entry.parameter)),
            .. parts.Bias.named_parameters().Select(entry => ($"bias.{entry.name}", (Tensor)entry.parameter)),
        ];
        FiniteDifferences.AssertGradients(
            () =>
            {
                parts.Noise.Seed = 17;
                Tensor output = parts.Forward(input);
                return (output * slope + output.square() / 2).sum();
            },
            leaves);
    }

    [Theory]
    [MemberData(nameof(Combinations))]
    public void ZeroInputsGiveFiniteOutputsAndGradients(string estimatorName, string mapName, string posteriorName)
    {
        foreach (ScalarType dtype in new[] { ScalarType.Float32, ScalarType.Float64 })
        {
            using var scope = NewDisposeScope();
            using var parts = new Parts(estimatorName, mapName, posteriorName, dtype);
            if (parts.Refused())
                return;
            Tensor input = Parts.Leaf(zeros_like(parts.Input));
            Tensor output = parts.EstimatorCase.Estimator.Forward(parts.Map, parts.Weight, null, input, parts.Noise);
            Assert.True(output.isfinite().all().item<bool>());
            (output.square().sum() + output.sum()).backward();
            foreach ((string name, TorchSharp.Modules.Parameter parameter) in parts.Weight.named_parameters())
                Assert.True(parameter.grad is null || parameter.grad.isfinite().all().item<bool>(), $"{name} has a gradient that is not finite.");
            Assert.True(input.grad is null || input.grad.isfinite().all().item<bool>(), "The input has a gradient that is not finite.");
        }
    }

    [Theory]
    [MemberData(nameof(Combinations))]
    public void EveryForwardDrawsFreshNoiseAndASeedRepeatsIt(string estimatorName, string mapName, string posteriorName)
    {
        using var scope = NewDisposeScope();
        using var parts = new Parts(estimatorName, mapName, posteriorName);
        if (parts.Refused())
            return;
        using var _ = no_grad();
        parts.Noise.Seed = 5;
        Tensor first = parts.Forward(), second = parts.Forward();
        parts.Noise.Seed = 5;
        Assert.True(parts.Forward().eq(first).all().item<bool>());
        Assert.True(parts.Forward().eq(second).all().item<bool>());
        Assert.Equal(parts.EstimatorCase.Estimator == Estimator.MeanOnly, first.eq(second).all().item<bool>());
    }

    /// <summary>An estimator, a map and posteriors of weight and bias with random parameters, and an input.</summary>
    private sealed class Parts : IDisposable
    {
        public Parts(string estimator, string map, string posterior, ScalarType dtype = ScalarType.Float64)
        {
            manual_seed(3);
            EstimatorCase = EstimatorCase.Named(estimator);
            PosteriorCase = PosteriorCase.Named(posterior);
            MapCase mapCase = MapCase.Named(map);
            Map = mapCase.Create();
            Weight = PosteriorCase.Create(randn(Map.WeightShape.ToArray(), dtype: dtype));
            Bias = PosteriorCase.Create(randn(Map.OutputChannels, dtype: dtype));
            Input = mapCase.Input(dtype);
            Noise = new NoiseSource(11);
        }

        public EstimatorCase EstimatorCase { get; }

        public PosteriorCase PosteriorCase { get; }

        public AffineMap Map { get; }

        public Posterior Weight { get; }

        public Posterior Bias { get; }

        public Tensor Input { get; }

        public NoiseSource Noise { get; }

        /// <summary>The tensor as a leaf that wants a gradient, where its entries are numbers.</summary>
        public static Tensor Leaf(Tensor value) => value.is_floating_point() ? value.requires_grad_(true) : value;

        public Tensor Forward(Tensor? input = null) => EstimatorCase.Estimator.Forward(Map, Weight, Bias, input ?? Input, Noise);

        /// <summary>Whether the estimator refuses the parts; it then must name itself or the posterior, and a remedy.</summary>
        public bool Refused()
        {
            if (EstimatorCase.Estimator.WhyNot(Map, Weight, Bias) is not { } reason)
                return false;
            var error = Assert.Throws<NotSupportedException>(() => EstimatorCase.Estimator.EnsureSupports(Map, Weight, Bias));
            Assert.Equal(reason, error.Message);
            Assert.Contains(Weight.GetName(), reason, StringComparison.Ordinal);
            Assert.Contains("Estimator.", reason, StringComparison.Ordinal);
            return true;
        }

        public void Dispose()
        {
            Weight.Dispose();
            Bias.Dispose();
            Noise.Dispose();
        }
    }
}
