using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Layers;

#pragma warning disable IDE1006, CS8981, CA1707 // The name and the arguments are those of torch.nn, so that replacing "nn." by "bnn." is all it takes.

public static partial class bnn
{
    /// <summary>The Bayesian twin of <c>nn.LSTM</c>.</summary>
    /// <inheritdoc cref="BayesLSTM(long, long, long, bool, bool, double, bool, Device, ScalarType?, BayesOptions)"/>
    public static BayesLSTM LSTM(
        long inputSize, long hiddenSize, long numLayers = 1, bool bias = true, bool batchFirst = false, double dropout = 0, bool bidirectional = false,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => new(inputSize, hiddenSize, numLayers, bias, batchFirst, dropout, bidirectional, device, dtype, options);

    /// <summary>The Bayesian twin of a trained <c>nn.LSTM</c>: the means start at copies of its weights.</summary>
    /// <inheritdoc cref="BayesLSTM(LSTM, bool, double, BayesOptions)"/>
    public static BayesLSTM LSTM(
        LSTM trained, bool batchFirst = false, double dropout = 0, BayesOptions? options = null)
        => new(trained, batchFirst, dropout, options);

    /// <summary>The Bayesian twin of <c>nn.GRU</c>.</summary>
    /// <inheritdoc cref="BayesGRU(long, long, long, bool, bool, double, bool, Device, ScalarType?, BayesOptions)"/>
    public static BayesGRU GRU(
        long inputSize, long hiddenSize, long numLayers = 1, bool bias = true, bool batchFirst = false, double dropout = 0, bool bidirectional = false,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => new(inputSize, hiddenSize, numLayers, bias, batchFirst, dropout, bidirectional, device, dtype, options);

    /// <summary>The Bayesian twin of a trained <c>nn.GRU</c>: the means start at copies of its weights.</summary>
    /// <inheritdoc cref="BayesGRU(GRU, bool, double, BayesOptions)"/>
    public static BayesGRU GRU(
        GRU trained, bool batchFirst = false, double dropout = 0, BayesOptions? options = null)
        => new(trained, batchFirst, dropout, options);

    /// <summary>The Bayesian twin of <c>nn.RNN</c>.</summary>
    /// <inheritdoc cref="BayesRNN(long, long, long, nn.NonLinearities, bool, bool, double, bool, Device, ScalarType?, BayesOptions)"/>
    public static BayesRNN RNN(
        long inputSize, long hiddenSize, long numLayers = 1, nn.NonLinearities nonLinearity = nn.NonLinearities.Tanh, bool bias = true, bool batchFirst = false, double dropout = 0, bool bidirectional = false,
        Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => new(inputSize, hiddenSize, numLayers, nonLinearity, bias, batchFirst, dropout, bidirectional, device, dtype, options);

    /// <summary>The Bayesian twin of a trained <c>nn.RNN</c>: the means start at copies of its weights.</summary>
    /// <inheritdoc cref="BayesRNN(RNN, nn.NonLinearities, bool, double, BayesOptions)"/>
    public static BayesRNN RNN(
        RNN trained, nn.NonLinearities nonLinearity = nn.NonLinearities.Tanh, bool batchFirst = false, double dropout = 0, BayesOptions? options = null)
        => new(trained, nonLinearity, batchFirst, dropout, options);
}
