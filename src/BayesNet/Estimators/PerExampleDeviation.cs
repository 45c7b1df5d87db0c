using System.Numerics;
using BayesNet.Kernels;
using BayesNet.Maps;
using BayesNet.Posteriors;
using static TorchSharp.torch;

namespace BayesNet.Estimators;

/// <summary>
/// y_n = (sigma o eps_n) x_n for a linear map and a mean-field Gaussian weight, as one function whose memory is that of one weight, where the
/// weights of a batch would be B of them. With the gradient g_n of y_n,
/// <code>
/// d rho = sigma o sum_n eps_n o (g_n' x_n)        d x_n = g_n (sigma o eps_n)
/// </code>
/// </summary>
/// <remarks>
/// eps is drawn a second time in the backward pass. Other maps, posteriors, devices and layouts go by <see cref="GaussianSample.Weights"/> and
/// <see cref="AffineMap.ApplyPerExample"/>, which under the same noise give the same output to rounding.
/// </remarks>
internal sealed class PerExampleDeviation : GraphNode
{
    private const int LogScale = 0, X = 1;

    private readonly Tensor _logScale;
    private readonly bool _scaleNeeded, _inputNeeded;
    private readonly NoiseDraw _draw;
    private readonly TensorPool _pool;
    private readonly GradientBuffers.Pass? _pass = GradientBuffers.Current;

    private PerExampleDeviation(Tensor logScale, Tensor input, NoiseDraw draw, TensorPool pool)
        => (_logScale, _scaleNeeded, _inputNeeded, _draw, _pool) = (logScale, logScale.requires_grad, input.requires_grad, draw, pool);

    /// <summary>Whether <see cref="Product"/> serves these parts; the memory of <paramref name="input"/> need not be contiguous.</summary>
    internal static bool Fits(AffineMap map, Posterior weight, Tensor input)
        => map is LinearMap && weight is MeanFieldGaussian gaussian && GaussianSample.Fits(gaussian) && input.dtype == gaussian.Mean.dtype
            && !input.is_sparse && input.device_type == TorchSharp.DeviceType.CPU && input.numel() * 8 <= int.MaxValue;

    /// <summary>(sigma o eps_n) x_n with a fresh draw of eps.</summary>
    /// <param name="posterior">The weight's, (out, in).</param>
    /// <param name="input">x, (batch, positions..., in).</param>
    /// <param name="noise">Where eps comes from.</param>
    /// <returns>(batch, positions..., out), differentiable in the input and in rho.</returns>
    internal static Tensor Product(MeanFieldGaussian posterior, Tensor input, NoiseSource noise)
    {
        using var scope = NewDisposeScope();
        NoiseDraw draw = noise.NextDraw();
        Tensor logScale = posterior.ScaleParameter, x = input.contiguous();
        long[] shape = x.shape;
        shape[^1] = posterior.Shape[0];
        Tensor output;
        using (no_grad())
        {
            output = empty(shape, dtype: x.dtype, device: x.device);
            if (x.dtype == ScalarType.Float32)
                Forward<float>(logScale, x, draw, output);
            else
                Forward<double>(logScale, x, draw, output);
        }

        if (!is_grad_enabled() || !(logScale.requires_grad || x.requires_grad))
            return output.MoveToOuterDisposeScope();
        var node = new PerExampleDeviation(logScale, x, draw, posterior.Workspaces);
        return node.Attach(output, [logScale, x]).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override void Backward(Tensor gradient, Span<Tensor?> gradients)
    {
        if (is_grad_enabled())
        {
            BackwardWithGraph(gradient, gradients);
            return;
        }

        Tensor? ofScale = null;
        bool addScale = false;
        if (_scaleNeeded && (_pass is null || !_pass.TryWrite(_logScale, out ofScale, out addScale)))
            ofScale = gradients[LogScale] = empty_like(_logScale);
        if (gradient.dtype == ScalarType.Float32)
            gradients[X] = Gradients<float>(gradient.contiguous(), ofScale, addScale);
        else
            gradients[X] = Gradients<double>(gradient.contiguous(), ofScale, addScale);
    }

    /// <inheritdoc/>
    protected override void Released()
    {
    }

    private static unsafe PerExampleKernel.Product<T> Of<T>(Tensor logScale, Tensor x, NoiseDraw draw)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        (long outputs, long inputs, long batch) = (logScale.size(0), logScale.size(1), x.size(0));
        return new PerExampleKernel.Product<T>(
            (nint)TensorMemory.Pointer<T>(logScale), (nint)TensorMemory.Pointer<T>(x), draw, batch, Positions(x), inputs, outputs);
    }

    private static long Positions(Tensor x) => x.numel() / Math.Max(1, x.size(0) * x.size(-1));

    private static unsafe void Forward<T>(Tensor logScale, Tensor x, NoiseDraw draw, Tensor output)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        PerExampleKernel.Forward(Of<T>(logScale, x, draw), TensorMemory.Pointer<T>(output));
        GC.KeepAlive(logScale);
        GC.KeepAlive(x);
        GC.KeepAlive(output);
    }

    /// <summary>Writes d rho where it is asked for; returns d x, or null where nobody needs it.</summary>
    private unsafe Tensor? Gradients<T>(Tensor g, Tensor? ofScale, bool addScale)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        Tensor logScale = Input(LogScale), x = Input(X);
        PerExampleKernel.Product<T> product = Of<T>(logScale, x, _draw);
        Tensor? parts = _inputNeeded ? _pool.Rent([product.Parts, product.InputSize], x.dtype, x.device) : null;
        PerExampleKernel.Backward(
            product, TensorMemory.Pointer<T>(g), ofScale is null ? null : TensorMemory.Pointer<T>(ofScale), addScale,
            parts is null ? null : TensorMemory.Pointer<T>(parts));
        GC.KeepAlive(g);
        GC.KeepAlive(ofScale);
        GC.KeepAlive(logScale);
        GC.KeepAlive(x);
        if (parts is null)
            return null;
        Tensor ofInput = parts[0].view(x.shape).clone();
        _pool.Return(parts);
        return ofInput;
    }

    /// <summary>The same gradients in operations that have gradients of their own, with the noise of the batch as a tensor.</summary>
    private void BackwardWithGraph(Tensor gradient, Span<Tensor?> gradients)
    {
        Tensor logScale = Input(LogScale), x = Input(X);
        (long outputs, long inputs, long batch, long positions) = (logScale.size(0), logScale.size(1), x.size(0), Positions(x));
        Tensor eps = empty([batch, outputs, inputs], dtype: x.dtype, device: x.device);
        if (eps.dtype == ScalarType.Float32)
            _draw.FillInParallel(NoiseLaw.Normal, TensorMemory.Span<float>(eps));
        else
            _draw.FillInParallel(NoiseLaw.Normal, TensorMemory.Span<double>(eps));
        Tensor deviation = eps.mul(logScale.exp()), g = gradient.reshape(batch, positions, outputs);
        if (_scaleNeeded)
            gradients[LogScale] = g.transpose(1, 2).bmm(x.reshape(batch, positions, inputs)).mul(deviation).sum(dim: 0);
        if (_inputNeeded)
            gradients[X] = g.bmm(deviation).reshape(x.shape);
    }
}
