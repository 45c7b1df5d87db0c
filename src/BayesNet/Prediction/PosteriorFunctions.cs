using BayesNet.Estimators;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>
/// Functions drawn from a model's posterior: each is the network under one draw of all its weights, the same at every input it is evaluated at,
/// however often. See <see cref="Predictor.DrawFunctions"/>.
/// </summary>
/// <remarks>
/// Under local reparameterization, weights per example and flipout each row of a prediction has noise of its own: every row's distribution is
/// right, and what is drawn is no function, since two rows that are equal differ. These draws hold one weight for all rows, whatever estimator the
/// model trains with. Nothing but a seed is stored: they are functions of the model as it stands when they are evaluated.
/// </remarks>
public sealed class PosteriorFunctions
{
    private readonly nn.Module<Tensor, Tensor> _model;
    private readonly PredictionOptions _options;

    internal PosteriorFunctions(nn.Module<Tensor, Tensor> model, int count, ulong seed, PredictionOptions options)
    {
        (_model, Count, Seed) = (model, count, seed);
        _options = options with { Seed = seed };
    }

    /// <summary>How many functions.</summary>
    public int Count { get; }

    /// <summary>The seed that they are drawn with: the same model, seed and count give the same functions.</summary>
    public ulong Seed { get; }

    /// <summary>The functions' values.</summary>
    /// <param name="inputs">(batch, ...) as the model takes it.</param>
    /// <returns>The network's outputs, (<see cref="Count"/>, batch, ...), without gradients; the caller's to dispose.</returns>
    /// <exception cref="NotSupportedException">A layer does not admit weights that all rows share.</exception>
    public Tensor Evaluate(Tensor inputs)
    {
        using IDisposable weights = _model.WithEstimator(Estimator.SharedWeights);
        return Predictor.SampleOutputs(_model, inputs, Count, _options);
    }
}
