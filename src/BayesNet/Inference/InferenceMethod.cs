using BayesNet.Likelihoods;
using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Inference;

/// <summary>
/// A way from data to a posterior over networks: an immutable set of options, and <see cref="Fit"/>. Every method takes the same network, likelihood
/// and data and returns a <see cref="FittedPosterior"/>, so that comparing methods is a loop over them.
/// </summary>
public abstract record InferenceMethod
{
    private protected InferenceMethod()
    {
    }

    /// <summary>The name as papers write it.</summary>
    public abstract string Name { get; }

    /// <summary>
    /// Seeds initial weights, the order of the rows and all noise, predictions included, so that a program repeats itself on the same machine (on
    /// the CPU); null, the default, for libtorch's global generator. That generator is left as it was.
    /// </summary>
    public ulong? Seed { get; init; }

    /// <summary>Fits networks to data.</summary>
    /// <param name="network">
    /// Makes a network with fresh initial weights, on the device and of the type that it is to have; called once for each network that the method trains. What
    /// it returns belongs to the posterior.
    /// </param>
    /// <param name="likelihood">Makes a likelihood; called as often, since what a likelihood learns belongs to one network.</param>
    /// <param name="data">The training set.</param>
    /// <param name="validation">Data that training scores after epochs, for the history and what <see cref="TrainerOptions"/> do with it; never trained on.</param>
    /// <param name="progress">Told how the fit goes, over all networks that the method trains; null for nobody.</param>
    /// <param name="cancellationToken">Stops the fit between two steps; what was learned is then lost.</param>
    /// <returns>The posterior, the caller's to dispose.</returns>
    /// <exception cref="InvalidOperationException">The network is not one that the method can fit; the message says which is.</exception>
    /// <exception cref="NotSupportedException">The method can't do with the likelihood; the message says which it can.</exception>
    /// <exception cref="OperationCanceledException">The fit was cancelled.</exception>
    public FittedPosterior Fit(
        Func<nn.Module<Tensor, Tensor>> network,
        Func<Likelihood> likelihood,
        TrainingData data,
        TrainingData? validation = null,
        IProgress<TrainingProgress>? progress = null,
        CancellationToken cancellationToken = default)
        => FitTogether(network, likelihood, data, validation, progress, peers: null, cancellationToken);

    /// <summary>Fits on several processes together, which all make this call; null for one alone.</summary>
    internal FittedPosterior FitTogether(
        Func<nn.Module<Tensor, Tensor>> network, Func<Likelihood> likelihood, TrainingData data, TrainingData? validation, IProgress<TrainingProgress>? progress,
        IFitPeers? peers, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(network);
        ArgumentNullException.ThrowIfNull(likelihood);
        ArgumentNullException.ThrowIfNull(data);
        using var stream = new GlobalStream(Seed);
        using (stream.Enter())
            return FitCore(new FitRequest(network, likelihood, data, validation, progress, cancellationToken) { Peers = peers });
    }

    internal abstract FittedPosterior FitCore(FitRequest request);
}
