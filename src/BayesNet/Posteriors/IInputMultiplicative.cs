using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>
/// A posterior whose draws are its mean times a factor for each input: f(x, w) = f(x * factor, mean), so that a weight for each example costs
/// what one weight costs.
/// </summary>
internal interface IInputMultiplicative
{
    /// <summary>The factors of noise (L, inputs), the same shape; differentiable in the parameters.</summary>
    Tensor InputFactor(Tensor eps);
}
