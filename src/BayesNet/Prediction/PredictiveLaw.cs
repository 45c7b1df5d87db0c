using BayesNet.Kernels;
using BayesNet.Reparameterization;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Prediction;

/// <summary>The law of a regression's noise at location 0 and scale 1.</summary>
/// <param name="DegreesOfFreedom">What tells laws of one family apart: nu of Student-t, NaN of Laplace.</param>
/// <param name="Standard">Its density, draws and moments.</param>
/// <param name="Cdf">Its distribution function, entry by entry, in float64; called inside a dispose scope.</param>
internal sealed record PredictiveLaw(double DegreesOfFreedom, LocationScaleLaw Standard, Func<Tensor, Tensor> Cdf)
{
    internal static PredictiveLaw Laplace { get; } = new(double.NaN, LocationScaleLaw.Laplace, static z =>
    {
        Tensor tail = z.abs().neg().exp().mul(Scalars.Half);
        return where(z.lt(Scalars.Zero), tail, tail.neg().Plus(1));
    });

    /// <summary>The law of these degrees of freedom, NaN for Laplace.</summary>
    internal static PredictiveLaw Of(double degreesOfFreedom) => double.IsNaN(degreesOfFreedom) ? Laplace : StudentT(degreesOfFreedom);

    /// <summary>P(eps &lt; -|z|) = I_x(nu/2, 1/2) / 2 with x = nu / (nu + z^2) (Abramowitz and Stegun 26.7.1).</summary>
    internal static PredictiveLaw StudentT(double degreesOfFreedom) => new(degreesOfFreedom, LocationScaleLaw.StudentT(degreesOfFreedom), z =>
    {
        Tensor ratio = z.Squared().Times(1 / degreesOfFreedom);
        Tensor x = ratio.Plus(1).reciprocal(), complement = ratio.reciprocal().Plus(1).reciprocal();
        Tensor a = tensor(degreesOfFreedom / 2, ScalarType.Float64, z.device), b = tensor(0.5, ScalarType.Float64, z.device);
        Tensor tail = IncompleteBeta.Regularized(a, b, x, complement).mul(Scalars.Half);
        return where(z.lt(Scalars.Zero), tail, tail.neg().Plus(1));
    });
}
