using BayesNet.Divergences;
using BayesNet.Estimators;
using BayesNet.Posteriors;
using BayesNet.Priors;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Scaling;

/// <summary>A posterior of one group of d entries and the pieces of a training step that it pays for; float32.</summary>
internal sealed class PosteriorCost : IDisposable
{
    private readonly Posterior _posterior;
    private readonly GaussianPrior _prior = new();
    private readonly NoiseSource _noise;

    public PosteriorCost(Posterior posterior, ulong seed)
    {
        _posterior = posterior;
        _noise = new NoiseSource(seed);
    }

    public static Posterior MeanField(long size) => Made(size, mean => new MeanFieldGaussian(mean, 0.1));

    public static Posterior LowRank(long size, int rank) => Made(size, mean => new LowRankGaussian(mean, 0.1, rank));

    public static Posterior Full(long size) => Made(size, mean => new FullCovarianceGaussian(mean, 0.1));

    /// <summary>Bytes of the parameters.</summary>
    public double ParameterBytes => _posterior.parameters().Sum(parameter => (double)parameter.numel() * parameter.element_size());

    /// <summary>One draw, without gradients.</summary>
    public void Sample()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        _posterior.Sample(_noise);
    }

    /// <summary>KL(q || N(0, 1)) and its gradient.</summary>
    public void Divergence()
    {
        using var scope = NewDisposeScope();
        ClearGradients();
        KlDivergences.Compute(_posterior, _prior).backward();
    }

    /// <summary>What a step pays for the posterior: a draw, the KL divergence, and the gradients through both.</summary>
    public void Step()
    {
        using var scope = NewDisposeScope();
        ClearGradients();
        (_posterior.Sample(_noise).sum() + KlDivergences.Compute(_posterior, _prior)).backward();
    }

    public void Dispose()
    {
        _posterior.Dispose();
        _prior.Dispose();
        _noise.Dispose();
    }

    private static Posterior Made(long size, Func<Tensor, Posterior> make)
    {
        using Tensor mean = zeros(1, size);
        return make(mean);
    }

    private void ClearGradients()
    {
        foreach (Parameter parameter in _posterior.parameters())
            parameter.grad = null;
    }
}
