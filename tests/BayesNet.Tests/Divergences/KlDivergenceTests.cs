using BayesNet.Divergences;
using BayesNet.Estimators;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Divergences;

public sealed class KlDivergenceTests
{
    public static TheoryData<bool, bool> Cases() => new() { { false, false }, { false, true }, { true, false }, { true, true } };

    /// <summary>ln(s0/s) + (s^2 + (m - m0)^2) / (2 s0^2) - 1/2, entry by entry, in plain arithmetic.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void GaussianPairIsItsClosedForm(bool perEntry, bool softplus)
    {
        using var scope = NewDisposeScope();
        (MeanFieldGaussian q, GaussianPrior p, double[][] numbers) = Pair(perEntry, softplus);
        double expected = 0;
        for (int i = 0; i < numbers[0].Length; i++)
        {
            (double m, double s, double m0, double s0) = (numbers[0][i], numbers[1][i], numbers[2][i], numbers[3][i]);
            expected += Math.Log(s0 / s) + (s * s + (m - m0) * (m - m0)) / (2 * s0 * s0) - 0.5;
        }

        Assert.True(KlDivergences.HasClosedForm(q, p));
        Assert.Equal(expected, KlDivergences.Compute(q, p).item<double>(), 1e-10 * expected);
        FiniteDifferences.AssertGradients(() => KlDivergences.Compute(q, p), ("mean", q.Mean), ("scale", q.ScaleParameter));
    }

    /// <summary>KL by the trapezium rule over q ln(q/p), with both densities as the library computes them.</summary>
    [Fact]
    public void GaussianPairIsItsIntegral()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var q = new MeanFieldGaussian(tensor(new[] { 0.7 }), 0.4);
        using var p = new GaussianPrior(-0.2, 1.3);
        Tensor w = linspace(0.7 - 12 * 0.4, 0.7 + 12 * 0.4, 20001, dtype: ScalarType.Float64).unsqueeze(1);
        Tensor logQ = q.LogDensity(w), logP = p.LogDensity(w).squeeze(1);
        double step = 24 * 0.4 / 20000;
        Assert.Equal(1, logQ.exp().sum().item<double>() * step, 1e-12);
        Assert.Equal((logQ.exp() * (logQ - logP)).sum().item<double>() * step, KlDivergences.Compute(q, p).item<double>(), 1e-10);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void MonteCarloAgreesWithTheClosedForm(bool perEntry, bool softplus)
    {
        const int draws = 4000;
        using var scope = NewDisposeScope();
        (MeanFieldGaussian q, GaussianPrior p, _) = Pair(perEntry, softplus);
        using var noise = new NoiseSource(4);
        var values = new Tensor[draws];
        using (no_grad())
        {
            for (int i = 0; i < draws; i++)
                values[i] = KlDivergences.MonteCarlo(q, p, noise, samples: 2).reshape(1);
        }

        SampleMoments.AssertMean(stack(values), KlDivergences.Compute(q, p).detach().reshape(1));

        noise.Seed = 9;
        FiniteDifferences.AssertGradients(
            () =>
            {
                noise.Seed = 9;
                return KlDivergences.MonteCarlo(q, p, noise, samples: 3);
            },
            ("mean", q.Mean), ("scale", q.ScaleParameter));
    }

    [Fact]
    public void APairWithoutAClosedFormFallsBackToMonteCarlo()
    {
        using var scope = NewDisposeScope();
        using var q = new MeanFieldGaussian(zeros(2, dtype: ScalarType.Float64), 0.1);
        using var p = new FlatPrior();
        using var noise = new NoiseSource(1);
        Assert.False(KlDivergences.HasClosedForm(q, p));
        double entropy = 2 * (0.5 * Math.Log(2 * Math.PI * Math.E) + Math.Log(0.1));
        Tensor value = KlDivergences.Compute(q, p, noise, samples: 4000);
        double standardError = Math.Sqrt(2 * 0.5 / 4000); // Var[ln q] is 1/2 an entry, and ln p is zero
        Assert.InRange(value.item<double>(), -entropy - 4 * standardError, -entropy + 4 * standardError);
    }

