using static TorchSharp.torch;

namespace BayesNet.Maps;

/// <summary>
/// An affine map taken apart for functions with a backward pass of their own: what comes before its product, the product, and the product's
/// two gradients. Nothing but <see cref="Prepare"/> and <see cref="Finish"/> is recorded by autograd.
/// </summary>
internal interface ILocalProducts
{
    /// <summary>Whether this process has what the gradients need.</summary>
    bool HasGradients => true;

    /// <summary>Whether a function of these products is faster than the operations of <see cref="AffineMap.Apply"/> and their graph.</summary>
    bool IsFused => true;

    /// <summary>The input as the product reads it, contiguous; differentiable.</summary>
    Tensor Prepare(Tensor input);

    /// <summary>The product in the shape that the map's output has for <paramref name="input"/>, itself where that is its shape; differentiable.</summary>
    Tensor Finish(Tensor product, Tensor input);

    /// <summary>f(x, w, b) of a prepared input.</summary>
    Tensor Product(Tensor prepared, Tensor weight, Tensor? bias);

    /// <summary>The gradient of the prepared input, given the product's.</summary>
    Tensor InputGradient(Tensor gradient, Tensor prepared, Tensor weight);

    /// <summary>Writes the gradient of the weight, given the product's, to <paramref name="target"/>, or adds it to what that holds.</summary>
    void WeightGradient(Tensor gradient, Tensor prepared, Tensor target, bool add);

    /// <summary>The gradient of the bias, given the product's.</summary>
    Tensor BiasGradient(Tensor gradient);
}
