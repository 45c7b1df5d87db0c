using System.Numerics;
using BayesNet.Kernels;
using BayesNet.Maps;
using BayesNet.Reparameterization;
using static TorchSharp.torch;

namespace BayesNet.Estimators.Local;

/// <summary>Where a linear layer's tensors are all plain memory: <see cref="LinearLocalNode{T}"/>.</summary>
internal static class LinearLocalNode
{
    /// <summary>Whether the inputs, those of <see cref="LocalNode.Compose"/>, are such, and all parameters want their gradients or none does.</summary>
    internal static bool Fits(Tensor[] inputs, bool recorded)
    {
        if (!MatrixProduct.IsAvailable || inputs[0].size(0) == 0 || !LocalArithmetic.IsPlain(inputs))
            return false;
        for (int i = 1; i < inputs.Length; i++)
        {
            if (recorded && !inputs[i].requires_grad)
                return false;
        }

        return inputs[0].size(0) * inputs[1].size(0) <= int.MaxValue / sizeof(double);
    }

    /// <summary>The layer's output.</summary>
    internal static Tensor Forward(ILocalProducts products, Tensor[] inputs, NoiseSource noise, bool recorded)
        => inputs[0].dtype == ScalarType.Float32
            ? LinearLocalNode<float>.Forward(products, inputs, noise, recorded)
            : LinearLocalNode<double>.Forward(products, inputs, noise, recorded);
}

