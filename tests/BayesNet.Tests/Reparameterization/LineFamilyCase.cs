using BayesNet.Reparameterization;
using static TorchSharp.torch;

namespace BayesNet.Tests.Reparameterization;

/// <summary>
/// A family on the line with two settings of its parameters and what is known of it in closed form, written without the family's code:
/// one line here, and the family goes through the whole battery.
/// </summary>
/// <param name="Name">The name in test output.</param>
/// <param name="Create">Makes the distribution of parameter tensors.</param>
/// <param name="Settings">Each parameter's values in the two settings.</param>
/// <param name="Cdf">The distribution function of a float64 point, given float64 parameters that broadcast with it.</param>
/// <param name="Mean">The mean, given one setting.</param>
/// <param name="Variance">The variance, given one setting.</param>
/// <param name="TailIndex">alpha.</param>
/// <param name="HasFourthMoment">Whether the variance of draws has a standard error.</param>
public sealed record LineFamilyCase(
    string Name,
    Func<Tensor[], ReparameterizedDistribution> Create,
    double[][] Settings,
    Func<Tensor, Tensor[], Tensor> Cdf,
    Func<double[], double> Mean,
    Func<double[], double> Variance,
    double TailIndex = double.PositiveInfinity,
    bool HasFourthMoment = true)
{
    private static readonly double[] Locations = [0.3, -4], Scales = [0.7, 2.5];

    public static IReadOnlyList<LineFamilyCase> All { get; } =
    [
        new("normal", p => new NormalDistribution(p[0], p[1]), [Locations, Scales],
            (z, p) => Phi((z - p[0]) / p[1]), p => p[0], p => p[1] * p[1]),
        new("Laplace", p => new LaplaceDistribution(p[0], p[1]), [Locations, Scales],
            (z, p) => LaplaceCdf((z - p[0]) / p[1]), p => p[0], p => 2 * p[1] * p[1]),
        new("logistic", p => new LogisticDistribution(p[0], p[1]), [Locations, Scales],
            (z, p) => ((z - p[0]) / p[1]).sigmoid(), p => p[0], p => Math.PI * Math.PI / 3 * p[1] * p[1]),
        new("uniform", p => new UniformDistribution(p[0], p[1]), [[-1.5, 2], [0.5, 2.25]],
            (z, p) => ((z - p[0]) / (p[1] - p[0])).clamp(0, 1), p => (p[0] + p[1]) / 2, p => (p[1] - p[0]) * (p[1] - p[0]) / 12),
        new("Cauchy", p => new CauchyDistribution(p[0], p[1]), [Locations, Scales],
            (z, p) => CauchyCdf((z - p[0]) / p[1]), _ => double.NaN, _ => double.NaN, 1, false),
        new("Student-t, nu = 2", p => new StudentTDistribution(p[0], p[1], 2), [Locations, Scales],
            (z, p) => StudentTwoCdf((z - p[0]) / p[1]), p => p[0], _ => double.PositiveInfinity, 2, false),
        new("Student-t, nu = 3", p => new StudentTDistribution(p[0], p[1], 3), [Locations, Scales],
            (z, p) => StudentThreeCdf((z - p[0]) / p[1]), p => p[0], p => 3 * p[1] * p[1], 3, false),
        new("learned Student-t, nu = 1", p => new LearnedStudentTDistribution(p[0], p[1], p[2]), [Locations, Scales, [1, 1]],
            (z, p) => CauchyCdf((z - p[0]) / p[1]), _ => double.NaN, _ => double.NaN, 1, false),
        new("learned Student-t, nu = 2", p => new LearnedStudentTDistribution(p[0], p[1], p[2]), [Locations, Scales, [2, 2]],
            (z, p) => StudentTwoCdf((z - p[0]) / p[1]), p => p[0], _ => double.PositiveInfinity, 2, false),
        new("learned Student-t, nu = 3", p => new LearnedStudentTDistribution(p[0], p[1], p[2]), [Locations, Scales, [3, 3]],
            (z, p) => StudentThreeCdf((z - p[0]) / p[1]), p => p[0], p => 3 * p[1] * p[1], 3, false),
        new("log-normal", p => new LogNormalDistribution(p[0], p[1]), [[0.3, -2], [0.4, 0.25]],
            (z, p) => Phi((z.log() - p[0]) / p[1]), p => Math.Exp(p[0] + p[1] * p[1] / 2),
            p => (Math.Exp(p[1] * p[1]) - 1) * Math.Exp(2 * p[0] + p[1] * p[1])),
        new("Gamma, shape 1/2", p => new GammaDistribution(p[0], p[1]), [[0.5, 0.5], [0.5, 3]],
            (z, p) => (z * p[1]).sqrt().erf(), p => p[0] / p[1], p => p[0] / (p[1] * p[1])),
        new("Gamma, shape 3", p => new GammaDistribution(p[0], p[1]), [[3, 3], [0.5, 3]],
            (z, p) => 1 - (-z * p[1]).exp() * (1 + z * p[1] + (z * p[1]).square() / 2), p => p[0] / p[1], p => p[0] / (p[1] * p[1])),
        new("Beta, (2, 3) and (3, 2)", p => new BetaDistribution(p[0], p[1]), [[2, 3], [3, 2]],
            BetaTwoThreeCdf, p => p[0] / (p[0] + p[1]), BetaVariance),
        new("Beta, (1/2, 1/2)", p => new BetaDistribution(p[0], p[1]), [[0.5, 0.5], [0.5, 0.5]],
            (z, p) => z.sqrt().asin() * (2 / Math.PI), p => p[0] / (p[0] + p[1]), BetaVariance),
    ];

    public static LineFamilyCase Named(string name) => All.Single(known => known.Name == name);

    /// <summary>The parameters as leaves of shape (2).</summary>
    public Tensor[] Leaves(ScalarType dtype) => [.. Settings.Select(values => tensor(values, dtype: dtype).requires_grad_(true))];

    /// <summary>The parameters as float64 tensors of shape (2), rounded as float32 rounds them where the test is of float32.</summary>
    public Tensor[] Exact(ScalarType dtype) => [.. Settings.Select(values => tensor(values, dtype: dtype).to(ScalarType.Float64))];

    /// <summary>A function of a setting's parameters in both settings, shape (2).</summary>
    public Tensor OfSettings(Func<double[], double> function)
        => tensor(new[] { function([.. Settings.Select(values => values[0])]), function([.. Settings.Select(values => values[1])]) });

    public override string ToString() => Name;

    private static Tensor Phi(Tensor x) => (-x / Math.Sqrt(2)).erfc() / 2;

    private static Tensor LaplaceCdf(Tensor x) => where(x < 0, x.clamp_max(0).exp() / 2, 1 - (-x).clamp_max(0).exp() / 2);

    private static Tensor CauchyCdf(Tensor x) => 0.5 + x.atan() / Math.PI;

    private static Tensor StudentTwoCdf(Tensor x) => 0.5 + x / (2 * (2 + x.square()).sqrt());

    private static Tensor StudentThreeCdf(Tensor x) => 0.5 + (x / (Math.Sqrt(3) * (1 + x.square() / 3)) + (x / Math.Sqrt(3)).atan()) / Math.PI;

    // The first setting is Beta(2, 3), the second Beta(3, 2).
    private static Tensor BetaTwoThreeCdf(Tensor z, Tensor[] p)
        => where(p[0].eq(2), 6 * z.pow(2) - 8 * z.pow(3) + 3 * z.pow(4), 4 * z.pow(3) - 3 * z.pow(4));

    private static double BetaVariance(double[] p) => p[0] * p[1] / ((p[0] + p[1]) * (p[0] + p[1]) * (p[0] + p[1] + 1));
}
