using BayesNet.Estimators;
using BayesNet.Estimators.Gradients;
using BayesNet.Reparameterization;
using BayesNet.TestKit;
using BayesNet.Tests.Reparameterization;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Estimators.Gradients;

/// <summary>Every family through every estimator.</summary>
public sealed class GradientEstimatorTests
{
    public static IEnumerable<TheoryDataRow<string>> Families() => LineFamilyCase.All.Select(family => new TheoryDataRow<string>(family.Name));

    private static IReadOnlyList<(GradientEstimator Estimator, int Samples)> Others =>
    [
        (new PathwiseEstimator(antithetic: true), 2),
        (new ScoreFunctionEstimator(), 1),
        (new ScoreFunctionEstimator(Baseline.Constant(0.4)), 1),
        (new ScoreFunctionEstimator(Baseline.RunningMean()), 1),
        (new ScoreFunctionEstimator(Baseline.LeaveOneOut), 3),
        (new ScoreFunctionEstimator(Baseline.LeaveOneOut, antithetic: true), 4),
    ];

    /// <summary>
    /// They share no formula but have one expectation, so each must agree with the pathwise gradient. f falls off fast enough that every
    /// variance is finite, the Cauchy's too.
    /// </summary>
    [Theory]
    [MemberData(nameof(Families))]
    public void AllEstimateTheSameGradient(string name)
    {
        const long repetitions = 10000;
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(81);
        LineFamilyCase family = LineFamilyCase.Named(name);
        ReparameterizedDistribution q = family.Create(family.Leaves(ScalarType.Float64));
        GradientStatistics pathwise = GradientStatistics.Measure(new PathwiseEstimator(), q, F, noise, repetitions);
        foreach ((GradientEstimator estimator, int samples) in Others)
        {
            if (q.SupportDependsOnParameters && estimator is ScoreFunctionEstimator)
                continue;
            GradientStatistics other = GradientStatistics.Measure(estimator, q, F, noise, repetitions, samples);
            for (int i = 0; i < pathwise.Parameters.Count; i++)
            {
                GradientMoments one = pathwise.Parameters[i], two = other.Parameters[i];
                Assert.Equal([2L], two.Mean.shape);
                Tensor error = (one.StandardError.square() + two.StandardError.square()).sqrt();
                double worst = ((one.Mean - two.Mean).abs() / error).max().item<double>();
                Assert.True(worst < SampleMoments.StandardErrors, $"{estimator} differs in {one.Name} by {worst:G3} standard errors.");
            }
        }

        static Tensor F(Tensor z) => (-(z - 0.5).square() / 2).exp();
    }

    /// <summary>
    /// f may depend on the parameters beside z: E[s z^2] = s m^2 + s^3 pi^2/3 has the gradients 2 m s and m^2 + pi^2 s^2, and E[ln q(z)]
    /// those of the negative entropy, 0 and -1/s.
    /// </summary>
    [Fact]
    public void TheDirectPartOfTheGradientIsIncluded()
    {
        const int repetitions = 50000;
        const double m = 0.3, s = 0.8;
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(82);
        foreach ((GradientEstimator estimator, int samples) in Others.Append((new PathwiseEstimator(), 1)))
        {
            Tensor location = full(repetitions, m, dtype: ScalarType.Float64).requires_grad_(true);
            Tensor scale = full(repetitions, s, dtype: ScalarType.Float64).requires_grad_(true);
            var q = new LogisticDistribution(location, scale);
            Check(z => scale * z.square(), 2 * m * s, m * m + Math.PI * Math.PI * s * s);
            double estimate = Check(q.LogDensity, 0, -1 / s);

            // Var[ln q(z)] = 4 - pi^2/3 for one draw, and for a pair, whose densities are equal; less for more draws.
            double standardError = Math.Sqrt((4 - Math.PI * Math.PI / 3) * repetitions);
            Assert.InRange(estimate + q.Entropy().sum().item<double>(), -5 * standardError, 5 * standardError);

            double Check(Func<Tensor, Tensor> f, double locationGradient, double scaleGradient)
            {
                location.grad = null;
                scale.grad = null;
                Tensor value = estimator.Estimate(q, f, noise, samples);
                value.backward();
                SampleMoments.AssertMean(location.grad!.unsqueeze(1), tensor(new[] { locationGradient }));
                SampleMoments.AssertMean(scale.grad!.unsqueeze(1), tensor(new[] { scaleGradient }));
                return value.item<double>();
            }
        }
    }

