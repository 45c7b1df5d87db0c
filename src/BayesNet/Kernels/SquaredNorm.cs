using System.Numerics;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Kernels;

/// <summary>The sum of a tensor's squares, in float64.</summary>
internal static unsafe class SquaredNorm
{
    /// <summary>The sum of the squares: one pass over memory on the CPU, tensor operations elsewhere.</summary>
    internal static double Of(Tensor tensor)
    {
        double sum = TensorMemory.IsPlain<float>(tensor) ? ChunkedSum.Of(tensor.numel(), new Squares<float>(TensorMemory.Pointer<float>(tensor)))
            : TensorMemory.IsPlain<double>(tensor) ? ChunkedSum.Of(tensor.numel(), new Squares<double>(TensorMemory.Pointer<double>(tensor)))
            : Plain(tensor);
        GC.KeepAlive(tensor);
        return sum;
    }

    /// <summary>The same by tensor operations.</summary>
    internal static double Plain(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        return tensor.to(ScalarType.Float64).Squared().sum().item<double>();
    }

    private readonly struct Squares<T>(T* values) : IRangeSum
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public double Sum(long begin, long end)
        {
            long i = begin;
            double sum = 0;
            if (Vector.IsHardwareAccelerated)
            {
                Vector<double> low = default, high = default;
                for (; i <= end - Vector<T>.Count; i += Vector<T>.Count)
                {
                    (Vector<double> first, Vector<double> second) = InDouble.Widen(Vector.Load(values + i));
                    low += first * first;
                    high += second * second;
                }

                sum = Vector.Sum(low + high);
            }

            for (; i < end; i++)
            {
                double value = double.CreateTruncating(values[i]);
                sum += value * value;
            }

            return sum;
        }
    }
}
