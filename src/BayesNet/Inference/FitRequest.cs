using System.Diagnostics;
using BayesNet.Likelihoods;
using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Inference;

/// <summary>What <see cref="InferenceMethod.Fit"/> was given.</summary>
internal sealed record FitRequest(
    Func<nn.Module<Tensor, Tensor>> MakeNetwork, Func<Likelihood> MakeLikelihood, TrainingData Data, TrainingData? Validation,
    IProgress<TrainingProgress>? Progress, CancellationToken Cancellation)
{
    private readonly long _started = Stopwatch.GetTimestamp();

    /// <summary>The processes that fit together; null for this one alone.</summary>
    internal IFitPeers? Peers { get; init; }

    internal nn.Module<Tensor, Tensor> Network()
        => MakeNetwork() ?? throw new InvalidOperationException("The network factory returned null; it must make a network at every call.");

    internal Likelihood Likelihood()
        => MakeLikelihood() ?? throw new InvalidOperationException("The likelihood factory returned null; it must make a likelihood at every call.");

    /// <summary>Does what this process does by itself; where one of several fails, all throw.</summary>
    internal void Own(Action action)
    {
        if (Peers is null)
            action();
        else
            Peers.Together(action);
    }

    /// <summary>The request of a part of the fit, whose progress is a part of the whole's.</summary>
    /// <param name="before">The share of the fit that comes before the part, 0 to 1.</param>
    /// <param name="share">The share that the part is.</param>
    internal FitRequest Part(double before, double share) => Progress is { } whole ? this with { Progress = new PartOfProgress(whole, before, share, _started) } : this;

    /// <summary>A network without Bayesian layers.</summary>
    /// <param name="method">The name of the method that wants it.</param>
    internal nn.Module<Tensor, Tensor> DeterministicNetwork(string method) => Deterministic(Network(), method);

    internal static nn.Module<Tensor, Tensor> Deterministic(nn.Module<Tensor, Tensor> network, string method)
        => network.BayesianModules().FirstOrDefault() is (string name, not null)
            ? throw new InvalidOperationException(
                $"The network has a Bayesian layer ('{name}'); {method} finds its own posterior of deterministic weights: build the network with nn in place of bnn, "
                + "or use VariationalInference.")
            : network;

    private sealed class PartOfProgress(IProgress<TrainingProgress> whole, double before, double share, long started) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value)
        {
            double epochs = value.Epochs / share;
            whole.Report(value with
            {
                Epoch = (int)Math.Round(before * epochs) + value.Epoch,
                Epochs = (int)Math.Round(epochs),
                Fraction = Math.Min(1, before + share * value.Fraction),
                Elapsed = Stopwatch.GetElapsedTime(started),
            });
        }
    }
}
