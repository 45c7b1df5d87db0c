using System.Numerics;
using BayesNet.Kernels;
using BayesNet.Priors;

namespace BayesNet.Training.Compiled;

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
    public required double KlWeight, PointDecay;
    public required bool Add;

    /// <summary>Room for two blocks of gradients a thread, and how much of it has been taken.</summary>
    public required T* Scratch;
    public required int* Taken;

    public readonly void Run(long begin, long end)
    {
        long room = Blocks.Room(Layer.Inputs);
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
        else if (PointDecay != 0)
        {
            LocalKernel.AddHere(meanGradient, mean.Pointer + start, count, T.CreateTruncating(PointDecay));
        }

        mean.Take(start, count, meanGradient, Add);
    }
}
