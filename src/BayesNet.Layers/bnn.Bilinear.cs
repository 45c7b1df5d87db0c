using static TorchSharp.torch;

namespace BayesNet.Layers;

#pragma warning disable IDE1006, CS8981, CA1707 // Names as torch.nn has them.

public static partial class bnn
{
    /// <summary>The Bayesian twin of <c>nn.Bilinear</c>: x1' A x2 + b for inputs (..., in1_features) and (..., in2_features).</summary>
    /// <param name="in1_features">Features of the first input.</param>
    /// <param name="in2_features">Features of the second input.</param>
    /// <param name="out_features">Features of the output.</param>
    /// <param name="hasBias">Whether there is a bias.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dtype">float32 or float64; null for the default type.</param>
    /// <param name="options">Posterior, prior and estimator; null for <see cref="BayesOptions.Default"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1.</exception>
    public static BayesBilinear Bilinear(
        long in1_features, long in2_features, long out_features, bool hasBias = true, Device? device = null, ScalarType? dtype = null, BayesOptions? options = null)
        => new(in1_features, in2_features, out_features, hasBias, device, dtype, options);
}
