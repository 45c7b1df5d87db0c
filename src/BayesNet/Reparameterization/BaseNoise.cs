using BayesNet.Estimators;
using BayesNet.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace BayesNet.Reparameterization;

/// <summary>
/// The law of the noise eps in z = T(theta, eps): independent entries of one standard distribution, which has no parameters to be
/// differentiated in.
/// </summary>
/// <remarks>
/// All but the normal are made of uniform draws in float64 and rounded to the type asked for. A float32 uniform has 24 bits, so its
/// Laplace and logistic draws would end at 17 and its Cauchy draws at 5e6; of 53 bits they end at 37 and 6e15. The transforms of
/// symmetric noise are odd functions of a uniform draw on (-1/2, 1/2), so that both tails are equally fine.
/// </remarks>
public sealed class BaseNoise
{
    private static readonly Scalar LeastExponential = Math.ScaleB(1, -54);
    private static readonly Scalar LargestFloat32 = (double)float.MaxValue;
    private static readonly Scalar LeastFloat32 = (double)float.MinValue;

    private readonly Func<NoiseSource, long[], ScalarType, Device, Tensor> _draw;

    private BaseNoise(string name, bool isSymmetric, double tailIndex, Func<NoiseSource, long[], ScalarType, Device, Tensor> draw)
        => (Name, IsSymmetric, TailIndex, _draw) = (name, isSymmetric, tailIndex, draw);

    private BaseNoise(string name, bool isSymmetric, double tailIndex, Func<Tensor, Tensor> fromUniform)
        : this(name, isSymmetric, tailIndex, (noise, shape, dtype, device) => DrawThrough(fromUniform, noise, shape, dtype, device))
        => FromUniform = fromUniform;

    /// <summary>N(0, 1).</summary>
    public static BaseNoise Normal { get; } = new(
        "normal", true, double.PositiveInfinity, static (noise, shape, dtype, device) => noise.Normal(shape, dtype, device));

    /// <summary>Uniform on the open interval (-1/2, 1/2).</summary>
    public static BaseNoise Uniform { get; } = new(
        "uniform", true, double.PositiveInfinity, static (noise, shape, dtype, device) => noise.SymmetricUniform(shape, dtype, device));

    /// <summary>Laplace with location 0 and scale 1: the sign of a uniform draw times an exponential of its size.</summary>
    public static BaseNoise Laplace { get; } = new("Laplace", true, double.PositiveInfinity,
        static u => u.sign().mul(u.abs().mul(Scalars.Two).neg_().log1p_()).neg_());

    /// <summary>Logistic with location 0 and scale 1: ln((1/2 + u) / (1/2 - u)) = 2 artanh(2u).</summary>
    public static BaseNoise Logistic { get; } = new("logistic", true, double.PositiveInfinity,
        static u => u.mul(Scalars.Two).atanh_().mul_(Scalars.Two));

    /// <summary>Cauchy with location 0 and scale 1: tan(pi u). Its tail index is 1.</summary>
    public static BaseNoise Cauchy { get; } = new("Cauchy", true, 1, static u => u.Times(Math.PI).tan_());

    /// <summary>Gumbel: -ln of an exponential draw. Not symmetric: its mean is 0.577, its right tail exponential, its left tail thinner.</summary>
    public static BaseNoise Gumbel { get; } = new("Gumbel", false, double.PositiveInfinity,
        static u => u.abs().mul_(Scalars.Two).neg_().log1p_().neg_().clamp_min_(LeastExponential).log_().neg_());

    /// <summary>The name of the law.</summary>
    public string Name { get; }

    /// <summary>Whether eps and -eps have the same law, which is what antithetic pairs need.</summary>
    public bool IsSymmetric { get; }

    /// <summary>alpha with P(|eps| > t) ~ t^-alpha; infinite where every moment is finite.</summary>
    public double TailIndex { get; }

    /// <summary>The transform of a float64 uniform draw on (-1/2, 1/2), for the laws that are made so; it may use its argument's memory.</summary>
    internal Func<Tensor, Tensor>? FromUniform { get; }

    /// <summary>Student-t with fixed degrees of freedom, location 0 and scale 1: a normal over the root of a Gamma. Its tail index is nu.</summary>
    /// <param name="degreesOfFreedom">nu. Draws beyond the range of float32, likely where nu is far below 1, are cut to its largest number.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="degreesOfFreedom"/> is not a finite number above zero.</exception>
    public static BaseNoise StudentT(double degreesOfFreedom)
    {
        double half = Guard.Positive(degreesOfFreedom) / 2;
        return new("Student-t", true, degreesOfFreedom, (noise, shape, dtype, device) =>
        {
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            using Scalar value = half;
            Tensor gamma = noise.StandardGamma(full(shape, value, dtype: ScalarType.Float64, device: device));
            Tensor normal = noise.Normal(shape, ScalarType.Float64, device);
            return Round(normal.mul_(gamma.Times(1 / half).rsqrt_()), dtype).MoveToOuterDisposeScope();
        });
    }

    /// <summary>Draws independent noise of the given shape; no gradient.</summary>
    public Tensor Draw(NoiseSource noise, ReadOnlySpan<long> shape, ScalarType dtype, Device device)
    {
        ArgumentNullException.ThrowIfNull(noise);
        return _draw(noise, shape.ToArray(), dtype, device);
    }

    /// <inheritdoc/>
    public override string ToString() => Name;

    private static Tensor DrawThrough(Func<Tensor, Tensor> transform, NoiseSource noise, long[] shape, ScalarType dtype, Device device)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor uniform = noise.SymmetricUniform(shape, ScalarType.Float64, device);
        return Round(transform(uniform), dtype).MoveToOuterDisposeScope();
    }

    private static Tensor Round(Tensor draws, ScalarType dtype)
        => dtype == ScalarType.Float64 ? draws : draws.clamp_(LeastFloat32, LargestFloat32).to(dtype);
}
