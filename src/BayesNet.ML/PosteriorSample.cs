using BayesNet.Inference;
using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.ML;

/// <summary>
/// Networks drawn from a posterior, each as probable as any other: what a trained transformer predicts with, and what is saved. A draw is one function of
/// the features, so what is predicted for a row does not depend on the rows around it.
/// </summary>
/// <remarks>All draws are computed in one batched matrix product a layer. Nothing changes after creation: any number of threads may predict at a time.</remarks>
public sealed class PosteriorSample : IDisposable
{
    private readonly (Tensor Weight, Tensor Bias)[] _layers;

    /// <param name="layers">(samples, in, out) and (samples, 1, out) of each layer, float32; owned by this object.</param>
    /// <param name="activation">The function between the layers.</param>
    internal PosteriorSample(IReadOnlyList<(Tensor Weight, Tensor Bias)> layers, HiddenActivation activation)
    {
        _layers = [.. layers];
        Activation = activation;
        Count = (int)_layers[0].Weight.size(0);
        Inputs = (int)_layers[0].Weight.size(1);
        Outputs = (int)_layers[^1].Weight.size(2);
        WidestLayer = _layers.Max(layer => (int)layer.Weight.size(2));
    }

    /// <summary>How many networks.</summary>
    public int Count { get; }

    /// <summary>Features of a row.</summary>
    public int Inputs { get; }

    /// <summary>The function of the hidden units.</summary>
    public HiddenActivation Activation { get; }

    internal int Outputs { get; }

    internal int WidestLayer { get; }

    internal IReadOnlyList<(Tensor Weight, Tensor Bias)> Layers => _layers;

    /// <summary>Draws networks from what a method fitted; an ensemble is its own sample.</summary>
    /// <param name="posterior">Sequential networks of linear layers.</param>
    /// <param name="samples">How many to draw of a posterior that can be drawn from.</param>
    /// <param name="activation">The function between the layers.</param>
    /// <param name="seed">Seeds the draws.</param>
    internal static PosteriorSample Of(FittedPosterior posterior, int samples, HiddenActivation activation, ulong seed)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        NetworkPosterior[] members = posterior is EnsemblePosterior ensemble ? [.. ensemble.Members.Cast<NetworkPosterior>()] : [(NetworkPosterior)posterior];
        (Tensor Weight, Tensor Bias)[][] drawn = [.. members.Select(member => Draw(member, samples, seed))];
        return new PosteriorSample(
            [
                .. Enumerable.Range(0, drawn[0].Length).Select(layer => (
                    cat([.. drawn.Select(one => one[layer].Weight)], 0).transpose(1, 2).contiguous().DetachFromDisposeScope(),
                    cat([.. drawn.Select(one => one[layer].Bias)], 0).unsqueeze(1).contiguous().DetachFromDisposeScope())),
            ],
            activation);
    }

    /// <summary>The outputs of every network, (samples, rows, outputs).</summary>
    /// <param name="inputs">(rows, features), float32.</param>
    internal Tensor Evaluate(Tensor inputs)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor signal = inputs.unsqueeze(0);
        for (int i = 0; i < _layers.Length; i++)
        {
            if (i > 0)
                signal = Activation == HiddenActivation.Relu ? signal.relu() : signal.tanh();
            signal = signal.matmul(_layers[i].Weight).Plus(_layers[i].Bias);
        }

        return signal.MoveToOuterDisposeScope();
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        foreach ((Tensor weight, Tensor bias) in _layers)
        {
            weight.Dispose();
            bias.Dispose();
        }
    }

    /// <summary>(samples, out, in) and (samples, out) of each layer.</summary>
    private static (Tensor Weight, Tensor Bias)[] Draw(NetworkPosterior posterior, int samples, ulong seed)
    {
        using IDisposable seeded = posterior.Model.WithNoiseSeed(seed);
        (Tensor Weight, Tensor Bias)[] layers =
        [
            .. posterior.Model.children().Where(child => child is BayesLinear or Linear).Select(child => child is BayesLinear layer
                ? (layer.WeightPosterior.Sample(layer.Noise, samples), layer.BiasPosterior!.Sample(layer.Noise, samples))
                : (((Linear)child).weight.unsqueeze(0), ((Linear)child).bias!.unsqueeze(0))),
        ];

        // One noise level is an output that is the same for every row, so that all regressions have two outputs.
        if (posterior.Likelihood is GaussianLikelihood gaussian)
        {
            (Tensor weight, Tensor bias) = layers[^1];
            layers[^1] = (
                cat([weight, zeros_like(weight)], 1),
                cat([bias, full_like(bias, Math.Log(gaussian.Noise))], 1));
        }

        return layers;
    }
}
