using System.Numerics;
using BayesNet.Kernels;
using BayesNet.Posteriors;
using static TorchSharp.torch;

namespace BayesNet.Estimators;

/// <summary>
/// Draws of a mean-field Gaussian, w_n = mu + exp(rho) eps_n, as one function: a pass over memory forward and one back, no noise kept. With
/// the gradient g_n of w_n,
/// <code>
/// d mu = sum_n g_n        d rho = exp(rho) sum_n g_n eps_n
/// </code>
/// </summary>
/// <remarks>
/// eps is drawn a second time in the backward pass; taking it from w - mu would lose it to cancellation where sigma is far below |mu|. Other
/// posteriors, devices and layouts draw by <see cref="Posterior.Sample"/>, which under the same noise gives the same weights to rounding.
/// </remarks>
internal sealed class GaussianSample : GraphNode
{
    private const int LogScale = 0, Mean = 1;

    private readonly Tensor[] _inputs;
    private readonly bool[] _needed;
    private readonly NoiseDraw _draw;
    private readonly Tensor _weights;
    private readonly TensorPool _pool;
    private readonly GradientBuffers.Pass? _pass = GradientBuffers.Current;
    private readonly long[] _leading;

    private GaussianSample(Tensor[] inputs, NoiseDraw draw, Tensor weights, TensorPool pool, ReadOnlySpan<long> leading)
    {
        (_inputs, _draw, _weights, _pool, _leading) = (inputs, draw, weights, pool, leading.ToArray());
        _needed = [.. inputs.Select(input => input.requires_grad)];
    }

    /// <summary>Weights of shape (L, W), as <see cref="Posterior.Sample"/> draws them.</summary>
    /// <param name="posterior">Any posterior.</param>
    /// <param name="noise">Where eps comes from.</param>
    /// <param name="leading">L.</param>
    internal static Tensor Weights(Posterior posterior, NoiseSource noise, params ReadOnlySpan<long> leading)
        => posterior is MeanFieldGaussian gaussian && Fits(gaussian)
            ? Draw(gaussian, [gaussian.ScaleParameter, gaussian.Mean], noise, leading)
            : posterior.Sample(noise, leading);

    /// <summary>The deviation from its mean of one weight, shape W.</summary>
    /// <param name="posterior">Any posterior.</param>
    /// <param name="noise">Where eps comes from.</param>
    internal static Tensor Deviation(Posterior posterior, NoiseSource noise)
    {
        if (posterior is MeanFieldGaussian gaussian && Fits(gaussian))
            return Draw(gaussian, [gaussian.ScaleParameter], noise, []);
        using Tensor eps = posterior.SampleNoise(noise, []);
        return posterior.Deviation(eps);
    }

    /// <inheritdoc/>
    protected override void Backward(Tensor gradient, Span<Tensor?> gradients)
    {
        if (is_grad_enabled())
        {
            BackwardWithGraph(gradient, gradients);
            return;
        }

        Tensor g = gradient.contiguous();
        bool meanNeeded = _inputs.Length > Mean && _needed[Mean];
        (Tensor? ofMean, Tensor? ofScale) = (null, null);
        (bool addMean, bool addScale) = (false, false);
        if (meanNeeded && (_pass is null || !_pass.TryWrite(_inputs[Mean], out ofMean, out addMean)))
        {
            // Of one weight the gradient is the mean's as it is: autograd copies it where others hold it.
            ofMean = gradients[Mean] = _leading.Length == 0 ? g : empty_like(_inputs[Mean]);
            if (_leading.Length == 0)
                ofMean = null;
        }

        if (_needed[LogScale] && (_pass is null || !_pass.TryWrite(_inputs[LogScale], out ofScale, out addScale)))
            ofScale = gradients[LogScale] = empty_like(_inputs[LogScale]);
        if (g.dtype == ScalarType.Float32)
            Gradients<float>(g, ofMean, addMean, ofScale, addScale);
        else
            Gradients<double>(g, ofMean, addMean, ofScale, addScale);
    }

