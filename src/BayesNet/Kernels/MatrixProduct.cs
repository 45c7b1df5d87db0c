using BayesNet.Runtime;
using TorchSharp;

namespace BayesNet.Kernels;

/// <summary>
/// C = alpha op(A) op(B) + beta C on raw row-major memory, by the BLAS inside libtorch where it exports one (MKL, on x86 Linux), without
/// the two microseconds and the tensors of an operator call.
/// </summary>
internal static unsafe class MatrixProduct
{
    private static readonly delegate* unmanaged[Cdecl]<byte*, byte*, int*, int*, int*, float*, float*, int*, float*, int*, float*, float*, int*, void> Single
        = (delegate* unmanaged[Cdecl]<byte*, byte*, int*, int*, int*, float*, float*, int*, float*, int*, float*, float*, int*, void>)NativeLibraries.Export("sgemm_");

    private static readonly delegate* unmanaged[Cdecl]<byte*, byte*, int*, int*, int*, double*, double*, int*, double*, int*, double*, double*, int*, void> Double
        = (delegate* unmanaged[Cdecl]<byte*, byte*, int*, int*, int*, double*, double*, int*, double*, int*, double*, double*, int*, void>)NativeLibraries.Export("dgemm_");

    /// <summary>Whether this libtorch exports a BLAS; where it does not, callers multiply tensors.</summary>
    internal static bool IsAvailable => Single != null && Double != null;

    /// <summary>
    /// C (m, n) = alpha op(A) (m, k) op(B) (k, n) + beta C. A is stored (m, k), or (k, m) where transposed; B (k, n), or (n, k). With beta = 0,
    /// C is written and never read.
    /// </summary>
    /// <param name="transposeA">Whether op(A) is A's transpose.</param>
    /// <param name="transposeB">Whether op(B) is B's transpose.</param>
    /// <param name="m">Rows of C.</param>
    /// <param name="n">Columns of C.</param>
    /// <param name="k">The inner extent.</param>
    /// <param name="alpha">The product's factor.</param>
    /// <param name="a">A.</param>
    /// <param name="strideA">Entries from one row of A, as stored, to the next.</param>
    /// <param name="b">B.</param>
    /// <param name="strideB">Entries from one row of B, as stored, to the next.</param>
    /// <param name="beta">The factor of what C holds.</param>
    /// <param name="c">C.</param>
    /// <param name="strideC">Entries from one row of C to the next.</param>
    internal static void Multiply<T>(
        bool transposeA, bool transposeB, int m, int n, int k, double alpha, T* a, int strideA, T* b, int strideB, double beta, T* c, int strideC)
        where T : unmanaged
    {
        // BLAS is column-major: the row-major C = op(A) op(B) is its C' = op(B)' op(A)'.
        byte first = transposeB ? (byte)'T' : (byte)'N', second = transposeA ? (byte)'T' : (byte)'N';
        if (typeof(T) == typeof(float))
        {
            float singleAlpha = (float)alpha, singleBeta = (float)beta;
            Single(&first, &second, &n, &m, &k, &singleAlpha, (float*)b, &strideB, (float*)a, &strideA, &singleBeta, (float*)c, &strideC);
        }
        else if (typeof(T) == typeof(double))
        {
            Double(&first, &second, &n, &m, &k, &alpha, (double*)b, &strideB, (double*)a, &strideA, &beta, (double*)c, &strideC);
        }
        else
        {
            throw new NotSupportedException($"The BLAS multiplies float and double, not {typeof(T).Name}.");
        }
    }

    /// <summary>
    /// target (m, n) = a' b, or that added to it, for a (k, m) and b (k, n); false, with nothing done, where one of them is no matrix that a loop can
    /// read or there is no BLAS.
    /// </summary>
    internal static bool TryMultiplyTransposed(torch.Tensor a, torch.Tensor b, torch.Tensor target, bool add)
    {
        if (!IsAvailable || a.dtype != target.dtype || b.dtype != target.dtype)
            return false;
        if (TensorMemory.IsPlain<float>(a) && TensorMemory.IsPlain<float>(b) && TensorMemory.IsPlain<float>(target))
            Multiply<float>(a, b, target, add);
        else if (TensorMemory.IsPlain<double>(a) && TensorMemory.IsPlain<double>(b) && TensorMemory.IsPlain<double>(target))
            Multiply<double>(a, b, target, add);
        else
            return false;
        return true;
    }

    private static void Multiply<T>(torch.Tensor a, torch.Tensor b, torch.Tensor target, bool add)
        where T : unmanaged
    {
        int k = (int)a.size(0), m = (int)a.size(1), n = (int)b.size(1);
        Multiply(true, false, m, n, k, 1, TensorMemory.Pointer<T>(a), m, TensorMemory.Pointer<T>(b), n, add ? 1 : 0, TensorMemory.Pointer<T>(target), n);
        GC.KeepAlive(a);
        GC.KeepAlive(b);
        GC.KeepAlive(target);
    }
}
