using BayesNet.Maps;
using static TorchSharp.torch;

namespace BayesNet.Layers;

/// <summary>A Bayesian <c>nn.Conv2d</c>: input (batch, in, H, W) or (in, H, W); <see cref="bnn"/> has its factories.</summary>
/// <remarks>
/// Local reparameterization draws independent noise for every output pixel: the marginals are exact, the covariance between the pixels
/// of one example is dropped. Shared weights, weights per example and flipout keep it.
/// </remarks>
public sealed class BayesConv2d : BayesianLayer
{
    /// <summary>Creates a layer that computes <paramref name="map"/>.</summary>
    /// <param name="map">A convolution with 2 spatial dimensions.</param>
    /// <param name="hasBias">Whether there is a bias.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException">The map has another number of spatial dimensions.</exception>
    /// <exception cref="NotSupportedException">The type is a half-precision one, or the estimator does not fit the posterior.</exception>
    public BayesConv2d(ConvolutionMap map, bool hasBias = true, Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        : base(nameof(BayesConv2d), map.WithDimensions(2), hasBias, device, dtype, options)
    {
    }

    /// <summary>A layer whose means start at given weights, which are copied.</summary>
    internal BayesConv2d(ConvolutionMap map, Tensor weight, Tensor? bias, BayesOptions? options)
        : base(nameof(BayesConv2d), map.WithDimensions(2), () => (weight, bias), options)
    {
    }
}
