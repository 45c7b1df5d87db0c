namespace BayesNet.Estimators;

/// <summary>The number format in which local reparameterization multiplies squared inputs by the variances of the weights.</summary>
/// <remarks>
/// Means and their gradients are never touched. A relative error e of an output's variance is e / 2 of its standard deviation.
/// </remarks>
public enum VariancePrecision
{
    /// <summary>That of the layer.</summary>
    Full,

    /// <summary>
    /// TensorFloat-32, which CUDA devices since Ampere multiply float32 tensors in: ten bits of mantissa, relative error 2^-11, summed in float32.
    /// There is none on the CPU.
    /// </summary>
    TF32,

    /// <summary>
    /// bfloat16: seven bits of mantissa, relative error up to 2^-8 of a variance and so 0.2 % of a standard deviation. Made for devices with
    /// matrix units for it; most CPUs are slower in it than in float32.
    /// </summary>
    BFloat16,
}
