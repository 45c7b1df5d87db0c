using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Layers.Recurrent;

/// <summary>What a recurrent network does at one step, its products with the weights already made.</summary>
internal abstract class RecurrentCell
{
    /// <summary>How many rows of a weight there are for each hidden unit.</summary>
    internal abstract int Gates { get; }

    /// <summary>How many tensors the state has; the first is the output.</summary>
    internal virtual int States => 1;

    /// <summary>The operator of libtorch that runs all steps of all layers, ended by a zero.</summary>
    internal abstract ReadOnlySpan<byte> Operator { get; }

    /// <summary>The state after a step.</summary>
    /// <param name="fromInput">W_ih x + b_ih, (batch, gates * hidden).</param>
    /// <param name="fromState">W_hh h + b_hh, the same shape.</param>
    /// <param name="state">The state before, (batch, hidden) each.</param>
    internal abstract Tensor[] Step(Tensor fromInput, Tensor fromState, Tensor[] state);
}

/// <summary>i, f, o = sigmoid, g = tanh; c' = f c + i g; h' = o tanh(c') (Hochreiter and Schmidhuber 1997; Gers et al. 2000).</summary>
internal sealed class LstmCell : RecurrentCell
{
    internal override int Gates => 4;

    internal override int States => 2;

    internal override ReadOnlySpan<byte> Operator => "aten::lstm\0"u8;

    internal override Tensor[] Step(Tensor fromInput, Tensor fromState, Tensor[] state)
    {
        Tensor[] gates = fromInput.Plus(fromState).chunk(4, 1);
        Tensor cell = addcmul(gates[1].sigmoid().mul(state[1]), gates[0].sigmoid(), gates[2].tanh(), Scalars.One);
        return [gates[3].sigmoid().mul(cell.tanh()), cell];
    }
}

/// <summary>r, z = sigmoid; n = tanh(W_in x + b_in + r (W_hn h + b_hn)); h' = (1 - z) n + z h (Cho et al. 2014, with the reset gate behind the product).</summary>
internal sealed class GruCell : RecurrentCell
{
    internal override int Gates => 3;

    internal override ReadOnlySpan<byte> Operator => "aten::gru\0"u8;

    internal override Tensor[] Step(Tensor fromInput, Tensor fromState, Tensor[] state)
    {
        Tensor[] input = fromInput.chunk(3, 1), hidden = fromState.chunk(3, 1);
        Tensor reset = input[0].Plus(hidden[0]).sigmoid(), update = input[1].Plus(hidden[1]).sigmoid();
        Tensor candidate = addcmul(input[2], reset, hidden[2], Scalars.One).tanh();
        return [addcmul(candidate, update, state[0].sub(candidate), Scalars.One)];
    }
}

/// <summary>h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or the rectifier in place of tanh (Elman 1990).</summary>
internal sealed class ElmanCell(bool isRectifier) : RecurrentCell
{
    internal override int Gates => 1;

    internal override ReadOnlySpan<byte> Operator => isRectifier ? "aten::rnn_relu\0"u8 : "aten::rnn_tanh\0"u8;

    internal override Tensor[] Step(Tensor fromInput, Tensor fromState, Tensor[] state)
    {
        Tensor sum = fromInput.Plus(fromState);
        return [isRectifier ? sum.relu() : sum.tanh()];
    }
}
