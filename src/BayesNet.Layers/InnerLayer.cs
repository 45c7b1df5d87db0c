using BayesNet.Maps;
using static TorchSharp.torch;

namespace BayesNet.Layers;

/// <summary>
/// The layer inside of a module that takes several tensors and makes the one that a map takes of them. Its parts are the module's, under the same
/// names as those of any layer.
/// </summary>
internal sealed class InnerLayer : BayesianLayer
{
    /// <inheritdoc cref="BayesianLayer(string, AffineMap, bool, Device, ScalarType?, BayesOptions)"/>
    internal InnerLayer(string name, AffineMap map, bool hasBias, Device? device, ScalarType? dtype, BayesOptions? options)
        : base(name, map, hasBias, device, dtype, options)
    {
    }

    /// <inheritdoc cref="BayesianLayer(string, AffineMap, Func{ValueTuple{Tensor, Tensor}}, BayesOptions)"/>
    internal InnerLayer(string name, AffineMap map, Func<(Tensor Weight, Tensor? Bias)> initial, BayesOptions? options)
        : base(name, map, initial, options)
    {
    }

    /// <summary>Makes the layer's parts parts of a module.</summary>
    internal void RegisterIn(nn.Module module)
    {
        foreach ((string name, nn.Module part) in named_children())
            module.register_module(name, part);
    }

    /// <summary>The output for a map with the layer's weight.</summary>
    internal Tensor Draw(AffineMap map, Tensor input)
    {
        CheckType(input);
        return Output(map, input);
    }
}
