using BayesNet.Runtime;
using TorchSharp;

namespace BayesNet.Kernels;

/// <summary>
/// C = alpha op(A) op(B) + beta C on raw row-major memory: by the BLAS inside libtorch where it exports one (MKL, on x86 Linux), which spares
/// the microseconds of an operator call, and by libtorch's operator elsewhere.
/// </summary>
internal static unsafe class MatrixProduct
{
    private static readonly delegate* unmanaged[Cdecl]<byte*, byte*, int*, int*, int*, float*, float*, int*, float*, int*, float*, float*, int*, void> Single
        = (delegate* unmanaged[Cdecl]<byte*, byte*, int*, int*, int*, float*, float*, int*, float*, int*, float*, float*, int*, void>)NativeLibraries.Export("sgemm_");

    private static readonly delegate* unmanaged[Cdecl]<byte*, byte*, int*, int*, int*, double*, double*, int*, double*, int*, double*, double*, int*, void> Double
        = (delegate* unmanaged[Cdecl]<byte*, byte*, int*, int*, int*, double*, double*, int*, double*, int*, double*, double*, int*, void>)NativeLibraries.Export("dgemm_");

    private static readonly delegate* unmanaged[Cdecl]<void*, long, long*, long*, long, int, int, int, nint*, int> FromMemory
        = (delegate* unmanaged[Cdecl]<void*, long, long*, long*, long, int, int, int, nint*, int>)NativeLibraries.Export("aoti_torch_create_tensor_from_blob");

    private static readonly delegate* unmanaged[Cdecl]<nint, nint, nint, nint, float, float, int> Operator
        = (delegate* unmanaged[Cdecl]<nint, nint, nint, nint, float, float, int>)NativeLibraries.Export("aoti_torch_addmm_out");

    private static readonly delegate* unmanaged[Cdecl]<nint, int> Delete
        = (delegate* unmanaged[Cdecl]<nint, int>)NativeLibraries.Export("aoti_torch_delete_tensor_object");

    /// <summary>Whether this libtorch has one of the two.</summary>
    internal static bool IsAvailable => HasBlas || HasOperator;

    /// <summary>Whether products go to the BLAS; settable where there is one, for tests of the other way.</summary>
    internal static bool UsesBlas { get; set; } = HasBlas;

    internal static bool HasOperator => FromMemory != null && Operator != null && Delete != null;

    private static bool HasBlas => Single != null && Double != null;

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
        if (!UsesBlas)
        {
            MultiplyByOperator(transposeA, transposeB, m, n, k, alpha, a, strideA, b, strideB, beta, c, strideC);
            return;
        }

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

    private static void MultiplyByOperator<T>(
        bool transposeA, bool transposeB, int m, int n, int k, double alpha, T* a, int strideA, T* b, int strideB, double beta, T* c, int strideC)
        where T : unmanaged
    {
        nint first = View(a, m, k, strideA, transposeA), second = View(b, k, n, strideB, transposeB), result = View(c, m, n, strideC, transposed: false);
        int error = Operator(result, result, first, second, (float)beta, (float)alpha);
        _ = Delete(first);
        _ = Delete(second);
        _ = Delete(result);
        if (error != 0)
            throw new InvalidOperationException($"libtorch refused the product of ({m}, {k}) and ({k}, {n}).");
    }

    /// <summary>A tensor on memory that it does not own: (rows, columns), stored the other way round where transposed.</summary>
    private static nint View<T>(T* memory, long rows, long columns, long stride, bool transposed)
        where T : unmanaged
    {
        const int float32 = 6, float64 = 7, cpu = 0;
        long* sizes = stackalloc long[] { rows, columns }, strides = stackalloc long[] { transposed ? 1 : stride, transposed ? stride : 1 };
        nint tensor;
        int error = FromMemory(memory, 2, sizes, strides, 0, typeof(T) == typeof(double) ? float64 : float32, cpu, 0, &tensor);
        return error == 0 ? tensor : throw new InvalidOperationException($"libtorch refused a view of ({rows}, {columns}) entries of {typeof(T).Name}.");
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
