using BayesNet.Maps;
using static TorchSharp.torch;

namespace BayesNet.Layers;

#pragma warning disable CA1707 // The argument is that of torch.nn.

/// <summary>What <see cref="BayesConvTranspose1d"/>, <see cref="BayesConvTranspose2d"/> and <see cref="BayesConvTranspose3d"/> have in common.</summary>
/// <remarks>
/// Local reparameterization draws independent noise for every output pixel: the marginals are exact, the covariance between the pixels
/// of one example is dropped. Shared weights, weights per example and flipout keep it.
/// </remarks>
public abstract class BayesTransposedConvolution : BayesianLayer
{
    private protected BayesTransposedConvolution(
        string name, TransposedConvolutionMap map, bool hasBias, Device? device, ScalarType? dtype, BayesOptions? options)
        : base(name, map, hasBias, device, dtype, options)
    {
    }

    private protected BayesTransposedConvolution(string name, TransposedConvolutionMap map, Func<(Tensor Weight, Tensor? Bias)> initial, BayesOptions? options)
        : base(name, map, initial, options)
    {
    }

    /// <summary>The layer's output with an output padding that gives it the extents asked for.</summary>
    /// <param name="input">As <see cref="BayesianLayer.forward"/> takes it.</param>
    /// <param name="output_size">The spatial extents, or the whole shape of the output; null for the layer's own output padding.</param>
    /// <returns>The twin's output shape, differentiable in the input and in the posterior's parameters.</returns>
    /// <exception cref="ArgumentException">The input does not fit the layer, or no output padding leads to the size.</exception>
    public Tensor forward(Tensor input, long[]? output_size)
    {
        if (output_size is null)
            return forward(input);
        CheckType(input);
        Map.IsBatched(input);
        return Output(((TransposedConvolutionMap)Map).WithOutputSize(input, output_size), input);
    }
}
