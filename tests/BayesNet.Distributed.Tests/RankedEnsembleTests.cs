using BayesNet.Inference;
using BayesNet.Likelihoods;
using BayesNet.Training;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Distributed.Tests;

/// <summary>An ensemble over ranks; that it is the ensemble of one process on any number of them, <see cref="PosteriorWorkTests"/> finds out.</summary>
public sealed class RankedEnsembleTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly SingleProcess _ranks = new();

    public void Dispose()
    {
        _ranks.Dispose();
        _scope.Dispose();
    }

    [Fact]
    public void AnEnsembleWithoutASeedIsRefused()
    {
        var data = new TrainingData(zeros(4, 2), zeros(4, 1));
        Assert.Contains("seed", Assert.Throws<ArgumentException>(() => new DeepEnsemble().FitOnRanks(_ranks, Network, Likelihood, data, cancellationToken: TestContext.Current.CancellationToken)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AMemberThatFailsIsNamed()
    {
        var data = new TrainingData(zeros(4, 3), zeros(4, 1));
        CollectiveException error = Assert.Throws<CollectiveException>(() => new DeepEnsemble { Seed = 1 }.FitOnRanks(_ranks, Network, Likelihood, data, cancellationToken: TestContext.Current.CancellationToken));
        Assert.StartsWith("Member 0 failed on rank 0", error.Message, StringComparison.Ordinal);
        Assert.NotNull(error.InnerException);
    }

    private static nn.Module<Tensor, Tensor> Network() => nn.Sequential(("hidden", nn.Linear(2, 10)), ("tanh", nn.Tanh()), ("out", nn.Linear(10, 1)));

    private static Likelihood Likelihood() => new GaussianLikelihood();
}
