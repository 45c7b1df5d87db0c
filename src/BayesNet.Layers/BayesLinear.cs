using BayesNet.Maps;
using BayesNet.Runtime;
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

    /// <summary>Creates a layer whose means start at given weights, such as those of a trained <c>nn.Linear</c>.</summary>
    /// <param name="weight">(out, in); copied. Its type and device become the layer's.</param>
    /// <param name="bias">(out), copied, or null for a layer without a bias.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentException">The shapes do not fit each other.</exception>
    /// <exception cref="NotSupportedException">The type is a half-precision one, or the estimator does not fit the posterior.</exception>
    public BayesLinear(Tensor weight, Tensor? bias = null, BayesOptions? options = null)
        : base(nameof(BayesLinear), MapOf(weight, bias), () => (weight, bias), options)
    {
    }

    private static LinearMap MapOf(Tensor weight, Tensor? bias)
    {
        ArgumentNullException.ThrowIfNull(weight);
        if (weight.dim() != 2)
            throw new ArgumentException($"The weight has shape {Guard.Format(weight.shape)}; a linear layer's is (out, in).", nameof(weight));
        if (bias is not null && (bias.dim() != 1 || bias.size(0) != weight.size(0)))
        {
            throw new ArgumentException(
                $"The bias has shape {Guard.Format(bias.shape)}; with a weight of shape {Guard.Format(weight.shape)} it must be ({weight.size(0)}).", nameof(bias));
        }

        return new LinearMap(weight.size(1), weight.size(0));
    }
}