    [Fact]
    public void TheRegistryRefusesDuplicatesAndAmbiguity()
    {
        var error = Assert.Throws<ArgumentException>(() => KlDivergences.Register<Posterior, GaussianPrior>((q, p) => zeros(1)));
        Assert.Contains("KL(Posterior || GaussianPrior)", error.Message, StringComparison.Ordinal);

        KlDivergences.Register<Posterior, FirstPrior>((q, p) => tensor(1.0));
        KlDivergences.Register<MeanFieldGaussian, RegisteredPrior>((q, p) => tensor(2.0));
        using var scope = NewDisposeScope();
        using var q = new MeanFieldGaussian(zeros(2), 0.1);
        using var p = new FirstPrior();
        var ambiguous = Assert.Throws<InvalidOperationException>(() => KlDivergences.Compute(q, p));
        Assert.Contains("(Posterior, FirstPrior) and (MeanFieldGaussian, RegisteredPrior)", Sorted(ambiguous.Message), StringComparison.Ordinal);

        using var derived = new SecondPrior();
        Assert.Equal(2.0, KlDivergences.Compute(q, derived).item<double>());

        // The keys come in no particular order.
        static string Sorted(string message) => message.Replace(
            "(MeanFieldGaussian, RegisteredPrior) and (Posterior, FirstPrior)", "(Posterior, FirstPrior) and (MeanFieldGaussian, RegisteredPrior)", StringComparison.Ordinal);
    }

    [Fact]
    public void BadArgumentsAreNamed()
    {
        using var q = new MeanFieldGaussian(zeros(2), 0.1);
        using var p = new GaussianPrior();
        Assert.Throws<ArgumentNullException>("posterior", () => KlDivergences.Compute(null!, p));
        Assert.Throws<ArgumentNullException>("prior", () => KlDivergences.Compute(q, null!));
        Assert.Throws<ArgumentOutOfRangeException>("samples", () => KlDivergences.MonteCarlo(q, p, samples: 0));
    }

    private static (MeanFieldGaussian Q, GaussianPrior P, double[][] Numbers) Pair(bool perEntry, bool softplus)
    {
        using var noise = new NoiseSource(3);
        Tensor Normal() => noise.Normal([2, 3], ScalarType.Float64, CPU);
        Tensor mean = Normal(), scale = Normal().mul(0.3).exp(), priorMean = Normal(), priorScale = Normal().mul(0.3).exp();
        if (!perEntry)
            (priorMean, priorScale) = (full_like(priorMean, 0.4), full_like(priorScale, 1.7));
        ScaleParameterization parameterization = softplus ? ScaleParameterization.Softplus : ScaleParameterization.Log;
        var q = new MeanFieldGaussian(mean, 1, parameterization);
        using (no_grad())
            q.ScaleParameter.copy_(parameterization.Inverse(scale));
        GaussianPrior p = perEntry ? new GaussianPrior(priorMean, priorScale) : new GaussianPrior(0.4, 1.7);
        return (q, p, [.. new[] { mean, scale, priorMean, priorScale }.Select(values => values.flatten().data<double>().ToArray())]);
    }

    private class FlatPrior() : Prior("flat")
    {
        public override Tensor LogDensity(Tensor weight) => zeros_like(weight);

        public override Tensor Sample(NoiseSource noise, ReadOnlySpan<long> shape, ScalarType dtype, TorchSharp.torch.Device device)
            => zeros(shape.ToArray(), dtype: dtype, device: device);
    }

    private class RegisteredPrior : FlatPrior;

    private sealed class FirstPrior : RegisteredPrior;

    private sealed class SecondPrior : RegisteredPrior;
}
