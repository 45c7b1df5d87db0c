using System.Numerics;
using BayesNet.Kernels;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Divergences;

/// <summary>
/// The divergence of a mean-field Gaussian with a log scale from a Gaussian prior with one mean and deviation, with its gradient, past autograd:
/// one pass over the parameters in place of a graph of a dozen operations. <see cref="GaussianDivergence.ByMoments"/> is its plain twin. Of a pruned
/// posterior, the divergence of the weights that it keeps.
/// </summary>
internal static unsafe class DirectGaussianDivergence
{
    /// <summary>Whether the pair has this form, wherever its parameters are.</summary>
    internal static bool Fits(Posterior posterior, Prior prior)
        => posterior is MeanFieldGaussian { ScaleParameterization: var scale } && ReferenceEquals(scale, ScaleParameterization.Log)
            && prior is GaussianPrior { IsScalar: true } && KlDivergences.FormOf(posterior, prior) == (typeof(Posterior), typeof(GaussianPrior));

    /// <summary>Whether a pair that <see cref="Fits"/> has its parameters and their gradients in memory that a kernel can read.</summary>
    internal static bool IsInReach(Posterior posterior)
    {
        Parameter mean = Mean(posterior), logScale = LogScale(posterior);
        return AllPlain<float>(mean, logScale) || AllPlain<double>(mean, logScale);
    }

    /// <summary>
    /// Returns KL(q || p) in nats and adds <paramref name="weight"/> times its gradient to the <c>.grad</c> of the parameters that require one,
    /// making it where it is null; with a weight of 0 it touches none.
    /// </summary>
    internal static double Accumulate(Posterior posterior, Prior prior, double weight)
    {
        Parameter mean = Mean(posterior), logScale = LogScale(posterior);
        var gaussian = (GaussianPrior)prior;
        Tensor? mask = ((MeanFieldGaussian)posterior).Mask;
        return mean.dtype == ScalarType.Float32
            ? mask is null ? Accumulate<float>(mean, logScale, gaussian, weight) : AccumulateKept<float>(mean, logScale, mask, gaussian, weight)
            : mask is null ? Accumulate<double>(mean, logScale, gaussian, weight) : AccumulateKept<double>(mean, logScale, mask, gaussian, weight);
    }

    private static double AccumulateKept<T>(Parameter mean, Parameter logScale, Tensor mask, GaussianPrior prior, double weight)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor kept = KeptEntries.Indices(mask);
        Tensor means = mean.flatten().index_select(0, kept), logScales = logScale.flatten().index_select(0, kept);
        Tensor? ofMeans = Buffer(mean, means), ofLogScales = Buffer(logScale, logScales);
        double value = GaussianKlKernel.Accumulate(
            TensorMemory.Pointer<T>(means), TensorMemory.Pointer<T>(logScales), Pointer<T>(ofMeans), Pointer<T>(ofLogScales), means.numel(), prior.ScalarMean,
            prior.ScalarStdDev, weight);
        Add(mean, ofMeans);
        Add(logScale, ofLogScales);
        return value;

        Tensor? Buffer(Parameter parameter, Tensor like) => weight == 0 || !parameter.requires_grad ? null : zeros_like(like);

        void Add(Parameter parameter, Tensor? gradient)
        {
            if (gradient is null)
                return;
            using Tensor whole = Gradient(parameter, weight)!;
            whole.view(-1).index_add_(0, kept, gradient, Scalars.One);
        }
    }

    private static double Accumulate<T>(Parameter mean, Parameter logScale, GaussianPrior prior, double weight)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        using Tensor? meanGradient = Gradient(mean, weight), logScaleGradient = Gradient(logScale, weight);
        double value = GaussianKlKernel.Accumulate(
            TensorMemory.Pointer<T>(mean), TensorMemory.Pointer<T>(logScale), Pointer<T>(meanGradient), Pointer<T>(logScaleGradient), mean.numel(),
            prior.ScalarMean, prior.ScalarStdDev, weight);
        GC.KeepAlive(mean);
        GC.KeepAlive(logScale);
        GC.KeepAlive(meanGradient);
        GC.KeepAlive(logScaleGradient);
        return value;
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

    private static bool AllPlain<T>(Parameter mean, Parameter logScale)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        return IsPlain(mean) && IsPlain(logScale);

        static bool IsPlain(Parameter parameter)
        {
            if (!TensorMemory.IsPlain<T>(parameter))
                return false;
            using Tensor? gradient = parameter.grad;
            return gradient is null || TensorMemory.IsPlain<T>(gradient);
        }
    }

    private static Parameter Mean(Posterior posterior) => ((MeanFieldGaussian)posterior).MeanParameter;

    private static Parameter LogScale(Posterior posterior) => ((MeanFieldGaussian)posterior).ScaleParameter;
}
