using TorchSharp;

namespace BayesNet.Runtime;

/// <summary>
/// The scalars that hot code passes to libtorch. An implicit conversion makes a finalizable native object at every call, which costs
/// a microsecond and can be collected while native code reads it; these live as long as the process.
/// </summary>
internal static class Scalars
{
    internal static readonly Scalar Zero = 0.0;
    internal static readonly Scalar Half = 0.5;
    internal static readonly Scalar One = 1.0;
    internal static readonly Scalar WholeOne = 1L;
    internal static readonly Scalar MinusOne = -1.0;
    internal static readonly Scalar Two = 2.0;

    /// <summary>x + y. TorchSharp's operator makes a new scalar for its alpha at every call; this does not.</summary>
    internal static torch.Tensor Plus(this torch.Tensor x, torch.Tensor y) => x.add(y, One);

    /// <summary>x + y of whole numbers, which refuse a scalar that is none.</summary>
    internal static torch.Tensor PlusWhole(this torch.Tensor x, torch.Tensor y) => x.add(y, WholeOne);

    /// <summary>x * factor, with a scalar that lives until the native call has returned.</summary>
    internal static torch.Tensor Times(this torch.Tensor x, double factor)
    {
        using Scalar scalar = factor;
        return x.mul(scalar);
    }

    /// <summary>x^2; TorchSharp's <c>square()</c> makes a new scalar for its exponent at every call.</summary>
    internal static torch.Tensor Squared(this torch.Tensor x) => x.pow(Two);

    /// <summary>x + term, with a scalar that lives until the native call has returned.</summary>
    internal static torch.Tensor Plus(this torch.Tensor x, double term)
    {
        using Scalar scalar = term;
        return x.add(scalar, One);
    }
}
