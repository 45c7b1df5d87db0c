using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Kernels;

/// <summary>
/// The regularised incomplete beta function I_x(a, b), the distribution function of Beta, Student-t and negative binomial, which libtorch
/// does not have. In float64, on the CPU.
/// </summary>
internal static unsafe class IncompleteBeta
{
    // The fraction needs of the order of the root of the greater argument; arguments of 10^8 stay below this.
    private const int MostTerms = 100_000;
    private const double Tiny = 1e-300;

    /// <summary>I_x(a, b) entry by entry; the arguments broadcast. No gradient.</summary>
    /// <param name="a">Above zero.</param>
    /// <param name="b">Above zero.</param>
    /// <param name="x">Between 0 and 1.</param>
    /// <param name="complement">1 - x, apart, so that it keeps its digits near 0.</param>
    internal static Tensor Regularized(Tensor a, Tensor b, Tensor x, Tensor complement)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        (Tensor first, Tensor second) = (a.to(ScalarType.Float64), b.to(ScalarType.Float64));
        Tensor logBeta = first.lgamma().Plus(second.lgamma()).sub(first.Plus(second).lgamma());
        IList<Tensor> broadcast = broadcast_tensors(first, second, x.to(ScalarType.Float64), complement.to(ScalarType.Float64), logBeta);
        Tensor[] plain = [.. broadcast.Select(tensor => tensor.cpu().contiguous())];
        Tensor result = empty(plain[0].shape, dtype: ScalarType.Float64);
        var body = new Body
        {
            A = TensorMemory.Pointer<double>(plain[0]),
            B = TensorMemory.Pointer<double>(plain[1]),
            X = TensorMemory.Pointer<double>(plain[2]),
            Complement = TensorMemory.Pointer<double>(plain[3]),
            LogBeta = TensorMemory.Pointer<double>(plain[4]),
            Result = TensorMemory.Pointer<double>(result),
        };
        TorchThreads.For(result.numel(), 512, ref body);
        GC.KeepAlive(plain);
        return result.to(x.device).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// x^a y^b / (a B(a, b)) times the continued fraction of Abramowitz and Stegun 26.5.8, by the modified method of Lentz (Thompson and
    /// Barnett 1986), on the side of the mean where it converges fast.
    /// </summary>
    private static double Regularized(double a, double b, double x, double y, double logBeta)
    {
        if (double.IsNaN(x) || double.IsNaN(a) || double.IsNaN(b))
            return double.NaN;
        double factor = Math.Exp(a * Math.Log(x) + b * Math.Log(y) - logBeta);
        return x < (a + 1) / (a + b + 2) ? factor * Fraction(a, b, x) / a : 1 - factor * Fraction(b, a, y) / b;
    }

    private static double Fraction(double a, double b, double x)
    {
        double c = 1, d = 1 / Away(1 - (a + b) * x / (a + 1)), value = d;
        for (int m = 1; m <= MostTerms; m++)
        {
            double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
            d = 1 / Away(1 + even * d);
            c = Away(1 + even / c);
            value *= c * d;
            double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
            d = 1 / Away(1 + odd * d);
            c = Away(1 + odd / c);
            value *= c * d;
            if (Math.Abs(c * d - 1) < 1e-16)
                break;
        }

        return value;
    }

    private static double Away(double value) => Math.Abs(value) < Tiny ? Tiny : value;

    private struct Body : IRangeBody
    {
        public double* A;
        public double* B;
        public double* X;
        public double* Complement;
        public double* LogBeta;
        public double* Result;

        public readonly void Run(long begin, long end)
        {
            for (long i = begin; i < end; i++)
                Result[i] = Regularized(A[i], B[i], X[i], Complement[i], LogBeta[i]);
        }
    }
}
