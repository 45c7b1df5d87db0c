using BayesNet.Likelihoods;
using BayesNet.Prediction;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Inference;

/// <summary>
/// A posterior whose samples are weights that are put into the network one after the other, all rows of a call under the same ones: samples are
/// functions. What the likelihood learns is sampled with them.
/// </summary>
public abstract class WeightPosterior : NetworkPosterior
{
    private protected WeightPosterior(string method, nn.Module<Tensor, Tensor> model, Likelihood likelihood)
        : base(method, model, likelihood)
    {
    }

    private protected override bool LikelihoodVaries => Likelihood.parameters().Any(parameter => parameter.requires_grad);

    internal override void Run(Tensor inputs, SampleRange samples, PredictionOptions options, Action<SampleBlock> receive)
    {
        using var state = new NetworkState(Model, Likelihood);
        using var sampler = new PosteriorSampler(Model, options, sample => Load(samples.First + sample, samples.Total), LikelihoodVaries);
        sampler.Run(inputs, samples.Count, receive);
    }

    /// <summary>Puts one of <paramref name="samples"/> samples into the network and the likelihood; without gradients.</summary>
    private protected abstract void Load(long sample, int samples);
}

/// <summary>Copies of the trained parameters of a network and its likelihood at several times, on their device.</summary>
internal sealed class WeightSamples : IDisposable
{
    private readonly Tensor[] _stored;

    /// <summary>Makes room.</summary>
    /// <param name="parameters">Parameters like those that are to be stored.</param>
    /// <param name="count">How many samples there are to be.</param>
    internal WeightSamples(IReadOnlyList<Parameter> parameters, int count)
    {
        Count = count;
        using var _ = no_grad();
        _stored =
        [
            .. parameters.Select(parameter => empty([count, .. parameter.shape], dtype: parameter.dtype, device: parameter.device).DetachFromDisposeScope()),
        ];
    }

    internal int Count { get; }

    /// <summary>Stores the parameters as they are as one of the samples.</summary>
    internal void Store(int sample, IReadOnlyList<Parameter> parameters)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        for (int i = 0; i < _stored.Length; i++)
            _stored[i].select(0, sample).copy_(parameters[i]);
    }

    /// <summary>Gives every process some samples of one of them.</summary>
    internal void Broadcast(IFitPeers peers, int first, int count, int root)
    {
        using var scope = NewDisposeScope();
        foreach (Tensor stored in _stored)
            peers.Broadcast(stored.narrow(0, first, count), root);
    }

    /// <summary>Sets the parameters to what was stored.</summary>
    internal void Load(int sample, IReadOnlyList<Parameter> parameters)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        for (int i = 0; i < _stored.Length; i++)
            parameters[i].copy_(_stored[i].select(0, sample));
    }

    /// <summary>What was stored of a parameter, (samples, ...).</summary>
    internal Tensor Of(int parameter) => _stored[parameter];

    public void Dispose()
    {
        foreach (Tensor stored in _stored)
            stored.Dispose();
    }
}

/// <summary>The weights that Markov chains visited, each as probable as any other.</summary>
public sealed class SampledPosterior : WeightPosterior
{
    private readonly WeightSamples _samples;

    internal SampledPosterior(string method, nn.Module<Tensor, Tensor> model, Likelihood likelihood, WeightSamples samples, int chains)
        : base(method, model, likelihood)
        => (_samples, Chains) = (samples, chains);

    /// <summary>The number of chains.</summary>
    public int Chains { get; }

    /// <summary>The stored samples of all chains together.</summary>
    public int Samples => _samples.Count;

    /// <summary>
    /// The samples of a parameter in the order in which they were taken, for <see cref="Diagnostics.ChainDiagnostics"/>; the caller's to dispose.
    /// </summary>
    /// <param name="name">The parameter's name in the network, or, behind "likelihood.", in the likelihood.</param>
    /// <returns>(chains, samples of a chain, ...).</returns>
    /// <exception cref="ArgumentException">There is no sampled parameter of the name.</exception>
    public Tensor Draws(string name)
    {
        string[] names =
        [
            .. Model.named_parameters().Where(entry => entry.parameter.requires_grad).Select(entry => entry.name),
            .. Likelihood.named_parameters().Where(entry => entry.parameter.requires_grad).Select(entry => "likelihood." + entry.name),
        ];
        int index = Array.IndexOf(names, name);
        if (index < 0)
            throw new ArgumentException($"No parameter '{name}' was sampled; those that were are {string.Join(", ", names)}.", nameof(name));
        using var scope = NewDisposeScope();
        Tensor stored = _samples.Of(index);
        return stored.reshape([Chains, stored.size(0) / Chains, .. stored.shape.AsSpan(1)]).clone().MoveToOuterDisposeScope();
    }

    internal override int Used(int samples) => Math.Min(samples, Samples);

    // Fewer than there are lie evenly over the chains.
    private protected override void Load(long sample, int samples)
        => _samples.Load((int)((2 * sample + 1) * Samples / (2L * samples)), TrainedParameters.Of(Model, Likelihood));

    private protected override void Dispose(bool disposing)
    {
        _samples.Dispose();
        base.Dispose(disposing);
    }
}
