using System.Numerics;
using BayesNet.Kernels;
using BayesNet.Priors;

namespace BayesNet.Training.Compiled;

/// <summary>
/// How a layer's matrix products are cut into tasks: small enough that what a product leaves is still in the cache when the pass behind it
/// reads it, of nearly equal size, and as many as two or four threads can share evenly.
/// </summary>
/// <param name="Extent">The rows or columns that are cut.</param>
/// <param name="Count">The number of blocks.</param>
internal readonly record struct Blocks(int Extent, int Count)
{
    private const int EntriesPerBlock = 1 << 17;
    private const int LeastSize = 32;

    // Blocks begin at whole vectors.
    private const int Alignment = 16;

    // Multiplications below which a second thread costs more than it does.
    private const long MultiplicationsPerThread = 1 << 19;

    /// <summary>What no block has more rows or columns than.</summary>
    public int Size => (Extent + Count - 1) / Count + Alignment;

    /// <summary>Blocks of <paramref name="extent"/> rows or columns, each with <paramref name="other"/> entries.</summary>
    public static Blocks Of(int extent, int other)
    {
        int size = Math.Max(LeastSize, EntriesPerBlock / other), count = (extent + size - 1) / size;
        return new Blocks(extent, count <= 2 ? count : Math.Min((count + 3) / 4 * 4, (extent + LeastSize - 1) / LeastSize));
    }

    /// <summary>The grain of a parallel loop over the blocks, for a product with <paramref name="inner"/> as its inner extent.</summary>
    public long Grain(int other, int inner) => Math.Max(1, MultiplicationsPerThread / Math.Max(1, (long)Size * other * inner));

    public (int First, int Size) At(long index)
    {
        int first = Boundary(index);
        return (first, Boundary(index + 1) - first);
    }

    private int Boundary(long index) => index == Count ? Extent : (int)(index * Extent / Count) / Alignment * Alignment;
}

/// <summary>A layer's forward pass, a block of output channels at a time.</summary>
internal unsafe struct ForwardTask<T, TActivation> : IRangeBody
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
    where TActivation : struct, IActivation<T>
{
    public required Layer<T> Layer;
    public required TActivation Activation;
    public required Blocks Blocks;
    public required int Batch;
    public required T* Input, InputSquares;
    public required double* Divergences;
    public required T Floor;

    public readonly void Run(long begin, long end)
    {
        for (long block = begin; block < end; block++)
        {
            (int first, int size) = Blocks.At(block);
            long start = (long)first * Layer.Inputs;
            Divergences[block] = Layer.Prepare(start, (long)size * Layer.Inputs);
            var columns = new LayerKernels.Columns(Batch, Layer.Outputs, first, size);
            MatrixProduct.Multiply(
                false, true, Batch, size, Layer.Inputs, 1, Input, Layer.Inputs, Layer.Weight + start, Layer.Inputs, 0, Layer.Slopes + first, Layer.Outputs);
            if (Layer.Kind == NoiseKind.Local)
            {
                MatrixProduct.Multiply(
                    false, true, Batch, size, Layer.Inputs, 1, InputSquares, Layer.Inputs, Layer.Spread + start, Layer.Inputs, 0, Layer.Factors + first, Layer.Outputs);
                LayerKernels.ForwardLocal(
                    columns, Activation, Layer.Slopes, Layer.Factors, Layer.Activations, Layer.Squares, Layer.Bias, Layer.BiasSpread, Floor);
            }
            else
            {
                LayerKernels.Forward(columns, Activation, Layer.Slopes, Layer.Activations, Layer.Squares, Layer.Bias);
            }
        }
    }
}

