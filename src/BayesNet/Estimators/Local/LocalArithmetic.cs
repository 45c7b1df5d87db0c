using BayesNet.Kernels;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Estimators.Local;

/// <summary>
/// The elementwise steps of local reparameterization: one pass of a loop where all tensors are contiguous float32 or float64 on the CPU, in-place
/// operations of libtorch elsewhere. Nothing here is recorded by autograd.
/// </summary>
internal static unsafe class LocalArithmetic
{
    /// <summary>variance = exp(2 logScale).</summary>
    internal static void Variance(Tensor logScale, Tensor variance, bool plain)
    {
        if (!plain)
            variance.copy_(logScale).mul_(Scalars.Two).exp_();
        else if (variance.dtype == ScalarType.Float32)
            LocalKernel.Variance(TensorMemory.Pointer<float>(logScale), TensorMemory.Pointer<float>(variance), variance.numel());
        else
            LocalKernel.Variance(TensorMemory.Pointer<double>(logScale), TensorMemory.Pointer<double>(variance), variance.numel());
        Keep(logScale, variance);
    }

    /// <summary>product = x y; <paramref name="product"/> may be one of the factors.</summary>
    internal static void Multiply(Tensor x, Tensor y, Tensor product, bool plain)
    {
        if (!plain && ReferenceEquals(product, x))
            x.mul_(y);
        else if (!plain)
            product.copy_(x).mul_(y);
        else if (product.dtype == ScalarType.Float32)
            LocalKernel.Multiply(TensorMemory.Pointer<float>(x), TensorMemory.Pointer<float>(y), TensorMemory.Pointer<float>(product), product.numel());
        else
            LocalKernel.Multiply(TensorMemory.Pointer<double>(x), TensorMemory.Pointer<double>(y), TensorMemory.Pointer<double>(product), product.numel());
        Keep(x, y, product);
    }

    /// <summary>sum += 2 x y.</summary>
    internal static void AddTwiceProduct(Tensor sum, Tensor x, Tensor y, bool plain)
    {
        if (!plain)
            sum.addcmul_(x, y, Scalars.Two);
        else if (sum.dtype == ScalarType.Float32)
            LocalKernel.AddTwiceProduct(TensorMemory.Pointer<float>(sum), TensorMemory.Pointer<float>(x), TensorMemory.Pointer<float>(y), sum.numel());
        else
            LocalKernel.AddTwiceProduct(TensorMemory.Pointer<double>(sum), TensorMemory.Pointer<double>(x), TensorMemory.Pointer<double>(y), sum.numel());
        Keep(sum, x, y);
    }

    /// <summary>mean becomes mean + s noise, variance becomes noise / (2 s), or 0 where it is below the least normal number, s its root.</summary>
    internal static void Sample(Tensor mean, Tensor variance, Tensor noise, bool plain)
    {
        if (!plain)
        {
            using var scope = NewDisposeScope();
            Scalar floor = FloatRange.LeastNormal(variance.dtype);
            Tensor below = variance.lt(floor);
            Tensor stdDev = variance.clamp_min(floor).sqrt_();
            mean.addcmul_(stdDev, noise, Scalars.One);
            variance.copy_(noise).mul_(Scalars.Half).div_(stdDev).masked_fill_(below, Scalars.Zero);
        }
        else if (mean.dtype == ScalarType.Float32)
        {
            LocalKernel.Sample(
                TensorMemory.Pointer<float>(mean), TensorMemory.Pointer<float>(variance), TensorMemory.Pointer<float>(noise), FloatRange.LeastNormal<float>(), mean.numel());
        }
        else
        {
            LocalKernel.Sample(
                TensorMemory.Pointer<double>(mean), TensorMemory.Pointer<double>(variance), TensorMemory.Pointer<double>(noise), FloatRange.LeastNormal<double>(), mean.numel());
        }

        Keep(mean, variance, noise);
    }

    /// <summary>Whether loops can read and write all of these.</summary>
    internal static bool IsPlain(params ReadOnlySpan<Tensor> tensors)
    {
        foreach (Tensor tensor in tensors)
        {
            if (!(tensor.dtype == ScalarType.Float32 ? TensorMemory.IsPlain<float>(tensor) : tensor.dtype == ScalarType.Float64 && TensorMemory.IsPlain<double>(tensor)))
                return false;
        }

        return true;
    }

    // Their memory was read by address.
    private static void Keep(Tensor a, Tensor b, Tensor? c = null)
    {
        GC.KeepAlive(a);
        GC.KeepAlive(b);
        GC.KeepAlive(c);
    }
}
