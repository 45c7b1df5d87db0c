namespace BayesNet.Kernels;

/// <summary>What the entries of a draw are made to be.</summary>
internal enum NoiseLaw
{
    /// <summary>N(0, 1).</summary>
    Normal,

    /// <summary>Uniform on [0, 1): multiples of 2^-24 (float32) or 2^-53 (float64).</summary>
    Uniform,

    /// <summary>Uniform on (-1/2, 1/2): odd multiples of 2^-25 or 2^-54.</summary>
    SymmetricUniform,

    /// <summary>+1 or -1.</summary>
    Sign,
}
