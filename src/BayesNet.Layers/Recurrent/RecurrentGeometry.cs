using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Layers.Recurrent;

/// <summary>The sizes of a recurrent network, as TorchSharp's twins take them.</summary>
internal sealed record RecurrentGeometry
{
    internal RecurrentGeometry(long inputSize, long hiddenSize, long numLayers, bool bias, bool batchFirst, double dropout, bool bidirectional)
    {
        InputSize = Guard.AtLeastOne(inputSize);
        HiddenSize = Guard.AtLeastOne(hiddenSize);
        Layers = Guard.AtLeastOne(numLayers);
        if (!(dropout is >= 0 and <= 1))
            throw new ArgumentOutOfRangeException(nameof(dropout), dropout, "dropout is the share of entries dropped between layers and must lie between 0 and 1.");
        (HasBias, BatchFirst, Dropout, IsBidirectional) = (bias, batchFirst, dropout, bidirectional);
    }

    internal long InputSize { get; }

    internal long HiddenSize { get; }

    internal long Layers { get; }

    internal bool HasBias { get; }

    internal bool BatchFirst { get; }

    internal double Dropout { get; }

    internal bool IsBidirectional { get; }

    internal long Directions => IsBidirectional ? 2 : 1;

    /// <summary>The features that a layer reads.</summary>
    internal long InputOf(long layer) => layer == 0 ? InputSize : HiddenSize * Directions;

    /// <summary>The geometry that a twin's parameters have; what they do not tell is given.</summary>
    /// <exception cref="ArgumentException">The module has no parameters by the names of a recurrent network's.</exception>
    internal static RecurrentGeometry Of(nn.Module trained, bool batchFirst, double dropout)
    {
        ArgumentNullException.ThrowIfNull(trained);
        Dictionary<string, Tensor> parameters = trained.named_parameters().ToDictionary(entry => entry.name, entry => (Tensor)entry.parameter);
        if (!parameters.TryGetValue("weight_ih_l0", out Tensor? input) || !parameters.TryGetValue("weight_hh_l0", out Tensor? hidden))
        {
            throw new ArgumentException(
                $"{trained.GetName()} has no parameters weight_ih_l0 and weight_hh_l0; give a TorchSharp LSTM, GRU or RNN.", nameof(trained));
        }

        bool bidirectional = parameters.ContainsKey("weight_ih_l0_reverse");
        int layers = parameters.Keys.Count(name => name.StartsWith("weight_ih_l", StringComparison.Ordinal)) / (bidirectional ? 2 : 1);
        return new RecurrentGeometry(
            input.size(1), hidden.size(1), layers, parameters.ContainsKey("bias_ih_l0"), batchFirst, dropout, bidirectional);
    }
}
