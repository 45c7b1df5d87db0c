using BayesNet.Estimators;
using BayesNet.Inference;
using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.TestKit;
using BayesNet.Training;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Inference;

public sealed class SwagTests
{
    /// <summary>Algorithm 1 line by line on a given path of the weights, and the moments of draws, equation 1.</summary>
    [Theory]
    [InlineData(0.5)]
    [InlineData(1.0)]
    public void DrawsHaveTheCovarianceOfThePaper(double scale)
    {
        using var scope = NewDisposeScope();
        const int snapshots = 7, rank = 4;
        Tensor path = (arange(snapshots * 3, dtype: ScalarType.Float64).reshape(snapshots, 3) * 1.3).sin() + 5;
        var parameters = new[] { new Parameter(zeros(2, ScalarType.Float64)), new Parameter(zeros([], ScalarType.Float64)) };
        using var moments = new SwagMoments(rank);
        Tensor mean = zeros(3, ScalarType.Float64), squares = zeros(3, ScalarType.Float64);
        var columns = new List<Tensor>();
        for (int i = 0; i < snapshots; i++)
        {
            Tensor weights = path[i];
            using (no_grad())
            {
                parameters[0].copy_(weights.narrow(0, 0, 2));
                parameters[1].copy_(weights[2]);
            }

            moments.Add(parameters);
            mean = (mean * i + weights) / (i + 1);
            squares = (squares * i + weights.square()) / (i + 1);
            columns.Add(weights - mean);
        }

        Tensor deviations = stack(columns.TakeLast(rank).ToArray(), 1);
        Tensor covariance = scale * ((squares - mean.square()).diag() + deviations.mm(deviations.t()) / (rank - 1));
        using var noise = new NoiseSource(2);
        var draws = new Tensor[20_000];
        for (int s = 0; s < draws.Length; s++)
        {
            moments.LoadSample(parameters, scale, noise);
            draws[s] = cat([parameters[0].detach(), parameters[1].detach().unsqueeze(0)], 0);
        }

        SampleMoments.AssertMeanAndCovariance(stack(draws), mean, covariance);
    }

    /// <summary>The statistics of batch normalisation are those of the weights that are in the network, and all is put back.</summary>
    [Fact]
    public void BatchNormalisationFollowsTheWeights()
    {
        using var scope = NewDisposeScope();
        Tensor x = randn(50, 3, dtype: ScalarType.Float64) * 2 + 1;
        using var model = nn.Sequential(nn.Linear(3, 2, dtype: ScalarType.Float64), nn.BatchNorm1d(2, dtype: ScalarType.Float64), nn.Linear(2, 1, dtype: ScalarType.Float64));
        var norm = (BatchNorm1d)model.children().ElementAt(1);
        BatchNormStatistics statistics = BatchNormStatistics.For(model, new TrainingData(x, zeros(50, 1)), 25)!;
        statistics.Recompute();
        Tensor hidden = ((Linear)model.children().First()).call(x).detach();
        Tensor mean = hidden.mean([0]), variance = (hidden[..25].var(0) + hidden[25..].var(0)) / 2;
        Assert.True(norm.running_mean!.allclose(mean), "The running mean is not that of the rows.");
        Assert.True(norm.running_var!.allclose(variance), "The running variance is not the mean of the minibatches'.");
        Assert.Equal(0.1, norm.momentum);

        using FittedPosterior fitted = new Swag { Snapshots = 3, Training = new TrainerOptions { Epochs = 1, BatchSize = 25 }, Seed = 1 }.Fit(
            () => nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 1)), () => new GaussianLikelihood(), new TrainingData(x.to(ScalarType.Float32), zeros(50, 1)), cancellationToken: TestContext.Current.CancellationToken);
        Dictionary<string, Tensor> before = ((SwagPosterior)fitted).Model.state_dict().ToDictionary(entry => entry.Key, entry => entry.Value.clone());
        using Predictive predictive = fitted.Predict(x.to(ScalarType.Float32), 5);
        Assert.True(predictive.Epistemic.min().item<float>() > 0);
        Assert.All(((SwagPosterior)fitted).Model.state_dict(), entry => Assert.True(entry.Value.eq(before[entry.Key]).all().item<bool>(), entry.Key));
    }
}
