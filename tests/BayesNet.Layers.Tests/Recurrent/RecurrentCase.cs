using BayesNet.Estimators;
using BayesNet.Layers.Recurrent;
using BayesNet.Maps;
using BayesNet.Posteriors;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Recurrent;

/// <summary>Sizes of a recurrent layer.</summary>
public sealed record Sizes(long Inputs = 2, long Hidden = 3, long Layers = 1, bool Bias = true, bool BatchFirst = true, bool Bidirectional = false, double Dropout = 0);

/// <summary>A recurrent layer of any kind, or its twin, with one way to call it: the output, then the last states.</summary>
public sealed class RecurrentCase : IDisposable
{
    public static readonly string[] Kinds = ["LSTM", "GRU", "RNN tanh", "RNN ReLU"];

    private readonly Func<Tensor, Tensor[]?, Tensor[]> _call;

    private RecurrentCase(nn.Module module, IReadOnlyDictionary<string, Posterior> posteriors, Func<Tensor, Tensor[]?, Tensor[]> call)
        => (Module, Posteriors, _call) = (module, posteriors, call);

    public nn.Module Module { get; }

    public IBayesianModule Bayesian => (IBayesianModule)Module;

    public IReadOnlyDictionary<string, Posterior> Posteriors { get; }

    public static RecurrentCase Create(string kind, Sizes s, ScalarType? dtype = null, BayesOptions? options = null)
    {
        switch (kind)
        {
            case "LSTM":
                BayesLSTM lstm = bnn.LSTM(s.Inputs, s.Hidden, s.Layers, s.Bias, s.BatchFirst, s.Dropout, s.Bidirectional, dtype: dtype, options: options);
                return Of(lstm, (x, states) => List(lstm.call(x, states is null ? null : (states[0], states[1]))));
            case "GRU":
                BayesGRU gru = bnn.GRU(s.Inputs, s.Hidden, s.Layers, s.Bias, s.BatchFirst, s.Dropout, s.Bidirectional, dtype: dtype, options: options);
                return Of(gru, (x, states) => List(gru.call(x, states?[0])));
            default:
                BayesRNN rnn = bnn.RNN(s.Inputs, s.Hidden, s.Layers, NonLinearity(kind), s.Bias, s.BatchFirst, s.Dropout, s.Bidirectional, dtype: dtype, options: options);
                return Of(rnn, (x, states) => List(rnn.call(x, states?[0])));
        }
    }

    /// <summary>The layer around a twin's weights.</summary>
    public static RecurrentCase Around(RecurrentCase twin, Sizes s)
    {
        switch (twin.Module)
        {
            case TorchSharp.Modules.LSTM trained:
                BayesLSTM lstm = bnn.LSTM(trained, s.BatchFirst, s.Dropout);
                return Of(lstm, (x, states) => List(lstm.call(x, states is null ? null : (states[0], states[1]))));
            case TorchSharp.Modules.GRU trained:
                BayesGRU gru = bnn.GRU(trained, s.BatchFirst, s.Dropout);
                return Of(gru, (x, states) => List(gru.call(x, states?[0])));
            default:
                BayesRNN rnn = bnn.RNN((TorchSharp.Modules.RNN)twin.Module, nn.NonLinearities.ReLU, s.BatchFirst, s.Dropout);
                return Of(rnn, (x, states) => List(rnn.call(x, states?[0])));
        }
    }

    public static RecurrentCase Twin(string kind, Sizes s, ScalarType? dtype = null)
    {
        switch (kind)
        {
            case "LSTM":
                TorchSharp.Modules.LSTM lstm = nn.LSTM(s.Inputs, s.Hidden, s.Layers, s.Bias, s.BatchFirst, s.Dropout, s.Bidirectional, dtype: dtype);
                return new(lstm, Empty, (x, states) => List(lstm.call(x, states is null ? null : (states[0], states[1]))));
            case "GRU":
                TorchSharp.Modules.GRU gru = nn.GRU(s.Inputs, s.Hidden, s.Layers, s.Bias, s.BatchFirst, s.Dropout, s.Bidirectional, dtype: dtype);
                return new(gru, Empty, (x, states) => List(gru.call(x, states?[0]!)));
            default:
                TorchSharp.Modules.RNN rnn = nn.RNN(s.Inputs, s.Hidden, s.Layers, NonLinearity(kind), s.Bias, s.BatchFirst, s.Dropout, s.Bidirectional, dtype: dtype);
                return new(rnn, Empty, (x, states) => List(rnn.call(x, states?[0]!)));
        }
    }

    /// <summary>Output and last states.</summary>
    public Tensor[] Call(Tensor input, Tensor[]? states = null) => _call(input, states);

    /// <summary>Random initial states.</summary>
    public static Tensor[] States(string kind, Sizes s, long? batch, ScalarType dtype = ScalarType.Float32)
    {
        long[] shape = batch is { } n ? [s.Layers * (s.Bidirectional ? 2 : 1), n, s.Hidden] : [s.Layers * (s.Bidirectional ? 2 : 1), s.Hidden];
        return [.. Enumerable.Range(0, kind == "LSTM" ? 2 : 1).Select(_ => randn(shape, dtype: dtype))];
    }

    /// <summary>Copies a twin's parameters into the means.</summary>
    public void CopyMeans(RecurrentCase twin)
    {
        using var _ = no_grad();
        foreach ((string name, TorchSharp.Modules.Parameter parameter) in twin.Module.named_parameters())
            Posteriors[name].Mean.copy_(parameter);
    }

    public void Dispose() => Module.Dispose();

    private static readonly Dictionary<string, Posterior> Empty = [];

    private static nn.NonLinearities NonLinearity(string kind) => kind == "RNN ReLU" ? nn.NonLinearities.ReLU : nn.NonLinearities.Tanh;

    private static RecurrentCase Of<TState, TResult>(BayesianRecurrentLayer<TState, TResult> layer, Func<Tensor, Tensor[]?, Tensor[]> call)
        => new(layer, layer.Posteriors, call);

    private static Tensor[] List((Tensor, Tensor, Tensor) result) => [result.Item1, result.Item2, result.Item3];

    private static Tensor[] List((Tensor, Tensor) result) => [result.Item1, result.Item2];
}

/// <summary>Shared weights that do not say so: layers compute them step by step, as any estimator that is not theirs.</summary>
internal sealed class Stepwise : Estimator
{
    public override string Name => "shared weights, step by step";

    public override string? WhyNot(AffineMap map, Posterior weight, Posterior? bias) => null;

    public override Tensor Forward(AffineMap map, Posterior weight, Posterior? bias, Tensor input, NoiseSource noise)
        => SharedWeights.Forward(map, weight, bias, input, noise);
}
