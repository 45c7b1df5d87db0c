using BayesNet.Diagnostics;
using BayesNet.Estimators;
using BayesNet.Reparameterization;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Diagnostics;

public sealed class TailDiagnosticsTests
{
    private static readonly Dictionary<string, Func<NoiseSource, long, Tensor>> Laws = new()
    {
        ["Student-t 1"] = (noise, count) => Draw(BaseNoise.StudentT(1), noise, count),
        ["Student-t 1.5"] = (noise, count) => Draw(BaseNoise.StudentT(1.5), noise, count),
        ["Student-t 3"] = (noise, count) => Draw(BaseNoise.StudentT(3), noise, count),
        ["Student-t 5"] = (noise, count) => Draw(BaseNoise.StudentT(5), noise, count),
        ["Cauchy"] = (noise, count) => Draw(BaseNoise.Cauchy, noise, count),
        ["Pareto 2"] = (noise, count) => (Draw(BaseNoise.Uniform, noise, count) + 0.5).pow(-0.5),
        ["normal"] = (noise, count) => Draw(BaseNoise.Normal, noise, count),
        ["uniform"] = (noise, count) => Draw(BaseNoise.Uniform, noise, count),
        ["Laplace"] = (noise, count) => Draw(BaseNoise.Laplace, noise, count),
        ["logistic"] = (noise, count) => Draw(BaseNoise.Logistic, noise, count),
    };