/// <summary>
/// <see cref="LocalNode"/>'s function for a linear layer whose tensors are plain memory: products cut into blocks, so that what comes before and
/// behind them finds its operands in the cache, and no memory of the weight's size but its gradients.
/// </summary>
/// <remarks>
/// sigma^2 is made three times, block by block, and never kept. Where the pass over gradients that is open has a divergence to offer, its value and
/// its gradient are computed in the same loops.
/// </remarks>
internal sealed unsafe class LinearLocalNode<T> : GraphNode
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    private const int Input0 = 0, Mean = 1, LogScale = 2, BiasMean = 3, BiasLogScale = 4;

    private static readonly GaussianKlKernel.Entry<T> NoDivergence = new(0, 1, 0);

    private readonly ILocalProducts _products;
    private readonly Tensor[] _parameters;
    private readonly bool _inputNeeded;
    private readonly GradientBuffers.Pass? _pass = GradientBuffers.Current;
    private readonly int _batch, _inputs, _outputs;
    private readonly NativeBuffer<T> _factor, _squares;

    private LinearLocalNode(ILocalProducts products, Tensor[] inputs, int batch, int width, int outputs, NativeBuffer<T> factor, NativeBuffer<T> squares)
    {
        (_products, _parameters, _inputNeeded) = (products, inputs, inputs[Input0].requires_grad);
        (_batch, _inputs, _outputs, _factor, _squares) = (batch, width, outputs, factor, squares);
    }

    private bool HasBias => _parameters.Length > BiasMean;

    internal static Tensor Forward(ILocalProducts products, Tensor[] inputs, NoiseSource noise, bool recorded)
    {
        Tensor x = inputs[Input0];
        int batch = (int)x.size(0), width = (int)x.size(1), outputs = (int)inputs[Mean].size(0);
        Tensor output;
        using (no_grad())
            output = empty([batch, outputs], dtype: x.dtype);
        NativeBuffer<T> factor = AlignedPool<T>.Rent((long)batch * outputs), squares = AlignedPool<T>.Rent((long)batch * width);
        Compute(inputs, batch, width, outputs, noise, output, factor, squares);
        if (recorded)
            return new LinearLocalNode<T>(products, inputs, batch, width, outputs, factor, squares).Attach(output, inputs);
        AlignedPool<T>.Return(factor);
        AlignedPool<T>.Return(squares);
        return output;
    }

    private static void Compute(Tensor[] inputs, int batch, int width, int outputs, NoiseSource noise, Tensor output, NativeBuffer<T> factor, NativeBuffer<T> squares)
    {
        bool hasBias = inputs.Length > BiasMean;
        GradientBuffers.Divergence? ofWeight = GradientBuffers.Current?.DivergenceOf(inputs[LogScale]);
        GradientBuffers.Divergence? ofBias = hasBias ? GradientBuffers.Current?.DivergenceOf(inputs[BiasLogScale]) : null;
        noise.FillNormal(TensorMemory.Span<T>(output));
        var blocks = Blocks.Of(outputs, width);
        NativeBuffer<T> means = AlignedPool<T>.Rent((long)batch * outputs), scratch = Scratch(blocks, width), biasVariance = AlignedPool<T>.Rent(outputs);
        T* factorAt = factor.Pointer, squaresAt = squares.Pointer, meansAt = means.Pointer, scratchAt = scratch.Pointer, biasVarianceAt = biasVariance.Pointer;
        T* input = TensorMemory.Pointer<T>(inputs[Input0]);
        LocalKernel.Multiply(input, input, squaresAt, (long)batch * width);
        if (hasBias)
        {
            GaussianKlKernel.Entry<T> form = Form(ofBias, 0);
            double varying = MeanFieldKernels.Variance(
                TensorMemory.Pointer<T>(inputs[BiasMean]), TensorMemory.Pointer<T>(inputs[BiasLogScale]), biasVarianceAt, outputs, form);
            ofBias?.Value = varying + outputs * form.Constant;
        }

        double* divergences = stackalloc double[blocks.Count];
        int taken = 0;
        var task = new LocalLinearForward<T>
        {
            Layer = Operands(inputs, batch, width, outputs, squaresAt),
            Blocks = blocks,
            Divergence = Form(ofWeight, 0),
            Floor = FloatRange.LeastNormal<T>(),
            Bias = hasBias ? TensorMemory.Pointer<T>(inputs[BiasMean]) : null,
            BiasVariance = hasBias ? biasVarianceAt : null,
            Means = meansAt,
            Output = TensorMemory.Pointer<T>(output),
            Factor = factorAt,
            Divergences = divergences,
            Scratch = scratchAt,
            Taken = &taken,
        };
        TorchThreads.For(blocks.Count, blocks.Grain(width, batch), ref task);
        if (ofWeight is not null)
        {
            double sum = 0;
            for (int block = 0; block < blocks.Count; block++)
                sum += divergences[block];
            ofWeight.Value = sum + (double)outputs * width * task.Divergence.Constant;
        }

        AlignedPool<T>.Return(means);
        AlignedPool<T>.Return(scratch);
        AlignedPool<T>.Return(biasVariance);
        GC.KeepAlive(output);
        foreach (Tensor tensor in inputs)
            GC.KeepAlive(tensor);
    }

    /// <inheritdoc/>
    protected override void Backward(Tensor gradient, Span<Tensor?> gradients)
    {
        Tensor[] inputs = Inputs();
        if (is_grad_enabled())
        {
            Tensor kept = empty([_batch, _outputs], dtype: gradient.dtype);
            new ReadOnlySpan<T>(_factor.Pointer, _batch * _outputs).CopyTo(TensorMemory.Span<T>(kept));
            LocalNode.Differentiate(_products, inputs, gradient, kept, VariancePrecision.Full, gradients);
            return;
        }

        Tensor g = TensorMemory.IsPlain<T>(gradient) ? gradient : gradient.contiguous();
        NativeBuffer<T> h = AlignedPool<T>.Rent((long)_batch * _outputs);
        T* hAt = h.Pointer, factorAt = _factor.Pointer, squaresAt = _squares.Pointer;
        T* gAt = TensorMemory.Pointer<T>(g);
        LocalKernel.Multiply(gAt, factorAt, hAt, (long)_batch * _outputs);
        LocalLinear<T> layer = Operands(inputs, _batch, _inputs, _outputs, squaresAt);
        WeightGradient(layer, inputs, gAt, hAt, gradients);
        if (_inputNeeded)
            gradients[Input0] = InputGradient(layer, gAt, hAt, g.dtype);

        AlignedPool<T>.Return(h);
        GC.KeepAlive(g);
        foreach (Tensor tensor in inputs)
            GC.KeepAlive(tensor);
    }

    /// <inheritdoc/>
    protected override void Released()
    {
        AlignedPool<T>.Return(_factor);
        AlignedPool<T>.Return(_squares);
    }

    private Tensor InputGradient(LocalLinear<T> layer, T* g, T* h, ScalarType dtype)
    {
        Tensor result = empty([_batch, _inputs], dtype: dtype);
        var blocks = Blocks.Of(_inputs, _outputs);
        NativeBuffer<T> terms = AlignedPool<T>.Rent((long)_batch * _inputs), scratch = Scratch(blocks, _outputs);
        T* termsAt = terms.Pointer, scratchAt = scratch.Pointer;
        int taken = 0;
        var task = new LocalLinearInputGradient<T>
        {
            Layer = layer,
            Blocks = blocks,
            OutputGradient = g,
            VarianceGradient = h,
            Gradient = TensorMemory.Pointer<T>(result),
            Terms = termsAt,
            Scratch = scratchAt,
            Taken = &taken,
        };
        TorchThreads.For(blocks.Count, blocks.Grain(_outputs, _batch), ref task);

        AlignedPool<T>.Return(terms);
        AlignedPool<T>.Return(scratch);
        return result;
    }

    private void WeightGradient(LocalLinear<T> layer, Tensor[] inputs, T* g, T* h, Span<Tensor?> gradients)
    {
        T* inMean = Target(Mean, gradients, out bool addMean), inLogScale = Target(LogScale, gradients, out bool addLogScale);
        var blocks = Blocks.Of(_outputs, _inputs);
        NativeBuffer<T> scratch = Scratch(blocks, _inputs), sums = AlignedPool<T>.Rent(2L * _outputs);
        T* scratchAt = scratch.Pointer, sumsAt = sums.Pointer;
        int taken = 0;
        var task = new LocalLinearWeightGradient<T>
        {
            Layer = layer,
            Blocks = blocks,
            Divergence = Claim(LogScale, gradients),
            OutputGradient = g,
            VarianceGradient = h,
            MeanGradient = inMean,
            LogScaleGradient = inLogScale,
            AddMean = addMean,
            AddLogScale = addLogScale,
            BiasSums = HasBias ? sumsAt : null,
            BiasVarianceSums = HasBias ? sumsAt + _outputs : null,
            Scratch = scratchAt,
            Taken = &taken,
        };
        TorchThreads.For(blocks.Count, blocks.Grain(_inputs, _batch), ref task);
        if (HasBias)
            BiasGradient(inputs, sumsAt, gradients);

        AlignedPool<T>.Return(scratch);
        AlignedPool<T>.Return(sums);
    }

    private void BiasGradient(Tensor[] inputs, T* sums, Span<Tensor?> gradients)
    {
        T* inMean = Target(BiasMean, gradients, out bool addMean), inLogScale = Target(BiasLogScale, gradients, out bool addLogScale);
        MeanFieldKernels.ChainLogScale(
            TensorMemory.Pointer<T>(inputs[BiasMean]), TensorMemory.Pointer<T>(inputs[BiasLogScale]), sums + _outputs, sums, sums + _outputs, _outputs,
            Claim(BiasLogScale, gradients));
        LocalKernel.PutHere(sums, inMean, _outputs, addMean);
        LocalKernel.PutHere(sums + _outputs, inLogScale, _outputs, addLogScale);
    }

    /// <summary>Where a parameter's gradient goes: the memory of the pass that is open, or, where none is, a tensor for autograd.</summary>
    private T* Target(int index, Span<Tensor?> gradients, out bool add)
    {
        Tensor parameter = _parameters[index];
        if (_pass is not null && _pass.TryWrite(parameter, out Tensor memory, out add))
            return TensorMemory.Pointer<T>(memory);
        add = false;
        gradients[index] = memory = empty(parameter.shape, dtype: parameter.dtype);
        return TensorMemory.Pointer<T>(memory);
    }

    /// <summary>The divergence's gradient, where one is on offer, both gradients go to the pass, and it has not been added yet.</summary>
    private GaussianKlKernel.Entry<T> Claim(int logScale, Span<Tensor?> gradients)
    {
        if (gradients[logScale] is not null || gradients[logScale - 1] is not null || _pass?.DivergenceOf(_parameters[logScale]) is not { HasGradient: false } divergence)
            return NoDivergence;
        divergence.HasGradient = true;
        return Form(divergence, divergence.Weight);
    }

    private static GaussianKlKernel.Entry<T> Form(GradientBuffers.Divergence? divergence, double weight)
        => divergence is null ? NoDivergence : new GaussianKlKernel.Entry<T>(divergence.PriorMean, divergence.PriorStdDev, weight);

    private static NativeBuffer<T> Scratch(Blocks blocks, int other) => AlignedPool<T>.Rent(LocalLinear<T>.ScratchFor(blocks, other));

    private static LocalLinear<T> Operands(Tensor[] inputs, int batch, int width, int outputs, T* squares)
        => new()
        {
            Batch = batch,
            Inputs = width,
            Outputs = outputs,
            Input = TensorMemory.Pointer<T>(inputs[Input0]),
            Squares = squares,
            Mean = TensorMemory.Pointer<T>(inputs[Mean]),
            LogScale = TensorMemory.Pointer<T>(inputs[LogScale]),
        };
}
