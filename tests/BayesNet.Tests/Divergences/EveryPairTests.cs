using BayesNet.Divergences;
using BayesNet.Estimators;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Divergences;

/// <summary>KL(q || p) of every posterior from every prior: against Monte Carlo with both densities, and its gradients.</summary>
public sealed class EveryPairTests
{
    private const int Draws = 20000;

    public static IEnumerable<TheoryDataRow<string, string>> Pairs()
        => from posterior in PosteriorCase.All
           from prior in PriorCase.All
           select new TheoryDataRow<string, string>(posterior.Name, prior.Name);

    [Theory]
    [MemberData(nameof(Pairs))]
    public void TheDivergenceIsTheMeanLogRatioOfTheDensities(string posteriorName, string priorName)
    {
        using var scope = NewDisposeScope();
        (Posterior q, Prior p) = Create(posteriorName, priorName);
        if (Refused(q, p))
            return;
        using var _ = no_grad();
        using var noise = new NoiseSource(5);
        if (!PosteriorCase.Named(posteriorName).HasDensity)
            return;
        bool closed = KlDivergences.HasClosedForm(q, p);
        Tensor exact = KlDivergences.Compute(q, p, noise, Draws);
        Tensor weights = q.Sample(noise, Draws);
        Tensor ratios = q.LogDensity(weights) - p.LogDensity(weights).flatten(1).sum(dim: 1) + Constant(p) * q.Mean.numel();
        if (closed)
        {
            SampleMoments.AssertMean(ratios.unsqueeze(1), exact.reshape(1));
        }
        else
        {
            double standardError = ratios.std().item<double>() / Math.Sqrt(Draws) * Math.Sqrt(2);
            Assert.InRange(ratios.mean().item<double>() - exact.item<double>(), -5 * standardError, 5 * standardError);
        }
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public void GradientsAreThoseOfTheDivergence(string posteriorName, string priorName)
    {
        using var scope = NewDisposeScope();
        (Posterior q, Prior p) = Create(posteriorName, priorName);
        if (Refused(q, p))
            return;
        using var noise = new NoiseSource();
        (string, Tensor)[] leaves =
        [
            .. q.named_parameters().Select(entry => (entry.name, (Tensor)entry.parameter)),
            .. p.named_parameters().Select(entry => ("prior." + entry.name, (Tensor)entry.parameter)),
        ];
        FiniteDifferences.AssertGradients(
            () =>
            {
                // No draw of this seed comes near the horseshoe's pole at zero, where central differences are not accurate.
                noise.Seed = 7;
                return KlDivergences.Compute(q, p, noise, samples: 2);
            },
            leaves);
    }

    [Theory]
    [MemberData(nameof(WithDensity))]
    public void TheEntropyIsTheMeanOfMinusTheLogDensity(string posteriorName)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var noise = new NoiseSource(7);
        manual_seed(2);
        Posterior q = PosteriorCase.Named(posteriorName).Create(randn(2, 3, dtype: ScalarType.Float64));
        SampleMoments.AssertMean(-q.LogDensity(q.Sample(noise, Draws)).unsqueeze(1), q.Entropy().reshape(1));
    }

    [Theory]
    [MemberData(nameof(Posteriors))]
    public void SamplesHaveTheMomentsAndTheTransformIsMeanPlusDeviation(string posteriorName)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var noise = new NoiseSource(8);
        manual_seed(3);
        PosteriorCase known = PosteriorCase.Named(posteriorName);
        Posterior q = known.Create(randn(2, 3, dtype: ScalarType.Float64));
        q.eval();
        Tensor covariance = known.Covariance(q);
        SampleMoments.AssertMeanAndCovariance(q.Sample(noise, Draws).flatten(1), q.Mean.flatten(), covariance);
        Assert.True((q.Variance.flatten() - covariance.diagonal()).abs().max().item<double>() < 1e-12);
        Tensor eps = q.SampleNoise(noise, [4, 5]);
        Tensor weights = q.Transform(eps);
        Assert.Equal([4, 5, 2, 3], weights.shape);
        Assert.True((weights - q.Mean - q.Deviation(eps)).abs().max().item<double>() < 1e-13);
        if (known.HasDensity)
            Assert.Equal([4, 5], q.LogDensity(weights).shape);
    }

    /// <summary>A closed form has to be in this table, or nobody has tested it.</summary>
    [Fact]
    public void EveryClosedFormIsReachedByAPair()
    {
        using var scope = NewDisposeScope();
        var reached = new HashSet<(Type, Type)>();
        foreach (TheoryDataRow<string, string> row in Pairs())
        {
            (Posterior q, Prior p) = Create(row.Data.Item1, row.Data.Item2);
            if (KlDivergences.FormOf(q, p) is { } pair)
                reached.Add(pair);
        }

        Assert.Empty(KlDivergences.ClosedForms.Where(pair => pair.Prior.Assembly == typeof(Prior).Assembly).Except(reached));
    }

    [Fact]
    public void AnInfiniteDivergenceIsRefused()
    {
        using var q = new MeanFieldStudentT(zeros(3), 0.1, 2);
        using var p = new GaussianPrior();
        var error = Assert.Throws<InvalidOperationException>(() => KlDivergences.Compute(q, p));
        Assert.Contains("infinite", error.Message, StringComparison.Ordinal);
        Assert.Contains("StudentTPrior", error.Message, StringComparison.Ordinal);
        using var learned = new LearnedGaussianPrior();
        Assert.Throws<InvalidOperationException>(() => KlDivergences.Compute(q, learned));
    }

    public static IEnumerable<TheoryDataRow<string>> WithDensity() => PosteriorCase.All.Where(known => known.HasDensity).Select(known => new TheoryDataRow<string>(known.Name));

    public static IEnumerable<TheoryDataRow<string>> Posteriors() => PosteriorCase.All.Select(known => new TheoryDataRow<string>(known.Name));

    /// <summary>Pairs without a divergence: improper priors of posteriors that are not Gaussian, and all but a few where one has atoms.</summary>
    private static bool Refused(Posterior q, Prior p)
    {
        bool posteriorHasAtoms = q is ConcreteDropout or SpikeAndSlab;
        bool refused = q switch
        {
            SpikeAndSlab => p is not SpikeAndSlabPrior,
            ConcreteDropout => p is not (GaussianPrior or LearnedGaussianPrior),
            GaussianPosterior => p is SpikeAndSlabPrior,
            _ => p is SpikeAndSlabPrior or LogUniformPrior,
        };
        if (!refused)
            return false;
        var error = Assert.Throws<NotSupportedException>(() => KlDivergences.Compute(q, p));
        Assert.Contains(posteriorHasAtoms ? "Prior" : p is LogUniformPrior ? q.GetName() : "SpikeAndSlab", error.Message, StringComparison.Ordinal);
        return true;
    }

    /// <summary>The log-uniform density -ln|w| lacks the constant that makes the divergence zero for pure noise: -E[ln(q |w|)] at a mean of 0.</summary>
    private static double Constant(Prior p)
        => p is LogUniformPrior ? 0.5 * Math.Log(2 * Math.PI * Math.E) + 0.5 * (0.57721566490153286 + Math.Log(2)) : 0;

    private static (Posterior Q, Prior P) Create(string posteriorName, string priorName)
    {
        manual_seed(1);
        Tensor mean = randn(2, 3, dtype: ScalarType.Float64);
        return (PosteriorCase.Named(posteriorName).Create(mean), PriorCase.Named(priorName).Create(mean));
    }
}
