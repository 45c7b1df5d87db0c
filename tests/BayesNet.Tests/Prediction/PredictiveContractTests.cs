using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.TestKit;
using BayesNet.Tests.Likelihoods;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Prediction;

/// <summary>What every predictive promises.</summary>
public sealed class PredictiveContractTests
{
    private const int Samples = 5;

    public static TheoryData<string> Names => LikelihoodCases.Names;

    private static Predictive Create(string name, ScalarType dtype = ScalarType.Float64)
    {
        using Likelihood likelihood = LikelihoodCases.Create(name, dtype);
        using Tensor outputs = LikelihoodCases.Outputs(name, Samples, dtype);
        return likelihood.Predict(outputs);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void DrawsHaveTheMeanAndTheVariance(string name)
    {
        if (name == "cauchy")
            return;
        using var scope = NewDisposeScope();
        using Predictive predictive = Create(name);
        Tensor draws = predictive.Sample(40_000, seed: 5);
        if (LikelihoodCases.IsOfClasses(name))
        {
            Assert.Equal(ScalarType.Int64, draws.dtype);
            draws = nn.functional.one_hot(draws, 4).to(ScalarType.Float64);
        }

        Assert.Equal([40_000, .. predictive.Mean.shape], draws.shape);
        SampleMoments.AssertMean(draws.flatten(1), predictive.Mean.flatten());
        SampleMoments.AssertVariance(draws.flatten(1), predictive.StdDev.square().flatten());
    }

    /// <summary>A draw's rows share the posterior sample: their covariance is that of the components' means.</summary>
    [Theory]
    [InlineData("laplace")]
    [InlineData("poisson")]
    public void RowsOfADrawShareThePosteriorSample(string name)
    {
        using var scope = NewDisposeScope();
        using Predictive predictive = Create(name);
        Tensor means = (predictive is CountPredictive counts ? counts.Components : ((LocationScalePredictive)predictive).Components).flatten(1);
        Tensor centred = means - predictive.Mean.flatten();
        Tensor covariance = centred.t().mm(centred) / Samples + predictive.Aleatoric.square().flatten().diag();
        SampleMoments.AssertMeanAndCovariance(predictive.Sample(40_000, seed: 6).flatten(1), predictive.Mean.flatten(), covariance);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void SeedsRepeatDraws(string name)
    {
        using var scope = NewDisposeScope();
        using Predictive predictive = Create(name, ScalarType.Float32);
        Tensor first = predictive.Sample(50, seed: 9), again = predictive.Sample(50, seed: 9), other = predictive.Sample(50, seed: 10);
        Assert.True(first.eq(again).all().item<bool>());
        Assert.False(first.eq(other).all().item<bool>());
        Assert.False(predictive.Sample(50).eq(predictive.Sample(50)).all().item<bool>());
        Assert.Equal(LikelihoodCases.IsOfClasses(name) ? ScalarType.Int64 : ScalarType.Float32, first.dtype);
    }

    /// <summary>The share of draws below a quantile is its probability; for counts, the quantile is where the distribution function crosses it.</summary>
    [Theory]
    [InlineData("gaussian")]
    [InlineData("gaussian per output")]
    [InlineData("heteroscedastic")]
    [InlineData("student-t")]
    [InlineData("cauchy")]
    [InlineData("laplace")]
    [InlineData("poisson")]
    [InlineData("negative binomial")]
    public void DrawsFallBelowQuantilesAsOften(string name)
    {
        const int Draws = 40_000;
        using var scope = NewDisposeScope();
        using Predictive predictive = Create(name);
        Tensor draws = predictive.Sample(Draws, seed: 7);
        foreach (double probability in new[] { 0.01, 0.3, 0.5, 0.9, 0.995 })
        {
            double margin = SampleMoments.StandardErrors * Math.Sqrt(probability * (1 - probability) / Draws);
            Tensor quantile = predictive.Quantile(probability);
            Assert.Equal(predictive.Mean.shape, quantile.shape);
            Tensor reached = draws.le(quantile).to(ScalarType.Float64).mean([0]), before = draws.lt(quantile).to(ScalarType.Float64).mean([0]);
            Assert.True(reached.min().item<double>() >= probability - margin, $"{reached.min().item<double>()} at {probability}");
            Assert.True(before.max().item<double>() <= probability + margin, $"{before.max().item<double>()} at {probability}");
        }
    }

    /// <summary>The distribution function is the integral of the density, by the trapezoid rule over a fine grid.</summary>
    [Theory]
    [InlineData("gaussian")]
    [InlineData("student-t")]
    [InlineData("laplace")]
    public void QuantilesAreThoseOfTheDensity(string name)
    {
        const double Spacing = 2e-3;
        using var scope = NewDisposeScope();
        using Likelihood likelihood = LikelihoodCases.Create(name);
        Tensor outputs = LikelihoodCases.Outputs(name, Samples)[.., ..1, ..1];
        Tensor grid = arange(-200, 200, Spacing, ScalarType.Float64).unsqueeze(1);
        using Predictive one = likelihood.Predict(outputs), everywhere = likelihood.Predict(outputs.expand(-1, grid.size(0), -1));
        Tensor cumulated = everywhere.LogDensity(grid).exp().cumsum(0) * Spacing;

        // Student-t with 5.5 degrees of freedom leaves 200^-5.5 outside; the rule's error is of order spacing^2 at a kink.
        Assert.Equal(1, cumulated[-1].item<double>(), 1e-6);
        foreach (double probability in new[] { 1e-3, 0.2, 0.5, 0.975, 0.999 })
        {
            double quantile = one.Quantile(probability).item<double>();
            long reached = cumulated.ge(probability).to(ScalarType.Int64).argmax().item<long>();
            Assert.InRange(quantile, grid[reached].item<double>() - Spacing, grid[reached].item<double>() + Spacing);
        }
    }

    [Theory]
    [InlineData("poisson")]
    [InlineData("negative binomial")]
    public void CountProbabilitiesSumToTheDistributionFunction(string name)
    {
        using var scope = NewDisposeScope();
        using var predictive = (CountPredictive)Create(name);
        Tensor probabilities = predictive.Probabilities(600);
        Tensor cumulated = probabilities.cumsum(-1);
        Assert.Equal([LikelihoodCases.Batch, 2, 601], probabilities.shape);
        Assert.InRange((cumulated.select(-1, 600) - 1).abs().max().item<double>(), 0, 1e-12);
        Tensor counts = arange(601, ScalarType.Float64);
        Assert.InRange(((probabilities * counts).sum(dim: -1) - predictive.Mean).abs().max().item<double>(), 0, 1e-10);
        Tensor second = (probabilities * counts.square()).sum(dim: -1) - predictive.Mean.square();
        Assert.InRange((second - predictive.StdDev.square()).abs().max().item<double>(), 0, 1e-8);
        foreach (double probability in new[] { 1e-4, 0.1, 0.5, 0.77, 0.9999 })
        {
            Tensor first = cumulated.ge(probability).to(ScalarType.Int64).argmax(-1);
            Assert.True(predictive.Quantile(probability).eq(first).all().item<bool>(), $"at {probability}");
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void LogDensityIsTheLogOfTheMeanLikelihood(string name)
    {
        using var scope = NewDisposeScope();
        using Likelihood likelihood = LikelihoodCases.Create(name);
        Tensor outputs = LikelihoodCases.Outputs(name, Samples), target = LikelihoodCases.Target(name);
        using Predictive predictive = likelihood.Predict(outputs);
        Tensor each = stack([.. Enumerable.Range(0, Samples).Select(s => likelihood.LogLikelihood(outputs[s], target))]);
        Tensor expected = each.exp().mean([0]).log();
        Assert.InRange((predictive.LogDensity(target) - expected).abs().max().item<double>(), 0, 1e-12);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void StreamedMomentsAreThoseOfTheSamples(string name)
    {
        using var scope = NewDisposeScope();
        using Likelihood likelihood = LikelihoodCases.Create(name);
        Tensor outputs = LikelihoodCases.Outputs(name, Samples), target = LikelihoodCases.Target(name);
        using Predictive kept = likelihood.Predict(outputs);
        using var moments = new RunningMoments(likelihood);
        using var density = new RunningLogDensity(likelihood, target);
        foreach (int row in new[] { 0, 3 })
        {
            foreach ((int sample, int count) in new[] { (0, 2), (2, 3) })
            {
                var block = new SampleBlock(sample, row, outputs.narrow(0, sample, count).narrow(1, row, row == 0 ? 3 : 1));
                moments.Add(block);
                density.Add(block);
            }
        }

        using Predictive streamed = moments.Result();
        Assert.Equal(kept.GetType(), streamed.GetType());
        Assert.False(streamed.HasSamples);
        Check(kept.Mean, streamed.Mean);
        Check(kept.Epistemic, streamed.Epistemic);
        Check(kept.Aleatoric, streamed.Aleatoric);
        Check(kept.StdDev, streamed.StdDev);
        Check(kept.LogDensity(target), density.Result());
        if (kept is BernoulliPredictive labels)
        {
            Check(labels.PredictiveEntropy, ((BernoulliPredictive)streamed).PredictiveEntropy);
            Check(labels.MutualInformation, ((BernoulliPredictive)streamed).MutualInformation);
        }

        foreach (Action use in new Action[] { () => streamed.Sample(1), () => streamed.Quantile(0.5), () => streamed.LogDensity(target) })
            Assert.Contains("KeepSamples", Assert.Throws<InvalidOperationException>(use).Message, StringComparison.Ordinal);

        static void Check(Tensor expected, Tensor computed)
        {
            Assert.Equal(expected.shape, computed.shape);
            Assert.True(expected.isclose(computed, 1e-12, 1e-14, true).all().item<bool>());
        }
    }
}
