using BayesNet.Layers.Recurrent;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Layers;

/// <summary>A Bayesian <c>nn.GRU</c>; <see cref="bnn"/> has its factories.</summary>
/// <inheritdoc cref="BayesianRecurrentLayer{TState, TResult}" path="/remarks"/>
public sealed class BayesGRU : BayesianRecurrentLayer<Tensor?, (Tensor, Tensor)>
{
    /// <summary>Creates a layer.</summary>
    /// <param name="inputSize">Features of the input.</param>
    /// <param name="hiddenSize">Units of each layer and direction.</param>
    /// <param name="numLayers">Layers.</param>
    /// <param name="bias">Whether there are biases.</param>
    /// <param name="batchFirst">Whether inputs and outputs are (batch, time, features), not (time, batch, features).</param>
    /// <param name="dropout">The share of entries dropped between layers in training mode.</param>
    /// <param name="bidirectional">Whether each layer runs both ways.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1, or <paramref name="dropout"/> is not between 0 and 1.</exception>
    /// <exception cref="NotSupportedException">The type is a half-precision one, or the estimator does not fit the posterior.</exception>
    public BayesGRU(
        long inputSize, long hiddenSize, long numLayers = 1, bool bias = true, bool batchFirst = false, double dropout = 0, bool bidirectional = false,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        : base(nameof(BayesGRU), new GruCell(), new(inputSize, hiddenSize, numLayers, bias, batchFirst, dropout, bidirectional), device, dtype, options)
    {
    }

    /// <summary>Creates a layer whose means start at copies of a trained layer's weights.</summary>
    /// <param name="trained">Gives sizes, directions, biases, type and device.</param>
    /// <param name="batchFirst">As <paramref name="trained"/> was made, which it does not tell.</param>
    /// <param name="dropout">As <paramref name="trained"/> was made, which it does not tell.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="NotSupportedException">The type is a half-precision one, or the estimator does not fit the posterior.</exception>
    public BayesGRU(GRU trained, bool batchFirst = false, double dropout = 0, BayesOptions? options = null)
        : base(nameof(BayesGRU), new GruCell(), RecurrentGeometry.Of(trained, batchFirst, dropout), trained, options)
    {
    }

    /// <summary>The outputs of the last layer at every step and the last state, with noise as the estimator draws it, fresh at every call.</summary>
    /// <param name="input">(time, batch, features), (batch, time, features) with <c>batchFirst</c>, or (time, features).</param>
    /// <param name="h0">(layers * directions, batch, hidden), without the batch where the input has none; null for zeros.</param>
    /// <returns>The output, (time, batch, directions * hidden) or as the input is laid out, h_n as the state is; differentiable.</returns>
    /// <exception cref="ArgumentException">The input's or the state's shape or type does not fit the layer.</exception>
    public override (Tensor, Tensor) forward(Tensor input, Tensor? h0)
    {
        (Tensor output, Tensor[] states) = Run(input, h0 is null ? null : [h0]);
        return (output, states[0]);
    }

    /// <inheritdoc cref="forward"/>
    public new (Tensor, Tensor) call(Tensor input, Tensor? h0 = null) => base.call(input, h0);

    /// <summary>The same of packed sequences of different lengths, step by step whatever the estimator.</summary>
    /// <inheritdoc cref="forward"/>
    public (nn.utils.rnn.PackedSequence, Tensor) call(nn.utils.rnn.PackedSequence input, Tensor? h0 = null)
    {
        (nn.utils.rnn.PackedSequence output, Tensor[] states) = Run(input, h0 is null ? null : [h0]);
        return (output, states[0]);
    }
}
