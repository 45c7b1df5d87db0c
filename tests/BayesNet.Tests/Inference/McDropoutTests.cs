using BayesNet.Inference;
using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.TestKit;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Inference;

public sealed class McDropoutTests
{
    /// <summary>sum_i w_i x_i m_i / (1 - p) + b has mean w x + b and variance sum (w_i x_i)^2 p / (1 - p).</summary>
    [Fact]
    public void ALinearLayerHasTheMomentsOfTheFormula()
    {
        using var scope = NewDisposeScope();
        const double p = 0.3;
        using var model = nn.Sequential(nn.Dropout(p), nn.Linear(5, 2, dtype: ScalarType.Float64));
        using var likelihood = new GaussianLikelihood(noise: 0.2, dtype: ScalarType.Float64);
        var layer = (Linear)model.children().Last();
        Tensor x = tensor(new[,] { { 1.0, -2, 0.5, 3, 0 }, { 0.1, 0.2, -0.3, 0.4, 2 } });
        using FittedPosterior posterior = new McDropout { Seed = 7 }.Around(model, likelihood);
        Tensor outputs = posterior.SampleOutputs(x, 20_000);
        Tensor terms = x.unsqueeze(1) * layer.weight!.detach();
        SampleMoments.AssertMean(outputs.flatten(1), layer.call(x).detach().flatten());
        SampleMoments.AssertVariance(outputs.flatten(1), (terms.square().sum(dim: 2) * (p / (1 - p))).flatten());

        using Predictive predictive = posterior.Predict(x, 50);
        Assert.Equal(0.2, predictive.Aleatoric[0, 0].item<double>(), 1e-12);
        Assert.True(model.training, "The network's mode is not what it was.");
        Assert.True(((Dropout)model.children().First()).training);
    }

    [Fact]
    public void ASeedRepeatsAndLeavesTheGlobalSequence()
    {
        using var scope = NewDisposeScope();
        using var model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1));
        using var likelihood = new GaussianLikelihood();
        Tensor x = randn(4, 3);
        random.manual_seed(3);
        Tensor expected = rand(3);
        random.manual_seed(3);
        Tensor[] outputs = new Tensor[3];
        for (int i = 0; i < 3; i++)
        {
            using FittedPosterior posterior = new McDropout { Seed = i == 2 ? 12UL : 11UL }.Around(model, likelihood);
            Tensor first = posterior.SampleOutputs(x, 6);
            outputs[i] = posterior.SampleOutputs(x, 6);
            Assert.False(first.eq(outputs[i]).all().item<bool>(), "A call repeated the one before.");
        }

        Assert.True(outputs[0].eq(outputs[1]).all().item<bool>());
        Assert.False(outputs[0].eq(outputs[2]).all().item<bool>());
        Assert.True(rand(3).eq(expected).all().item<bool>(), "The global generator moved.");
    }

    [Fact]
    public void ANetworkWithoutDropoutIsRefused()
    {
        using var model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0), nn.Linear(8, 1));
        using var likelihood = new GaussianLikelihood();
        Assert.Contains("no dropout layer", Assert.Throws<InvalidOperationException>(() => new McDropout().Around(model, likelihood)).Message, StringComparison.Ordinal);
    }
}
