using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Posteriors;
using BayesNet.Prediction;
using BayesNet.TestKit;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Prediction;

/// <summary>Draws that are functions, seeds of a call, and predictions batch by batch.</summary>
public sealed class PosteriorFunctionsTests
{
    private const int Count = 5;

    private static Sequential Model()
    {
        var options = new BayesOptions { Posterior = new MeanFieldGaussianSpecification { InitialStdDev = 0.5 } };
        return nn.Sequential(("hidden", bnn.Linear(2, 6, options: options)), ("tanh", nn.Tanh()), ("out", bnn.Linear(6, 1, options: options)));
    }

    [Theory]
    [MemberData(nameof(Estimators))]
    public void EachIsOneFunctionWhateverTheEstimator(string estimator)
    {
        using var scope = NewDisposeScope();
        using var model = Model();
        using var _ = model.WithEstimator(EstimatorCase.Named(estimator).Estimator);
        PosteriorFunctions functions = Predictor.DrawFunctions(model, Count, seed: 3);
        Tensor x = randn(7, 2);
        Tensor values = functions.Evaluate(cat([x, x.flip(0)], 0));
        Assert.Equal([Count, 14L, 1L], values.shape);

        // Equal rows have equal values, at any place of any batch, up to the rounding of matrix products of other sizes.
        Near(values.narrow(1, 0, 7), values.narrow(1, 7, 7).flip(1));
        Near(values.narrow(1, 2, 1), functions.Evaluate(x.narrow(0, 2, 1)));
        Near(values, Predictor.DrawFunctions(model, Count, seed: 3).Evaluate(cat([x, x.flip(0)], 0)));

        // The functions differ from each other, and another seed gives others.
        Assert.True(values.std([0L], false, true).min().item<float>() > 1e-3);
        Assert.True((Predictor.DrawFunctions(model, Count, seed: 4).Evaluate(x) - values.narrow(1, 0, 7)).abs().max().item<float>() > 1e-3);
        Assert.NotEqual(Predictor.DrawFunctions(model, Count).Seed, Predictor.DrawFunctions(model, Count).Seed);
        Assert.All(model.BayesianModules(), entry => Assert.Same(EstimatorCase.Named(estimator).Estimator, entry.Module.Estimator));
    }

    public static TheoryData<string> Estimators => [.. EstimatorCase.All.Select(estimator => estimator.Name)];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ASeedIsOfTheCallAlone(bool seeded)
    {
        using var scope = NewDisposeScope();
        using var model = Model();
        Tensor x = randn(4, 2);
        if (seeded)
            model.SeedNoise(9);
        var options = new PredictionOptions { Seed = 11 };
        Tensor first = Predictor.SampleOutputs(model, x, 3, options), second = Predictor.SampleOutputs(model, x, 3, options);
        Assert.True(first.equal(second).all().item<bool>());
        if (!seeded)
            return;

        // The layers' noise goes on as if the seeded calls had not been.
        Tensor after = Predictor.SampleOutputs(model, x, 3);
        model.SeedNoise(9);
        Assert.True(after.equal(Predictor.SampleOutputs(model, x, 3)).all().item<bool>());
    }

    [Fact]
    public void BatchesOfALoaderAreThoseOfOneCall()
    {
        using var scope = NewDisposeScope();
        using var model = Model();
        using var likelihood = new GaussianLikelihood(noise: 0.3);
        using var _ = model.WithEstimator(Estimator.SharedWeights);
        Tensor x = randn(10, 2);
        var options = new PredictionOptions { Seed = 5 };
        using Predictive whole = Predictor.Predict(model, likelihood, x, 20, options);
        var means = new List<Tensor>();
        var seen = new List<Predictive>();
        foreach (Predictive part in Predictor.PredictBatches(model, likelihood, [x.narrow(0, 0, 4), x.narrow(0, 4, 4), x.narrow(0, 8, 2)], 20, options))
        {
            // A tensor made here is the caller's, and outlives the turn.
            means.Add(part.Mean.clone());
            seen.Add(part);
        }

        Near(whole.Mean, cat(means, 0));
        Assert.All(seen, part => Assert.Throws<ObjectDisposedException>(() => part.StdDev));
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var model = Model();
        using var likelihood = new GaussianLikelihood(noise: 0.3);
        Assert.Equal("count", Assert.Throws<ArgumentOutOfRangeException>(() => Predictor.DrawFunctions(model, 0)).ParamName);

        // At the call, not when the first batch is asked for.
        Assert.Equal("samples", Assert.Throws<ArgumentOutOfRangeException>(() => Predictor.PredictBatches(model, likelihood, [], 0)).ParamName);
        Assert.Equal("loader", Assert.Throws<ArgumentNullException>(() => Predictor.PredictBatches(model, likelihood, null!)).ParamName);
    }

    private static void Near(Tensor expected, Tensor actual)
        => Assert.InRange((expected - actual).abs().max().item<float>(), 0, 5e-6);
}
