using static TorchSharp.torch;

namespace BayesNet.Layers.Recurrent;

/// <summary>A recurrent network whose state is its output: <see cref="BayesGRU"/> and <see cref="BayesRNN"/>.</summary>
/// <inheritdoc cref="BayesianRecurrentLayer{TState, TResult}" path="/remarks"/>
public abstract class BayesianHiddenStateLayer : BayesianRecurrentLayer<Tensor?, (Tensor, Tensor)>
{
    private protected BayesianHiddenStateLayer(string name, RecurrentCell cell, RecurrentGeometry geometry, Device? device, ScalarType? dtype, BayesOptions? options)
        : base(name, cell, geometry, device, dtype, options)
    {
    }

    private protected BayesianHiddenStateLayer(string name, RecurrentCell cell, RecurrentGeometry geometry, nn.Module twin, BayesOptions? options)
        : base(name, cell, geometry, twin, options)
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