    /// <summary>Estimates so large that each is a pass of its own: their moments, about the first as the shift, are those of the estimates.</summary>
    [Fact]
    public void MomentsAreThoseOfTheEstimates()
    {
        const int samples = 600000, repetitions = 4;
        using var scope = NewDisposeScope();
        Tensor location = tensor(1.0, dtype: ScalarType.Float64).requires_grad_(true);
        var q = new NormalDistribution(location, tensor(0.5, dtype: ScalarType.Float64));
        using NoiseSource one = new(88), other = new(88);
        GradientMoments measured = GradientStatistics.Measure(new PathwiseEstimator(), q, z => z.square() * 1000, one, repetitions, samples).Parameters[0];
        var gradients = new double[repetitions];
        for (int i = 0; i < repetitions; i++)
        {
            location.grad = null;
            new PathwiseEstimator().Estimate(q, z => z.square() * 1000, other, samples).backward();
            gradients[i] = location.grad!.item<double>();
        }

        double mean = gradients.Average(), variance = gradients.Sum(g => (g - mean) * (g - mean)) / (repetitions - 1);
        double second = variance * (repetitions - 1) / repetitions, fourth = gradients.Average(g => Math.Pow(g - mean, 4));
        Assert.Equal(mean, measured.Mean.item<double>(), 1e-9 * mean);
        Assert.Equal(variance, measured.Variance.item<double>(), 1e-9 * variance);
        Assert.Equal(Math.Sqrt(variance / repetitions), measured.StandardError.item<double>(), 1e-9);
        Assert.Equal(Math.Sqrt((fourth - second * second) / repetitions), measured.VarianceStandardError.item<double>(), 1e-9 * variance);
    }

    /// <summary>A function of the whole batch: the score is that of all batch elements, and the gradient of |z|^2 is 2 mu and 2L.</summary>
    [Fact]
    public void FunctionsMaySumOverBatchesAndEvents()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(83);
        Tensor location = tensor(new[,] { { 0.5, -1.0 }, { 2.0, 0.0 }, { 0.3, 0.2 } }), unconstrained = tensor(new[,] { { -0.2, 9.0 }, { 0.7, 0.1 } });
        var q = new CholeskyGaussianDistribution(location, unconstrained);
        Tensor factor = q.Factor();
        Tensor exact = 3 * (2 * factor.tril(-1) + (2 * factor.diagonal().square()).diag());
        foreach (GradientEstimator estimator in new GradientEstimator[] { new PathwiseEstimator(), new ScoreFunctionEstimator(Baseline.LeaveOneOut) })
        {
            foreach (Func<Tensor, Tensor> f in new Func<Tensor, Tensor>[] { z => z.square().sum(dim: -1), z => z.square().sum([-1, -2]) })
            {
                GradientStatistics statistics = GradientStatistics.Measure(estimator, q, f, noise, 20000, 3);
                AssertWithin(2 * location, statistics.Parameters[0]);
                AssertWithin(exact, statistics.Parameters[1]);
            }
        }

