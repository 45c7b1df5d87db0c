using BayesNet.Estimators;
using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>
/// Draws of ln g, g ~ Gamma(a, 1), in float64 and differentiable in a: by the quantile function, which turns a standard normal eps into
/// the g with F(g; a) = Phi(eps), or by libtorch's rejection sampler. Both carry the implicit derivative dg/da = -(dF/da)/p (Figurnov,
/// Mohamed and Mnih 2018), so both are the same estimator; only the first can be replayed at another a, and only the second is fast.
/// </summary>
/// <remarks>The logarithm keeps draws of small shape apart that would all be zero: at a = 0.01 a third of them are below 1e-50.</remarks>
internal static class StandardGamma
{
    private const int MaximumSteps = 60;
    private const double Converged = 1e-10; // of a Newton step in ln g: the next would be its square
    private const double UpperBranch = 3;

    // Below e^-40, F(g; a) = g^a / Gamma(a + 1) to rounding, and neither F nor g underflows in logarithms.
    private static readonly Scalar SmallLog = -40.0;
    private static readonly Scalar LargeLog = 40.0;
    private static readonly Scalar Remote = 1e12;
    private static readonly Scalar StepLimit = 5.0;
    private static readonly Scalar MinusStepLimit = -5.0;
    private static readonly Scalar UpperBranchScalar = UpperBranch;
    private static readonly Scalar LeastFloat64 = FloatRange.LeastNormal(ScalarType.Float64);

    /// <summary>ln g with F(g; a) = Phi(eps).</summary>
    /// <param name="concentration">a, broadcasting to the noise; any float type.</param>
    /// <param name="normal">eps.</param>
    internal static Tensor LogQuantile(Tensor concentration, Tensor normal)
    {
        using var scope = NewDisposeScope();
        Tensor wide = concentration.to(ScalarType.Float64);
        Tensor value, slope;
        using (no_grad())
        {
            Tensor eps = normal.to(ScalarType.Float64);
            Tensor a = wide.detach().expand(eps.shape);
            value = Solve(a, eps);
            slope = Slope(a, value, eps.gt(UpperBranchScalar));
        }

        // The term added is zero; its derivative is the implicit one.
        return value.Plus(slope.mul(wide.sub(wide.detach()))).MoveToOuterDisposeScope();
    }

    /// <summary>ln g of independent draws by rejection sampling.</summary>
    /// <param name="concentration">a, broadcasting to <paramref name="shape"/>; any float type.</param>
    /// <param name="noise">Where the draws come from.</param>
    /// <param name="shape">The shape of the result.</param>
    internal static Tensor LogSample(Tensor concentration, NoiseSource noise, ReadOnlySpan<long> shape)
    {
        using var scope = NewDisposeScope();
        Tensor a = concentration.to(ScalarType.Float64).expand(shape.ToArray());
        return noise.StandardGamma(a).clamp_min(LeastFloat64).log().MoveToOuterDisposeScope();
    }

    // Newton's method for ln F(e^y) = ln Phi(eps), in the far upper tail for ln(1 - F). Both are concave in y, so that after one step the
    // iterates approach from one side.
    private static Tensor Solve(Tensor a, Tensor eps)
    {
        Tensor upper = eps.gt(UpperBranchScalar);
        Tensor tail = where(upper, eps.neg(), eps);
        Tensor target = StandardNormal.Cdf(tail).log();
        Tensor y = Start(a, eps, upper, target);
        for (int step = 0; step < MaximumSteps && y.numel() > 0; step++)
        {
            using var scope = NewDisposeScope();
            Tensor log = LogProbability(a, y, upper);
            Tensor logDerivative = a.mul(y).sub(y.clamp_max(LargeLog).exp()).sub(a.lgamma()).sub(log);
            Tensor change = target.sub(log).mul(logDerivative.neg().exp());
            change = where(upper, change.neg(), change).nan_to_num(0).clamp_(MinusStepLimit, StepLimit);

            // A linear stretch (small g) is crossed in one step of any length.
            Tensor linear = y.lt(SmallLog).logical_and(upper.logical_not());
            change = where(linear, target.sub(log).div(a), change);
            Tensor next = y.Plus(change).MoveToOuterDisposeScope();
            y.Dispose();
            y = next;
            if (change.abs().max().item<double>() < Converged)
                break;
        }

        return y;
    }

    private static Tensor Start(Tensor a, Tensor eps, Tensor upper, Tensor target)
    {
        using var scope = NewDisposeScope();

        // Wilson and Hilferty 1931: the cube root of a Gamma variable is nearly normal.
        Tensor ninth = a.Times(9).reciprocal();
        Tensor cubeRoot = ninth.neg().Plus(1).Plus(eps.mul(ninth.sqrt()));
        Tensor wilsonHilferty = a.log().Plus(cubeRoot.clamp_min(LeastFloat64).log().Times(3));

        // F(g) <= g^a / Gamma(a + 1), so this is at most the root; for a <= 1 the upper tail is at most the exponential's.
        Tensor below = target.Plus(a.Plus(1).lgamma()).div(a);
        Tensor above = target.neg().log();
        Tensor small = a.lt(Scalars.One);
        Tensor lowerStart = where(small, below, maximum(below, wilsonHilferty));
        return where(upper, where(small, above, wilsonHilferty), lowerStart).MoveToOuterDisposeScope();
    }

    /// <summary>ln F(e^y; a), or ln(1 - F) where <paramref name="upper"/>.</summary>
    private static Tensor LogProbability(Tensor a, Tensor y, Tensor upper)
    {
        using var scope = NewDisposeScope();
        Tensor x = y.clamp(SmallLog, LargeLog).exp();

        // Few draws are in the upper tail; for the others 1 - F is asked for where it costs nothing, and not used.
        Tensor survival = special.gammaincc(a, where(upper, x, x.clamp_min(Remote)));
        Tensor body = where(upper, survival, special.gammainc(a, x)).log();
        Tensor small = a.mul(y).sub(a.Plus(1).lgamma());
        return where(y.lt(SmallLog).logical_and(upper.logical_not()), small, body).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// d ln g / da at fixed F: -(d ln F / da) / (d ln F / dy). libtorch has no derivative of the incomplete gamma function in a; the
    /// five-point difference has a relative error of about 1e-9, and of 2e-7 at shape 200, where libtorch's function changes its method.
    /// </summary>
    private static Tensor Slope(Tensor a, Tensor y, Tensor upper)
    {
        using var scope = NewDisposeScope();
        Tensor h = minimum(a, a.sqrt()).Times(1e-3);
        Tensor near = LogProbability(a.Plus(h), y, upper).sub(LogProbability(a.sub(h), y, upper));
        Tensor twice = h.mul(Scalars.Two);
        Tensor far = LogProbability(a.Plus(twice), y, upper).sub(LogProbability(a.sub(twice), y, upper));
        Tensor inShape = near.Times(8).sub(far).div(h.Times(12));
        Tensor log = LogProbability(a, y, upper);
        Tensor inLog = a.mul(y).sub(y.clamp_max(LargeLog).exp()).sub(a.lgamma()).sub(log).exp();
        return where(upper, inShape.div(inLog), inShape.div(inLog).neg()).MoveToOuterDisposeScope();
    }
}