    /// <inheritdoc/>
    protected override void Released() => _pool.Return(_weights);

    /// <summary>Whether a pass over the memory of a posterior's parameters serves it.</summary>
    internal static bool Fits(MeanFieldGaussian posterior)
        => ReferenceEquals(posterior.ScaleParameterization, ScaleParameterization.Log) && posterior.Mask is null && IsAvailable
            && IsPlain(posterior.Mean) && IsPlain(posterior.ScaleParameter);

    private static bool IsPlain(Tensor tensor)
        => tensor.dtype == ScalarType.Float32 ? TensorMemory.IsPlain<float>(tensor) : TensorMemory.IsPlain<double>(tensor);

    private static Tensor Draw(MeanFieldGaussian posterior, Tensor[] inputs, NoiseSource noise, ReadOnlySpan<long> leading)
    {
        using var scope = NewDisposeScope();
        NoiseDraw draw = noise.NextDraw();
        Tensor scale = inputs[LogScale];
        bool recorded = is_grad_enabled() && inputs.Any(input => input.requires_grad);
        Tensor weights;
        using (no_grad())
        {
            long[] shape = [.. leading, .. posterior.Shape];
            weights = recorded ? posterior.Workspaces.Rent(shape, scale.dtype, scale.device) : empty(shape, dtype: scale.dtype, device: scale.device);
            if (scale.dtype == ScalarType.Float32)
                Sample<float>(inputs, draw, weights);
            else
                Sample<double>(inputs, draw, weights);
        }

        if (!recorded)
            return weights.MoveToOuterDisposeScope();
        var node = new GaussianSample(inputs, draw, weights, posterior.Workspaces, leading);
        return node.Attach(weights.detach(), inputs).MoveToOuterDisposeScope();
    }

    private static unsafe void Sample<T>(Tensor[] inputs, NoiseDraw draw, Tensor weights)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        long size = inputs[LogScale].numel();
        T* mean = inputs.Length > Mean ? TensorMemory.Pointer<T>(inputs[Mean]) : null;
        GaussianSampleKernel.Sample(
            mean, TensorMemory.Pointer<T>(inputs[LogScale]), draw, TensorMemory.Pointer<T>(weights), size == 0 ? 0 : weights.numel() / size, size);
        GC.KeepAlive(inputs);
        GC.KeepAlive(weights);
    }

    private unsafe void Gradients<T>(Tensor g, Tensor? ofMean, bool addMean, Tensor? ofScale, bool addScale)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        if (ofMean is null && ofScale is null)
            return;
        Tensor logScale = Input(LogScale);
        long size = logScale.numel();
        T* Pointer(Tensor? tensor) => tensor is null ? null : TensorMemory.Pointer<T>(tensor);
        GaussianSampleKernel.Gradients(
            Pointer(g), Pointer(logScale), _draw, Pointer(ofMean), addMean, Pointer(ofScale), addScale, size == 0 ? 0 : g.numel() / size, size);
        GC.KeepAlive(g);
        GC.KeepAlive(ofMean);
        GC.KeepAlive(ofScale);
    }

    /// <summary>The same gradients in operations that have gradients of their own.</summary>
    private void BackwardWithGraph(Tensor gradient, Span<Tensor?> gradients)
    {
        long[] batch = [.. Enumerable.Range(0, _leading.Length).Select(i => (long)i)];
        Tensor Sum(Tensor value) => batch.Length == 0 ? value : value.sum(batch);
        if (_inputs.Length > Mean && _needed[Mean])
            gradients[Mean] = Sum(gradient);
        if (!_needed[LogScale])
            return;
        Tensor eps = empty(gradient.shape, dtype: gradient.dtype, device: gradient.device);
        if (eps.dtype == ScalarType.Float32)
            _draw.FillInParallel(NoiseLaw.Normal, TensorMemory.Span<float>(eps));
        else
            _draw.FillInParallel(NoiseLaw.Normal, TensorMemory.Span<double>(eps));
        gradients[LogScale] = Sum(gradient.mul(eps)).mul(Input(LogScale).exp());
    }
}
