using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Posteriors;

/// <summary>
/// How a positive scale sigma is made of an unconstrained parameter rho. One object holds the function and its inverse; initialisation,
/// layers, checkpoints and tests use it.
/// </summary>
public abstract class ScaleParameterization
{
    private ScaleParameterization()
    {
    }

    /// <summary>
    /// sigma = exp(rho), the default: ln sigma is the parameter itself, so that the entropy of a Gaussian and its gradient need no
    /// transcendental function at all.
    /// </summary>
    public static ScaleParameterization Log { get; } = new LogScale();

    /// <summary>sigma = ln(1 + exp(rho)), as Blundell et al. 2015, section 3.2, write it.</summary>
    public static ScaleParameterization Softplus { get; } = new SoftplusScale();

    /// <summary>The name under which a layer registers the parameter, and so the key in a state dict.</summary>
    public abstract string ParameterName { get; }

    /// <summary>sigma(rho), entry by entry; differentiable.</summary>
    public abstract Tensor Scale(Tensor rho);

    /// <summary>ln sigma(rho), entry by entry; differentiable, and exact where sigma is far below 1.</summary>
    public abstract Tensor LogScaleOf(Tensor rho);

    /// <summary>The rho whose sigma is <paramref name="scale"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="scale"/> is not a finite number above zero.</exception>
    public abstract double Inverse(double scale);

    /// <summary>The rho whose sigma is <paramref name="scale"/>, entry by entry; the entries must be above zero.</summary>
    public abstract Tensor Inverse(Tensor scale);

    private sealed class LogScale : ScaleParameterization
    {
        public override string ParameterName => "log_scale";

        public override Tensor Scale(Tensor rho) => rho.exp();

        public override Tensor LogScaleOf(Tensor rho) => rho.alias();

        public override double Inverse(double scale) => Math.Log(Guard.Positive(scale));

        public override Tensor Inverse(Tensor scale) => scale.log();

        public override string ToString() => "log";
    }

    private sealed class SoftplusScale : ScaleParameterization
    {
        public override string ParameterName => "rho";

        // libtorch's softplus switches to the identity above 20, where float64 still sees the difference; logaddexp does not.
        public override Tensor Scale(Tensor rho) => logaddexp(rho, zeros_like(rho));

        // Below -20, ln(softplus(rho)) is rho - exp(rho)/2 to rounding; the logarithm of a subnormal sigma would not be.
        public override Tensor LogScaleOf(Tensor rho)
        {
            using var scope = NewDisposeScope();
            Tensor tail = rho.clamp_max(TailStart);
            Tensor body = rho.clamp_min(TailStart);
            return where(rho.lt(TailStart), tail.sub(tail.exp().mul(Scalars.Half)), Scale(body).log()).MoveToOuterDisposeScope();
        }

        // rho = sigma + ln(1 - exp(-sigma)), stable for small and large sigma.
        public override double Inverse(double scale) => scale + Math.Log(-ExpM1(-Guard.Positive(scale)));

        public override Tensor Inverse(Tensor scale) => scale.Plus(scale.neg().expm1().neg().log());

        public override string ToString() => "softplus";

        private static readonly Scalar TailStart = -20.0;

        private static double ExpM1(double x) => Math.Abs(x) < 1e-5 ? x + x * x / 2 + x * x * x / 6 : Math.Exp(x) - 1;
    }
}
