using BayesNet.Maps;
using static TorchSharp.torch;

namespace BayesNet.Layers;

/// <summary>A Bayesian <c>nn.Linear</c>: input (..., in), output (..., out).</summary>
/// <remarks>
/// The first dimension of an input with two or more dimensions counts examples. Local reparameterization draws independent noise for
/// every output, so for inputs (batch, positions, in) it drops the covariance between the positions of one example; the other
/// estimators keep it.
/// </remarks>
public sealed class BayesLinear : BayesianLayer
{
    /// <summary>Creates a layer from <paramref name="inputSize"/> to <paramref name="outputSize"/> features.</summary>
    /// <param name="inputSize">Features of the input.</param>
    /// <param name="outputSize">Features of the output.</param>
    /// <param name="hasBias">Whether there is a bias.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1.</exception>
    /// <exception cref="NotSupportedException">The type is a half-precision one, or the estimator does not fit the posterior.</exception>
    public BayesLinear(long inputSize, long outputSize, bool hasBias = true, Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        : base(nameof(BayesLinear), new LinearMap(inputSize, outputSize), hasBias, device, dtype, options)
    {
    }
}
