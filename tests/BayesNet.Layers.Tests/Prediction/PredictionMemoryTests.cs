using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.TestKit;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Prediction;

/// <summary>What a prediction holds while it runs, and what it leaves.</summary>
public sealed class PredictionMemoryTests
{
    /// <summary>
    /// 10,000 rows x 1,000 samples x 4 classes are 160 MB of outputs; at a budget of 4 MiB, no pass makes more than that, and no pass's tensors
    /// are there at the next.
    /// </summary>
    [Fact]
    public void MomentsHoldNoSamples()
    {
        const int Rows = 10_000, Samples = 1000;
        const long Budget = 4 << 20;
        using var scope = NewDisposeScope();
        using var model = nn.Sequential(("out", bnn.Linear(2, 4)), ("watch", nn.Identity()));
        using var likelihood = new CategoricalLikelihood();
        long pairs = 0, most = 0;
        var counts = new HashSet<long>();
        ((Identity)model[1]).register_forward_hook((_, input, output) =>
        {
            pairs += input.size(0);
            most = Math.Max(most, input.numel() * input.element_size());
            counts.Add(Tensor.TotalCount);
            return output;
        });
        Tensor x = randn(Rows, 2);
        using Predictive predictive = Predictor.Predict(model, likelihood, x, Samples, new PredictionOptions { KeepSamples = false, MemoryBudget = Budget });

        // One row at the means first.
        Assert.Equal(1 + ((long)Rows * Samples), pairs);
        Assert.InRange(most, 1, Budget);
        Assert.Equal([Rows, 4], predictive.Mean.shape);

        // The first block makes the moments, later ones add to them: every pass but the first finds the same tensors alive.
        Assert.True(counts.Count < 10, $"The live tensors at the passes were {string.Join(", ", counts)}.");
    }

    [Theory]
    [InlineData("shared weights")]
    [InlineData("weights per example")]
    [InlineData("local reparameterization")]
    [InlineData("flipout")]
    [InlineData("mean only")]
    public void NothingIsLeftBehind(string estimator)
    {
        using var model = nn.Sequential(
            ("conv", bnn.Conv2d(1, 2, 3)), ("relu", nn.ReLU()), ("flatten", nn.Flatten()), ("out", bnn.Linear(8, 3)));
        using var likelihood = new CategoricalLikelihood();
        using var _ = model.WithEstimator(EstimatorCase.Named(estimator).Estimator);
        using Tensor x = randn(7, 1, 4, 4), y = zeros(7, ScalarType.Int64), wrong = randn(7, 1, 5, 5);
        Use();
        long before = LiveTensors.Settled();
        Use();
        Use();
        Assert.Equal(before, Tensor.TotalCount);

        void Use()
        {
            foreach (long budget in new[] { 1L, 5000, 1 << 25 })
            {
                var options = new PredictionOptions { MemoryBudget = budget };
                Predictor.Predict(model, likelihood, x, 5, options).Dispose();
                Predictor.Predict(model, likelihood, x, 5, options with { KeepSamples = false }).Dispose();
                Predictor.LogDensity(model, likelihood, x, y, 5, options).Dispose();
                Assert.ThrowsAny<Exception>(() => Predictor.Predict(model, likelihood, wrong, 5, options with { KeepSamples = false }));
            }
        }
    }
}
