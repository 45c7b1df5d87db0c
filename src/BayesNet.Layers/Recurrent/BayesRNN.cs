using BayesNet.Layers.Recurrent;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Layers;

/// <summary>A Bayesian <c>nn.RNN</c>; <see cref="bnn"/> has its factories.</summary>
/// <inheritdoc cref="BayesianRecurrentLayer{TState, TResult}" path="/remarks"/>
public sealed class BayesRNN : BayesianHiddenStateLayer
{
    /// <summary>Creates a layer.</summary>
    /// <param name="inputSize">Features of the input.</param>
    /// <param name="hiddenSize">Units of each layer and direction.</param>
    /// <param name="numLayers">Layers.</param>
    /// <param name="nonLinearity">tanh or the rectifier.</param>
    /// <param name="bias">Whether there are biases.</param>
    /// <param name="batchFirst">Whether inputs and outputs are (batch, time, features), not (time, batch, features).</param>
    /// <param name="dropout">The share of entries dropped between layers in training mode.</param>
    /// <param name="bidirectional">Whether each layer runs both ways.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1, or <paramref name="dropout"/> is not between 0 and 1.</exception>
    /// <exception cref="NotSupportedException">The type is a half-precision one, or the estimator does not fit the posterior.</exception>
    public BayesRNN(
        long inputSize, long hiddenSize, long numLayers = 1, nn.NonLinearities nonLinearity = nn.NonLinearities.Tanh, bool bias = true, bool batchFirst = false, double dropout = 0, bool bidirectional = false,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        : base(nameof(BayesRNN), new ElmanCell(nonLinearity == nn.NonLinearities.ReLU), new(inputSize, hiddenSize, numLayers, bias, batchFirst, dropout, bidirectional), device, dtype, options)
        => NonLinearity = nonLinearity;

    /// <summary>Creates a layer whose means start at copies of a trained layer's weights.</summary>
    /// <param name="trained">Gives sizes, directions, biases, type and device.</param>
    /// <param name="nonLinearity">As <paramref name="trained"/> was made, which it does not tell.</param>
    /// <param name="batchFirst">As <paramref name="trained"/> was made, which it does not tell.</param>
    /// <param name="dropout">As <paramref name="trained"/> was made, which it does not tell.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="NotSupportedException">The type is a half-precision one, or the estimator does not fit the posterior.</exception>
    public BayesRNN(RNN trained, nn.NonLinearities nonLinearity = nn.NonLinearities.Tanh, bool batchFirst = false, double dropout = 0, BayesOptions? options = null)
        : base(nameof(BayesRNN), new ElmanCell(nonLinearity == nn.NonLinearities.ReLU), RecurrentGeometry.Of(trained, batchFirst, dropout), trained, options)
        => NonLinearity = nonLinearity;

    /// <summary>tanh or the rectifier.</summary>
    public nn.NonLinearities NonLinearity { get; }
}