    /// <summary>On one large sample the interval holds the index and says which of mean and variance exist.</summary>
    [Theory]
    [InlineData("Student-t 1", 1, null, false)]
    [InlineData("Cauchy", 1, null, false)]
    [InlineData("Student-t 1.5", 1.5, true, false)]
    [InlineData("Pareto 2", 2, true, null)]
    [InlineData("Student-t 3", 3, true, true)]
    [InlineData("Student-t 5", 5, true, true)]
    public void TheIndexOfAPowerTailIsFound(string law, double index, bool? mean, bool? variance)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(71);
        TailReport report = TailDiagnostics.Estimate(Laws[law](noise, 200_000));
        Assert.True(report.IsHeavy, report.ToString());
        Assert.InRange(index, report.Lower, report.Upper);
        Assert.Equal(report.HillIndex, report.TailIndex);
        Assert.Equal(mean, report.HasFiniteMoment(1));
        Assert.Equal(variance, report.HasFiniteMoment(2));
    }

    /// <summary>The interval is one of 95 %: of 200 samples it misses no more than 5 % and four standard errors.</summary>
    [Theory]
    [InlineData("Student-t 1", 1)]
    [InlineData("Pareto 2", 2)]
    [InlineData("Student-t 3", 3)]
    public void TheIntervalHoldsTheIndexAsOftenAsItSays(string law, double index)
    {
        const int samples = 200;
        using var noise = new NoiseSource(72);
        int held = Count(samples, law, 5000, noise, report => report.Lower <= index && index <= report.Upper);
        Assert.True(held >= 0.95 * samples - 4 * Math.Sqrt(0.95 * 0.05 * samples), $"{held} of {samples}");
    }

    /// <summary>Light tails are called heavy no more often than a two-sided 95 % interval errs on one side, within four standard errors.</summary>
    [Theory]
    [InlineData("normal")]
    [InlineData("uniform")]
    [InlineData("Laplace")]
    [InlineData("logistic")]
    public void ALightTailIsCalledLight(string law)
    {
        const int samples = 200;
        using var noise = new NoiseSource(73);
        int heavy = Count(samples, law, 5000, noise, report => report.IsHeavy);
        Assert.True(heavy <= 0.025 * samples + 4 * Math.Sqrt(0.025 * 0.975 * samples), $"{heavy} of {samples}");

        using var scope = NewDisposeScope();
        TailReport report = TailDiagnostics.Estimate(Laws[law](noise, 100_000));
        Assert.False(report.IsHeavy);
        Assert.Equal(double.PositiveInfinity, report.TailIndex);
        Assert.Equal(double.PositiveInfinity, report.Upper);
        Assert.True(report.HasFiniteMoment(1));
        Assert.True(report.HasFiniteMoment(2));
        Assert.Contains("No sign of a power tail", report.ToString());
    }

    /// <summary>Both estimators as their papers write them, at the numbers of order statistics that the report names.</summary>
    [Fact]
    public void TheEstimatorsAreThoseOfThePapers()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(74);
        foreach (string law in new[] { "Student-t 3", "normal" })
        {
            Tensor sample = Laws[law](noise, 4001);
            TailReport report = TailDiagnostics.Estimate(sample);
            Tensor logs = sample.abs().log().sort(descending: true).Values;
            Tensor hill = Excess(logs, report.HillOrderStatistics);
            Assert.Equal(1 / hill.mean().item<double>(), report.HillIndex, 1e-9 * report.HillIndex);
            Assert.Equal(report.HillIndex / Math.Sqrt(report.HillOrderStatistics), report.HillStandardError, 1e-12);
            Tensor excess = Excess(logs, report.OrderStatistics);
            double first = excess.mean().item<double>(), second = excess.square().mean().item<double>();
            Assert.Equal(first + 1 - 0.5 / (1 - first * first / second), report.ExtremeValueIndex, 1e-9);
        }

        static Tensor Excess(Tensor logs, int k) => logs.narrow(0, 0, k) - logs[k];
    }

    /// <summary>For f = z^2 the gradient in the location has the index nu, that in the scale nu / 2.</summary>
    [Fact]
    public void GradientsHaveTheIndicesOfTheTheory()
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(75);
        const long count = 200_000;
        foreach (double nu in new[] { 1.5, 3.0 })
        {
            Tensor location = zeros(count, dtype: ScalarType.Float64, requires_grad: true);
            Tensor scale = ones(count, dtype: ScalarType.Float64, requires_grad: true);
            new StudentTDistribution(location, scale, nu).Sample(noise).square().sum().backward();
            TailReport ofLocation = TailDiagnostics.Estimate(location.grad!), ofScale = TailDiagnostics.Estimate(scale.grad!);
            Assert.InRange(nu, ofLocation.Lower, ofLocation.Upper);
            Assert.InRange(nu / 2, ofScale.Lower, ofScale.Upper);
            PathwiseGradientMoments theory = TailDiagnostics.PathwiseGradientVariance(nu, growth: 1);
            Assert.Equal(theory.LocationVarianceIsFinite, ofLocation.HasFiniteMoment(2));
            Assert.Equal(theory.LocationMeanIsFinite, ofLocation.HasFiniteMoment(1));
            Assert.Equal(theory.ScaleVarianceIsFinite, ofScale.HasFiniteMoment(2));
            Assert.Equal(theory.ScaleMeanIsFinite, ofScale.HasFiniteMoment(1));
        }
    }

    /// <summary>Equality diverges.</summary>
    [Theory]
    [InlineData(1, 1, false, false, false, false)]
    [InlineData(1.5, 1, true, false, false, false)]
    [InlineData(2, 1, true, false, false, false)]
    [InlineData(2.001, 1, true, true, true, false)]
    [InlineData(4, 1, true, true, true, false)]
    [InlineData(4.001, 1, true, true, true, true)]
    [InlineData(5, 2, true, true, true, false)]
    [InlineData(1, 0, true, true, false, false)]
    [InlineData(double.PositiveInfinity, 10, true, true, true, true)]
    public void MomentsOfTheGradientsFollowFromTheIndex(double index, double growth, bool locationMean, bool locationVariance, bool scaleMean, bool scaleVariance)
    {
        PathwiseGradientMoments moments = TailDiagnostics.PathwiseGradientVariance(index, growth);
        Assert.Equal(new PathwiseGradientMoments(index, growth, locationMean, locationVariance, scaleMean, scaleVariance), moments);
    }

    [Fact]
    public void ALawGivesItsOwnIndex()
    {
        Assert.Equal(TailDiagnostics.PathwiseGradientVariance(3, 1), TailDiagnostics.PathwiseGradientVariance(BaseNoise.StudentT(3), 1));
        Assert.Equal(
            "With noise of tail index 3 and |f'(z)| of order |z|^1, the pathwise gradient in the location has finite variance, that in the scale "
            + "a mean and infinite variance.", TailDiagnostics.PathwiseGradientVariance(BaseNoise.StudentT(3), 1).ToString());
        Assert.StartsWith("With light-tailed noise", TailDiagnostics.PathwiseGradientVariance(BaseNoise.Normal, 1).ToString());
    }

    [Fact]
    public void AReportIsASentence()
    {
        var report = new TailReport
        {
            Count = 1000,
            OrderStatistics = 200,
            ExtremeValueIndex = 0.66,
            ExtremeValueIndexStandardError = 0.08,
            HillOrderStatistics = 50,
            HillIndex = 1.5,
            HillStandardError = 0.2,
            IsHeavy = true,
            Lower = 1.2,
            Upper = 2.1,
        };
        Assert.Equal(
            "Power tail of index 1.50 (95 % interval 1.20 to 2.10; Hill's estimator on the largest 50 of 1000 values): the mean is finite, the "
            + "variance finite or infinite, which this sample does not tell.", report.ToString());
    }

    /// <summary>A sample whose largest values are equal ends there, and zeros say nothing of a tail.</summary>
    [Fact]
    public void SignsAndZerosHaveNoTail()
    {
        using var scope = NewDisposeScope();
        Tensor signs = cat([ones(150), -ones(150), zeros(1000)]);
        TailReport report = TailDiagnostics.Estimate(signs);
        Assert.False(report.IsHeavy);
        Assert.Equal(300, report.Count);
    }

    [Fact]
    public void BadInputIsNamed()
    {
        using var scope = NewDisposeScope();
        Assert.Throws<ArgumentNullException>("sample", () => TailDiagnostics.Estimate(null!));
        Assert.Throws<ArgumentException>("sample", () => TailDiagnostics.Estimate(zeros(1000)));
        Assert.Throws<ArgumentException>("sample", () => TailDiagnostics.Estimate(ones(TailDiagnostics.MinimumCount - 1)));
        Assert.Throws<ArgumentException>("sample", () => TailDiagnostics.Estimate(full(1000, double.NaN)));
        Assert.Throws<ArgumentOutOfRangeException>("tailIndex", () => TailDiagnostics.PathwiseGradientVariance(0, 1));
        Assert.Throws<ArgumentOutOfRangeException>("tailIndex", () => TailDiagnostics.PathwiseGradientVariance(double.NaN, 1));
        Assert.Throws<ArgumentOutOfRangeException>("growth", () => TailDiagnostics.PathwiseGradientVariance(3, double.PositiveInfinity));
        Assert.Throws<ArgumentNullException>("noise", () => TailDiagnostics.PathwiseGradientVariance(null!, 1));
    }

    private static int Count(int samples, string law, long size, NoiseSource noise, Func<TailReport, bool> holds)
    {
        int count = 0;
        for (int i = 0; i < samples; i++)
        {
            using var scope = NewDisposeScope();
            if (holds(TailDiagnostics.Estimate(Laws[law](noise, size))))
                count++;
        }

        return count;
    }

    private static Tensor Draw(BaseNoise law, NoiseSource noise, long count) => law.Draw(noise, [count], ScalarType.Float64, CPU);
}
