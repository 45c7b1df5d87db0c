using System.Numerics;
using BayesNet.Kernels;
using BayesNet.Posteriors;
using BayesNet.Priors;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Divergences;

/// <summary>
/// The divergence of a mean-field Gaussian from a Gaussian prior with one mean and deviation, with its gradient, past autograd: one pass over the
/// parameters in place of a graph of a dozen operations. <see cref="GaussianDivergence.ByMoments"/> is its plain twin. Of a pruned posterior, the
/// divergence of the weights that it keeps.
/// </summary>
internal static unsafe class DirectGaussianDivergence
{
    /// <summary>Whether the pair has this form, wherever its parameters are.</summary>
    internal static bool Fits(Posterior posterior, Prior prior)
        => posterior is MeanFieldGaussian && prior is GaussianPrior { IsScalar: true }
            && KlDivergences.FormOf(posterior, prior) == (typeof(Posterior), typeof(GaussianPrior));

    /// <summary>Whether a pair that <see cref="Fits"/> has its parameters and their gradients in memory that a kernel can read.</summary>
    internal static bool IsInReach(Posterior posterior)
    {
        var gaussian = (MeanFieldGaussian)posterior;
        return HasPlainParameters(gaussian) && HasPlainGradient(gaussian.MeanParameter) && HasPlainGradient(gaussian.ScaleParameter);

        static bool HasPlainGradient(Parameter parameter)
        {
            using Tensor? gradient = parameter.grad;
            return gradient is null || IsPlain(gradient, parameter.dtype);
        }
    }

    /// <summary>Whether a posterior's parameters, and its mask, are in memory that a kernel can read.</summary>
    internal static bool HasPlainParameters(MeanFieldGaussian posterior)
    {
        ScalarType type = posterior.MeanParameter.dtype;
        return IsPlain(posterior.MeanParameter, type) && IsPlain(posterior.ScaleParameter, type) && (posterior.Mask is not { } mask || IsPlain(mask, type));
    }

    /// <summary>
    /// Returns KL(q || p) in nats and adds <paramref name="weight"/> times its gradient to the <c>.grad</c> of the parameters that require one,
    /// making it where it is null; with a weight of 0 it touches none.
    /// </summary>
    internal static double Accumulate(Posterior posterior, Prior prior, double weight)
    {
        var q = (MeanFieldGaussian)posterior;
        using Tensor? meanGradient = Gradient(q.MeanParameter, weight), scaleGradient = Gradient(q.ScaleParameter, weight);
        return Accumulate(q.ScaleParameterization, q.MeanParameter, q.ScaleParameter, q.Mask, meanGradient, scaleGradient, true, (GaussianPrior)prior, weight);
    }

    /// <summary>
    /// Returns the divergence in nats, and writes <paramref name="weight"/> times its gradient, or adds it to what stands; into nothing where a tensor is
    /// null, and not of weights that are pruned.
    /// </summary>
    internal static double Accumulate(
        ScaleParameterization form, Tensor mean, Tensor scale, Tensor? mask, Tensor? meanGradient, Tensor? scaleGradient, bool add, GaussianPrior prior,
        double weight)
    {
        bool isLog = ReferenceEquals(form, ScaleParameterization.Log);
        return mean.dtype == ScalarType.Float32
            ? isLog ? Pass<float, LogScale<float>>() : Pass<float, SoftplusScale<float>>()
            : isLog ? Pass<double, LogScale<double>>() : Pass<double, SoftplusScale<double>>();

        double Pass<T, TScale>()
            where T : unmanaged, IBinaryFloatingPointIeee754<T>
            where TScale : struct, IScale<T>
        {
            var memory = new GaussianKlKernel.Memory<T>
            {
                Mean = TensorMemory.Pointer<T>(mean),
                Scale = TensorMemory.Pointer<T>(scale),
                Mask = Pointer<T>(mask),
                MeanGradient = Pointer<T>(meanGradient),
                ScaleGradient = Pointer<T>(scaleGradient),
                Add = add,
                Count = mean.numel(),
            };
            double value = GaussianKlKernel.Accumulate<T, TScale>(memory, prior.ScalarMean, prior.ScalarStdDev, weight);
            GC.KeepAlive(mean);
            GC.KeepAlive(scale);
            GC.KeepAlive(mask);
            GC.KeepAlive(meanGradient);
            GC.KeepAlive(scaleGradient);
            return value;
        }
    }

    private static T* Pointer<T>(Tensor? tensor)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        => tensor is null ? null : TensorMemory.Pointer<T>(tensor);

    private static Tensor? Gradient(Parameter parameter, double weight)
    {
        if (weight == 0 || !parameter.requires_grad)
            return null;
        if (parameter.grad is { } standing)
            return standing;
        using (no_grad())
        {
            Tensor fresh = zeros_like(parameter);
            parameter.grad = fresh;
            return fresh;
        }
    }

    private static bool IsPlain(Tensor tensor, ScalarType type)
        => type == ScalarType.Float32 ? TensorMemory.IsPlain<float>(tensor) : TensorMemory.IsPlain<double>(tensor);
}
