using BayesNet.Prediction;
using BayesNet.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Inference;

/// <summary>
/// The running means and variances of a network's batch normalisation, which belong to its weights: computed afresh, by a pass over the training set,
/// for weights that were not trained with them (Izmailov et al. 2018, section 3.2).
/// </summary>
/// <remarks>Keeps the training data, which have to live as long as it is used.</remarks>
internal sealed class BatchNormStatistics
{
    private readonly nn.Module<Tensor, Tensor> _model;
    private readonly TrainingData _data;
    private readonly long _batchSize;

    private BatchNormStatistics(nn.Module<Tensor, Tensor> model, TrainingData data, long batchSize)
        => (_model, _data, _batchSize) = (model, data, batchSize);

    /// <summary>Null for a network without batch normalisation.</summary>
    internal static BatchNormStatistics? For(nn.Module<Tensor, Tensor> model, TrainingData data, long batchSize)
        => Layers(model).Any() ? new(model, data, batchSize) : null;

    /// <summary>The averages over the minibatches, each of the weight of its rows, with the weights as they are.</summary>
    internal void Recompute()
    {
        using var modes = new NetworkModes(_model);
        using var _ = no_grad();
        _model.eval();
        NormBase[] layers = [.. Layers(_model)];
        double?[] momenta = [.. layers.Select(layer => layer.momentum)];
        Device device = _model.parameters().First().device;
        try
        {
            foreach (NormBase layer in layers)
                layer.train();
            long rows = 0;
            foreach ((Tensor inputs, Tensor targets) in _data.Minibatches(null, _batchSize))
            {
                using (targets)
                using (inputs)
                {
                    // A single row has no variance.
                    if (inputs.size(0) == 1 && rows > 0)
                        continue;
                    using var scope = NewDisposeScope();
                    rows += inputs.size(0);
                    foreach (NormBase layer in layers)
                        layer.momentum = (double)inputs.size(0) / rows;
                    _model.call(inputs.to(device)).Dispose();
                }
            }
        }
        finally
        {
            for (int i = 0; i < layers.Length; i++)
                layers[i].momentum = momenta[i];
        }
    }

    /// <summary>The layers that keep running statistics.</summary>
    internal static IEnumerable<NormBase> Layers(nn.Module model)
        => model.modules().Append(model).OfType<NormBase>().Where(layer => layer.track_running_stats).Distinct();
}