        static void AssertWithin(Tensor exact, GradientMoments measured)
        {
            Assert.Equal(exact.shape, measured.Mean.shape);
            Tensor excess = (exact - measured.Mean).abs() - SampleMoments.StandardErrors * measured.StandardError;
            Assert.True(excess.max().item<double>() <= 1e-12, measured.Name);
        }
    }

    /// <summary>Several passes give what one would: the moments, their errors and the count.</summary>
    [Fact]
    public void RepetitionsAreMeasuredInBoundedPasses()
    {
        const long repetitions = 2500000;
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(84);
        var q = new NormalDistribution(tensor(1.0, dtype: ScalarType.Float64), tensor(0.5, dtype: ScalarType.Float64));
        long largest = 0;
        long before = LiveTensors.Settled();
        GradientStatistics statistics = GradientStatistics.Measure(new PathwiseEstimator(), q, z =>
        {
            largest = Math.Max(largest, z.numel());
            return z.square();
        }, noise, repetitions);
        Assert.Equal(before + 8, Tensor.TotalCount);
        Assert.InRange(largest, 2, repetitions / 2);

        // g_mu = 2z is normal: its variance 4 s^2 has the standard error 4 s^2 sqrt(2/R).
        GradientMoments location = statistics.Parameters[0];
        Assert.InRange(location.Variance.item<double>(), 1 - 5 * Math.Sqrt(2.0 / repetitions), 1 + 5 * Math.Sqrt(2.0 / repetitions));
        Assert.Equal(Math.Sqrt(2.0 / repetitions), location.VarianceStandardError.item<double>(), 1e-5);
        Assert.Equal(Math.Sqrt(1.0 / repetitions), location.StandardError.item<double>(), 1e-6);
        Assert.InRange(location.Mean.item<double>(), 2 - 5 * Math.Sqrt(1.0 / repetitions), 2 + 5 * Math.Sqrt(1.0 / repetitions));
    }

    [Fact]
    public void ParametersThatBroadcastKeepTheirShape()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(85);
        var q = new NormalDistribution(zeros(2, 1), ones(3));
        GradientStatistics statistics = GradientStatistics.Measure(new PathwiseEstimator(), q, z => z, noise, 1000);
        Assert.Equal([2L, 1L], statistics.Parameters[0].Mean.shape);
        Assert.Equal(6, statistics.Parameters[0].Mean.sum().item<double>(), 1e-6); // each location meets three scales
        Assert.Equal([3L], statistics.Parameters[1].Mean.shape);
    }

    [Fact]
    public void WrongUseIsNamed()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(86);
        var q = new NormalDistribution(zeros(2), ones(2));
        var pathwise = new PathwiseEstimator();
        Assert.Throws<ArgumentOutOfRangeException>("samples", () => pathwise.Estimate(q, z => z, noise, 0));
        var odd = Assert.Throws<ArgumentOutOfRangeException>("samples", () => new PathwiseEstimator(antithetic: true).Estimate(q, z => z, noise, 3));
        Assert.Contains("in pairs: an even number", odd.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>("samples", () => new ScoreFunctionEstimator(Baseline.LeaveOneOut).Estimate(q, z => z, noise, 1));
        Assert.Throws<ArgumentOutOfRangeException>("samples", () => new ScoreFunctionEstimator(Baseline.LeaveOneOut, true).Estimate(q, z => z, noise, 2));
        var shape = Assert.Throws<ArgumentException>("f", () => pathwise.Estimate(q, z => z.sum(), noise, 4));
        Assert.Contains("its shape must be (4, 2)", shape.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>("f", () => GradientStatistics.Measure(pathwise, q, z => z.flatten(1).sum(dim: 1), noise, 10));
        Assert.Throws<ArgumentOutOfRangeException>("repetitions", () => GradientStatistics.Measure(pathwise, q, z => z, noise, 1));
        var support = Assert.Throws<NotSupportedException>(() => new ScoreFunctionEstimator().Estimate(new UniformDistribution(zeros(2), ones(2)), z => z, noise));
        Assert.Contains("support of UniformDistribution depends on its parameters", support.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>("value", () => Baseline.Constant(double.NaN));
        Assert.Throws<ArgumentOutOfRangeException>("decay", () => Baseline.RunningMean(1));
    }

    [Fact]
    public void NamesTellEstimatorsApart()
    {
        string[] names = [.. Others.Select(other => other.Estimator.Name)];
        Assert.Equal(names.Length, names.Distinct().Count());
        Assert.Equal("antithetic score function, leave-one-out baseline", names[^1]);
    }
}
