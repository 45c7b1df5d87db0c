using System.Numerics;

namespace BayesNet.Kernels;

/// <summary>
/// Where the operands of a linear layer under local reparameterization are, in row-major order: x (batch, in), its squares, mu and rho
/// (out, in), with rho = ln sigma.
/// </summary>
internal unsafe struct LocalLinear<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    public required int Batch, Inputs, Outputs;
    public required T* Input, Squares, Mean, LogScale;

    /// <summary>Entries of scratch memory that a task with these blocks of the weight needs on all threads together.</summary>
    public static long ScratchFor(Blocks blocks, int other)
        => blocks.Count == 1 ? (long)blocks.Extent * other : Math.Min(blocks.Count, TorchSharp.torch.get_num_threads()) * blocks.Room(other);
}

/// <summary>
/// The layer's output, m + sqrt(v) zeta, a block of output channels at a time. sigma^2 of a block is made, read by its product and forgotten:
/// an exponential costs less than the memory that would keep it.
/// </summary>
internal unsafe struct LocalLinearForward<T> : IRangeBody
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    public required LocalLinear<T> Layer;
    public required Blocks Blocks;
    public required GaussianKlKernel.Entry<T> Divergence;
    public required T Floor;

    /// <summary>(out), both null without a bias.</summary>
    public required T* Bias, BiasVariance;

    /// <summary>(batch, out). Means: room. Output: zeta, then the output. Factor: zeta / (2 sqrt v), to be.</summary>
    public required T* Means, Output, Factor;

    /// <summary>Receives the divergence of each block, without its constant.</summary>
    public required double* Divergences;

    public required T* Scratch;
    public required int* Taken;

    public readonly void Run(long begin, long end)
    {
        T* variance = Scratch + Blocks.Room(Layer.Inputs) * (Interlocked.Increment(ref *Taken) - 1);
        for (long block = begin; block < end; block++)
        {
            (int first, int size) = Blocks.At(block);
            long start = (long)first * Layer.Inputs;
            Divergences[block] = MeanFieldKernels.Variance(Layer.Mean + start, Layer.LogScale + start, variance, (long)size * Layer.Inputs, Divergence);
            MatrixProduct.Multiply(
                false, true, Layer.Batch, size, Layer.Inputs, 1, Layer.Squares, Layer.Inputs, variance, Layer.Inputs, 0, Factor + first, Layer.Outputs);
            MatrixProduct.Multiply(
                false, true, Layer.Batch, size, Layer.Inputs, 1, Layer.Input, Layer.Inputs, Layer.Mean + start, Layer.Inputs, 0, Means + first, Layer.Outputs);
            LayerKernels.ForwardLocal(
                new LayerKernels.Columns(Layer.Batch, Layer.Outputs, first, size), default(Identity<T>), Means, Factor, Output, null, Bias, BiasVariance, Floor);
        }
    }
}

/// <summary>The gradient in the input, g mu + 2 x (h sigma^2), a block of input channels at a time.</summary>
internal unsafe struct LocalLinearInputGradient<T> : IRangeBody
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    public required LocalLinear<T> Layer;
    public required Blocks Blocks;

    /// <summary>(batch, out): the gradients in m and in v.</summary>
    public required T* OutputGradient, VarianceGradient;

    /// <summary>(batch, in). Gradient: the result. Terms: room.</summary>
    public required T* Gradient, Terms;

    public required T* Scratch;
    public required int* Taken;

    public readonly void Run(long begin, long end)
    {
        T* variance = Scratch + Blocks.Room(Layer.Outputs) * (Interlocked.Increment(ref *Taken) - 1);
        for (long block = begin; block < end; block++)
        {
            (int first, int size) = Blocks.At(block);
            for (int row = 0; row < Layer.Outputs; row++)
                MeanFieldKernels.Variance(Layer.LogScale + (long)row * Layer.Inputs + first, variance + (long)row * size, size);
            MatrixProduct.Multiply(
                false, false, Layer.Batch, size, Layer.Outputs, 1, VarianceGradient, Layer.Outputs, variance, size, 0, Terms + first, Layer.Inputs);
            MatrixProduct.Multiply(
                false, false, Layer.Batch, size, Layer.Outputs, 1, OutputGradient, Layer.Outputs, Layer.Mean + first, Layer.Inputs, 0, Gradient + first, Layer.Inputs);
            for (int row = 0; row < Layer.Batch; row++)
            {
                long start = (long)row * Layer.Inputs + first;
                LocalKernel.AddTwiceProductHere(Gradient + start, Layer.Input + start, Terms + start, size);
            }
        }
    }
}

/// <summary>The gradients in mu and rho, g' x and 2 sigma^2 (h' x^2), and the divergence's, a block of output channels at a time.</summary>
internal unsafe struct LocalLinearWeightGradient<T> : IRangeBody
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    public required LocalLinear<T> Layer;
    public required Blocks Blocks;
    public required GaussianKlKernel.Entry<T> Divergence;

    /// <summary>(batch, out): the gradients in m and in v.</summary>
    public required T* OutputGradient, VarianceGradient;

    /// <summary>(out, in).</summary>
    public required T* MeanGradient, LogScaleGradient;

    /// <summary>Whether these are added to.</summary>
    public required bool AddMean, AddLogScale;

    /// <summary>(out): the sums of the two over the batch; both null without a bias.</summary>
    public required T* BiasSums, BiasVarianceSums;

    public required T* Scratch;
    public required int* Taken;

    public readonly void Run(long begin, long end)
    {
        T* scratch = Scratch + Blocks.Room(Layer.Inputs) * (Interlocked.Increment(ref *Taken) - 1);
        for (long block = begin; block < end; block++)
        {
            (int first, int size) = Blocks.At(block);
            long start = (long)first * Layer.Inputs, count = (long)size * Layer.Inputs;
            T* inMean = MeanGradient + start, inLogScale = LogScaleGradient + start;
            MatrixProduct.Multiply(
                true, false, size, Layer.Inputs, Layer.Batch, 1, VarianceGradient + first, Layer.Outputs, Layer.Squares, Layer.Inputs, 0, scratch, Layer.Inputs);
            MatrixProduct.Multiply(
                true, false, size, Layer.Inputs, Layer.Batch, 1, OutputGradient + first, Layer.Outputs, Layer.Input, Layer.Inputs, AddMean ? 1 : 0, inMean, Layer.Inputs);
            MeanFieldKernels.ChainLogScale(Layer.Mean + start, Layer.LogScale + start, scratch, inMean, AddLogScale ? scratch : inLogScale, count, Divergence);
            if (AddLogScale)
                LocalKernel.AddHere(inLogScale, scratch, count);
            if (BiasSums == null)
                continue;
            var columns = new LayerKernels.Columns(Layer.Batch, Layer.Outputs, first, size);
            LayerKernels.SumRows(columns, OutputGradient, BiasSums);
            LayerKernels.SumRows(columns, VarianceGradient, BiasVarianceSums);
        }
    }
}
