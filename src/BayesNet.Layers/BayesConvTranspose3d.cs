using BayesNet.Maps;
using static TorchSharp.torch;

namespace BayesNet.Layers;

/// <summary>A Bayesian <c>nn.ConvTranspose3d</c>: input (batch, in, D, H, W) or (in, D, H, W); <see cref="bnn"/> has its factories.</summary>
/// <inheritdoc/>
public sealed class BayesConvTranspose3d : BayesTransposedConvolution
{
    /// <summary>Creates a layer that computes <paramref name="map"/>.</summary>
    /// <param name="map">A transposed convolution with 3 spatial dimensions.</param>
    /// <param name="hasBias">Whether there is a bias.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException">The map has another number of spatial dimensions.</exception>
    /// <exception cref="NotSupportedException">The type is a half-precision one, or the estimator does not fit the posterior.</exception>
    public BayesConvTranspose3d(
        TransposedConvolutionMap map, bool hasBias = true, Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        : base(nameof(BayesConvTranspose3d), map.WithDimensions(3), hasBias, device, dtype, options)
    {
    }

    /// <summary>A layer whose means start at given weights, which are copied.</summary>
    internal BayesConvTranspose3d(TransposedConvolutionMap map, Tensor weight, Tensor? bias, BayesOptions? options)
        : base(nameof(BayesConvTranspose3d), map.WithDimensions(3), () => (weight, bias), options)
    {
    }
}
