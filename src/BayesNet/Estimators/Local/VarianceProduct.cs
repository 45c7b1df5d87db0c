using BayesNet.Maps;
using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Estimators.Local;

/// <summary>The product of squared inputs and variances, and its gradients, in the precision that is asked for.</summary>
internal static class VarianceProduct
{
    /// <summary>Refuses a precision that the device does not have.</summary>
    /// <exception cref="NotSupportedException">TF32 on a device that has none.</exception>
    internal static void EnsureSupported(VariancePrecision precision, DeviceType device)
    {
        if (precision == VariancePrecision.TF32 && device != DeviceType.CUDA)
        {
            throw new NotSupportedException(
                $"VariancePrecision.TF32 is a number format of CUDA devices, and the layer is on {device}; use VariancePrecision.Full or BFloat16 there.");
        }
    }

    /// <summary>f(square, variance, biasVariance) in the type of <paramref name="square"/>; differentiable.</summary>
    internal static Tensor Of(ILocalProducts products, Tensor square, Tensor variance, Tensor? biasVariance, VariancePrecision precision)
    {
        if (precision != VariancePrecision.BFloat16)
            return InTF32(precision, () => products.Product(square, variance, biasVariance));

        // The bias's variance is no product, and keeps its digits.
        using var scope = NewDisposeScope();
        Tensor product = products.Product(square.to(ScalarType.BFloat16), variance.to(ScalarType.BFloat16), null).to(square.dtype);
        if (biasVariance is not null)
            product = product.Plus(((AffineMap)products).OverPositions(biasVariance.unsqueeze(0), product.dim()));
        return product.MoveToOuterDisposeScope();
    }

    /// <summary>The gradient of the squared input; the values of <paramref name="square"/> are not used, its shape is.</summary>
    internal static Tensor InputGradient(ILocalProducts products, Tensor gradient, Tensor square, Tensor variance, VariancePrecision precision)
    {
        if (precision != VariancePrecision.BFloat16)
            return InTF32(precision, () => products.InputGradient(gradient, square, variance));
        using var scope = NewDisposeScope();
        Tensor low = products.InputGradient(
            gradient.to(ScalarType.BFloat16), empty(square.shape, dtype: ScalarType.BFloat16, device: square.device), variance.to(ScalarType.BFloat16));
        return low.to(square.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>Writes the gradient of the variance to <paramref name="target"/>.</summary>
    internal static void WeightGradient(ILocalProducts products, Tensor gradient, Tensor square, Tensor target, VariancePrecision precision)
    {
        if (precision != VariancePrecision.BFloat16)
        {
            InTF32<Tensor?>(precision, () =>
            {
                products.WeightGradient(gradient, square, target, add: false);
                return null;
            });
            return;
        }

        using var scope = NewDisposeScope();
        Tensor low = empty(target.shape, dtype: ScalarType.BFloat16, device: target.device);
        products.WeightGradient(gradient.to(ScalarType.BFloat16), square.to(ScalarType.BFloat16), low, add: false);
        target.copy_(low);
    }

    // libtorch's switches are the process's; they are read when a product is launched, so they need not outlast the call.
    private static T InTF32<T>(VariancePrecision precision, Func<T> product)
    {
        if (precision != VariancePrecision.TF32)
            return product();
        bool matrices = backends.cuda.matmul.allow_tf32, convolutions = backends.cudnn.allow_tf32;
        try
        {
            backends.cuda.matmul.allow_tf32 = backends.cudnn.allow_tf32 = true;
            return product();
        }
        finally
        {
            backends.cuda.matmul.allow_tf32 = matrices;
            backends.cudnn.allow_tf32 = convolutions;
        }
    }
}
