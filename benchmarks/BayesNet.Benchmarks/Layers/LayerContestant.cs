using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Layers;

/// <summary>A layer by itself: a step of training, and a pass without gradients.</summary>
internal sealed class LayerContestant : IDisposable
{
    private const double TrainingSetSize = 10_000;

    private readonly nn.Module _layer;
    private readonly Func<nn.Module, Tensor> _forward;
    private readonly FusedAdam _optimizer;
    private readonly KlTerm? _divergence;
    private readonly Tensor _target;

    /// <summary>Creates a contestant; the layer becomes its own.</summary>
    public LayerContestant(nn.Module layer, Func<nn.Module, Tensor> forward)
    {
        (_layer, _forward) = (layer, forward);
        if (layer.BayesianModules().Any())
            _divergence = new KlTerm(layer);
        _optimizer = new FusedAdam(layer.parameters());
        using (no_grad())
        using (Tensor output = forward(layer))
            _target = zeros_like(output);
    }

    /// <summary>Forward, mean squared error, backward, divergence with its gradient as the trainer adds it, BayesNet's Adam.</summary>
    public void Step()
    {
        using var scope = NewDisposeScope();
        _optimizer.zero_grad();
        nn.functional.mse_loss(_forward(_layer), _target).backward();
        _divergence?.Accumulate(1 / TrainingSetSize);
        _optimizer.step();
    }

    /// <summary>Forward alone.</summary>
    public void Pass()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        _forward(_layer);
    }

    public void Dispose()
    {
        _optimizer.Dispose();
        _target.Dispose();
        _layer.Dispose();
    }
}
