using static TorchSharp.torch;

namespace BayesNet.Kernels;

/// <summary>libtorch's own recurrent networks as functions of their weights, which TorchSharp binds as modules alone.</summary>
/// <remarks>
/// <c>aten::lstm.input</c>, <c>gru.input</c>, <c>rnn_tanh.input</c> and <c>rnn_relu.input</c>; differentiable in everything, and on CUDA they are
/// cuDNN's.
/// </remarks>
internal static class RecurrentOperator
{
    /// <summary>Whether this libtorch lets itself be asked for them.</summary>
    internal static bool IsAvailable => StableDispatcher.IsAvailable;

    /// <summary>A network's output and its last states.</summary>
    /// <param name="name">The operator, ended by a zero.</param>
    /// <param name="input">(batch, time, features).</param>
    /// <param name="states">(layers * directions, batch, hidden) each: two of an LSTM, one of the others.</param>
    /// <param name="parameters">Those of each layer and direction in the order of TorchSharp's modules.</param>
    /// <param name="hasBiases">Whether there are biases among them.</param>
    /// <param name="layers">Layers.</param>
    /// <param name="dropout">The share of entries dropped between layers.</param>
    /// <param name="bidirectional">Whether each layer runs both ways.</param>
    /// <returns>(batch, time, directions * hidden), and the states in the order of <paramref name="states"/>.</returns>
    /// <exception cref="InvalidOperationException">libtorch refused.</exception>
    internal static (Tensor Output, Tensor[] States) Run(
        ReadOnlySpan<byte> name, Tensor input, Tensor[] states, Tensor[] parameters, bool hasBiases, long layers, double dropout, bool bidirectional)
    {
        Span<ulong> stack =
        [
            StableDispatcher.Argument(input),
            states.Length == 1 ? StableDispatcher.Argument(states[0]) : StableDispatcher.Argument(states),
            StableDispatcher.Argument(parameters),
            hasBiases ? 1UL : 0,
            (ulong)layers,
            BitConverter.DoubleToUInt64Bits(dropout),
            dropout > 0 ? 1UL : 0,
            bidirectional ? 1UL : 0,
            1,
        ];
        StableDispatcher.Call(name, "input\0"u8, stack);
        var last = new Tensor[states.Length];
        for (int i = 0; i < last.Length; i++)
            last[i] = StableDispatcher.Result(stack[i + 1]);
        return (StableDispatcher.Result(stack[0]), last);
    }
}