/// <summary>The gradient in a layer's input, carried through the activation and noise of the layer below, a block of input channels at a time.</summary>
internal unsafe struct InputGradientTask<T> : IRangeBody
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    public required Layer<T> Layer, Below;
    public required Blocks Blocks;
    public required int Batch;
    public required T* Gradient, VarianceGradient;

    public readonly void Run(long begin, long end)
    {
        T* variances = Layer.Kind == NoiseKind.Local ? VarianceGradient : null;
        for (long block = begin; block < end; block++)
        {
            (int first, int size) = Blocks.At(block);
            MatrixProduct.Multiply(
                false, false, Batch, size, Layer.Outputs, 1, Layer.Slopes, Layer.Outputs, Layer.Weight + first, Layer.Inputs, 0, Gradient + first, Layer.Inputs);
            if (variances is not null)
            {
                MatrixProduct.Multiply(
                    false, false, Batch, size, Layer.Outputs, 1, Layer.Factors, Layer.Outputs, Layer.Spread + first, Layer.Inputs, 0, variances + first, Layer.Inputs);
            }

            LayerKernels.Backward(
                new LayerKernels.Columns(Batch, Layer.Inputs, first, size), Gradient, variances, Below.Activations, Below.Slopes,
                Below.Kind == NoiseKind.Local ? Below.Factors : null);
        }
    }
}

/// <summary>The gradients in a layer's weight and bias, and what becomes of them, a block of output channels at a time.</summary>
internal unsafe struct WeightGradientTask<T> : IRangeBody
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    public required Layer<T> Layer;
    public required Blocks Blocks;
    public required int Batch;
    public required T* Input, InputSquares;
    public required double KlWeight;
    public required bool Add;

    /// <summary>Room for two blocks of gradients a thread, and how much of it has been taken.</summary>
    public required T* Scratch;
    public required int* Taken;

    public readonly void Run(long begin, long end)
    {
        long room = (long)Blocks.Size * Layer.Inputs;
        T* meanGradient = Scratch + 2 * room * (Interlocked.Increment(ref *Taken) - 1), scaleGradient = meanGradient + room;
        for (long block = begin; block < end; block++)
        {
            (int first, int size) = Blocks.At(block);
            long start = (long)first * Layer.Inputs;
            int count = checked(size * Layer.Inputs);
            MatrixProduct.Multiply(
                true, false, size, Layer.Inputs, Batch, 1, Layer.Slopes + first, Layer.Outputs, Input, Layer.Inputs, 0, meanGradient, Layer.Inputs);
            if (Layer.Kind == NoiseKind.Local)
            {
                MatrixProduct.Multiply(
                    true, false, size, Layer.Inputs, Batch, 1, Layer.Factors + first, Layer.Outputs, InputSquares, Layer.Inputs, 0, scaleGradient, Layer.Inputs);
            }

            Take(Layer.Mean, Layer.Scale, Layer.Spread + start, Layer.WeightPrior, start, count, meanGradient, scaleGradient);
            if (Layer.BiasMean is null)
                continue;
            var columns = new LayerKernels.Columns(Batch, Layer.Outputs, first, size);
            LayerKernels.SumRows(columns, Layer.Slopes, Layer.BiasGradient);
            if (Layer.Kind == NoiseKind.Local)
                LayerKernels.SumRows(columns, Layer.Factors, Layer.BiasScaleGradient);
            Take(Layer.BiasMean, Layer.BiasScale, Layer.BiasSpread + first, Layer.BiasPrior, first, size, Layer.BiasGradient + first, Layer.BiasScaleGradient + first);
        }
    }

    private readonly void Take(
        TrainedParameter<T> mean, TrainedParameter<T>? scale, T* spread, GaussianPrior? prior, long start, int count, T* meanGradient, T* scaleGradient)
    {
        if (scale is not null)
        {
            var divergence = new GaussianKlKernel.Entry<T>(prior!.ScalarMean, prior.ScalarStdDev, KlWeight);
            if (Layer.Kind == NoiseKind.Local)
                MeanFieldKernels.ChainVariance(mean.Pointer + start, spread, meanGradient, scaleGradient, count, divergence);
            else
                MeanFieldKernels.ChainSample(mean.Pointer + start, scale.Pointer + start, spread, meanGradient, scaleGradient, count, divergence);
            scale.Take(start, count, scaleGradient, Add);
        }

        mean.Take(start, count, meanGradient, Add);
    }
}
