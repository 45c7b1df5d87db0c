using static TorchSharp.torch;

namespace BayesNet.Tests.Estimators.Gradients;

/// <summary>Expectations over standard normals by the trapezoidal rule, which for smooth functions of eps is exact to rounding.</summary>
public static class GaussianExpectation
{
    private const double Width = 12;

    /// <summary>The mean and variance of g(eps).</summary>
    public static (double Mean, double Variance) Of(Func<Tensor, Tensor> function)
    {
        using var scope = NewDisposeScope();
        (Tensor eps, Tensor weight) = Grid(2401);
        return Moments(function(eps), weight);
    }

    /// <summary>The mean and variance of g(eps, eps') for independent eps and eps'.</summary>
    public static (double Mean, double Variance) Of(Func<Tensor, Tensor, Tensor> function)
    {
        using var scope = NewDisposeScope();
        (Tensor eps, Tensor weight) = Grid(301);
        return Moments(function(eps.unsqueeze(0), eps.unsqueeze(1)), weight.outer(weight));
    }

    private static (Tensor Eps, Tensor Weight) Grid(int points)
    {
        Tensor eps = linspace(-Width, Width, points, dtype: ScalarType.Float64);
        return (eps, (-eps.square() / 2).exp() * (2 * Width / (points - 1) / Math.Sqrt(2 * Math.PI)));
    }

    private static (double Mean, double Variance) Moments(Tensor values, Tensor weight)
    {
        double mean = (values * weight).sum().item<double>();
        return (mean, ((values - mean).square() * weight).sum().item<double>());
    }
}
