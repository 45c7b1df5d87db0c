using BayesNet.Estimators;
using BayesNet.Maps;
using BayesNet.Posteriors;
using BayesNet.Runtime;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Estimators;

/// <summary>
/// The exact variances of the gradient of a linear layer with squared loss, L = (1/M) sum_m 1/2 (x_m.w - t_m)^2, w = mu + sigma * eps,
/// estimator by estimator: with r = X mu - t, v = X^2 sigma^2, A = X'X/M, b = X'r/M, E[dL/dmu] = b and E[dL/dsigma_i] = A_ii sigma_i.
/// </summary>
public sealed class LinearGradientVariance
{
    private const int Draws = 10000;

    public static IEnumerable<TheoryDataRow<string, bool>> Cases()
        => from estimator in EstimatorCase.All
           where estimator.Estimator != Estimator.MeanOnly
           from random in new[] { false, true }
           select new TheoryDataRow<string, bool>(estimator.Name, random);

    [Theory]
    [MemberData(nameof(Cases))]
    public void GradientsAndLossHaveTheirExactMeansAndVariances(string estimatorName, bool random)
    {
        using var scope = NewDisposeScope();
        Problem problem = random ? Problem.Random() : Problem.Fixed();
        Estimator estimator = EstimatorCase.Named(estimatorName).Estimator;
        (Tensor meanGradient, Tensor sigmaGradient, Tensor loss) = problem.Draw(estimator, Draws);
        (Tensor meanVariance, Tensor sigmaVariance, Tensor lossVariance) = problem.Exact(estimator);

        SampleMoments.AssertMean(meanGradient, problem.B);
        SampleMoments.AssertMean(sigmaGradient, problem.A.diag() * problem.Sigma);
        SampleMoments.AssertMean(loss, (problem.R.square() + problem.V).mean().reshape(1) / 2);
        SampleMoments.AssertVariance(meanGradient, meanVariance);
        SampleMoments.AssertVariance(sigmaGradient, sigmaVariance);
        SampleMoments.AssertVariance(loss, lossVariance.reshape(1));
    }

    /// <summary>The formulas against the numbers of the fixed case, so that neither can drift from the other.</summary>
    [Theory]
    [InlineData("shared weights", .28515625, .42285156, .95765625, .90757813)]
    [InlineData("weights per example", .19140625, .51660156, .80890625, .90007813)]
    [InlineData("local reparameterization", .19140625, .51660156, .71242647, .51415901)]
    [InlineData("flipout", .19140625, .51660156, 1.05890625, .96257813)]
    public void TheFixedCaseHasItsKnownNumbers(string estimatorName, double mean0, double mean1, double sigma0, double sigma1)
    {
        using var scope = NewDisposeScope();
        (Tensor mean, Tensor sigma, _) = Problem.Fixed().Exact(EstimatorCase.Named(estimatorName).Estimator);
        Assert.Equal(mean0, mean[0].item<double>(), 6e-9);
        Assert.Equal(mean1, mean[1].item<double>(), 6e-9);
        Assert.Equal(sigma0, sigma[0].item<double>(), 6e-9);
        Assert.Equal(sigma1, sigma[1].item<double>(), 6e-9);
    }

    /// <summary>Local reparameterization is weights per example with the weights given the outputs integrated out (Rao-Blackwell).</summary>
    [Fact]
    public void LocalReparameterizationNeverHasMoreVarianceThanWeightsPerExample()
    {
        using var scope = NewDisposeScope();
        for (ulong seed = 1; seed <= 20; seed++)
        {
            Problem problem = Problem.Random(seed);
            (Tensor localMean, Tensor localSigma, _) = problem.Exact(Estimator.LocalReparameterization);
            (Tensor mean, Tensor sigma, _) = problem.Exact(Estimator.WeightsPerExample);
            Assert.True((localMean - mean).abs().max().item<double>() < 1e-12);
            Assert.True((localSigma - sigma).max().item<double>() < 1e-12);
        }
    }

    private sealed record Problem(Tensor X, Tensor Mu, Tensor Sigma, Tensor T)
    {
        public Tensor R { get; } = X.mv(Mu) - T;

        public Tensor V { get; } = X.square().mv(Sigma.square());

        public Tensor A { get; } = X.t().mm(X) / X.size(0);

        public Tensor B => X.t().mv(R) / X.size(0);

        public static Problem Fixed() => new(
            tensor(new[,] { { 1.0, 2.0 }, { -1.0, 0.5 } }), tensor(new[] { 0.3, -0.2 }), tensor(new[] { 0.5, 0.25 }), tensor(new[] { 0.0, 1.0 }));

        public static Problem Random(ulong seed = 1)
        {
            using var noise = new NoiseSource(seed);
            Tensor Normal(params long[] shape) => noise.Normal(shape, ScalarType.Float64, CPU);
            return new Problem(Normal(4, 3), Normal(3), Normal(3).mul(0.4).exp(), Normal(4));
        }

        public (Tensor Mean, Tensor Sigma, Tensor Loss) Draw(Estimator estimator, int draws)
        {
            var map = new LinearMap(X.size(1), 1);
            using var posterior = new MeanFieldGaussian(Mu.unsqueeze(0), 1);
            using var noise = new NoiseSource(2);
            using (no_grad())
                posterior.ScaleParameter.copy_(Sigma.log().unsqueeze(0));
            var means = new Tensor[draws];
            var sigmas = new Tensor[draws];
            var losses = new Tensor[draws];
            for (int i = 0; i < draws; i++)
            {
                using var inner = NewDisposeScope();
                posterior.zero_grad();
                Tensor loss = estimator.Forward(map, posterior, null, X, noise).squeeze(1).sub(T).Squared().mean().mul(Scalars.Half);
                loss.backward();
                means[i] = posterior.Mean.grad!.flatten().MoveToOuterDisposeScope();
                sigmas[i] = (posterior.ScaleParameter.grad!.flatten() / Sigma).MoveToOuterDisposeScope(); // rho = ln sigma
                losses[i] = loss.detach().reshape(1).MoveToOuterDisposeScope();
            }

            return (stack(means), stack(sigmas), stack(losses));
        }

        public (Tensor Mean, Tensor Sigma, Tensor Loss) Exact(Estimator estimator)
        {
            double m = X.size(0);
            Tensor x2 = X.square(), s2 = Sigma.square(), diagonal = A.diag();
            Tensor r2 = R.square().unsqueeze(1), v = V.unsqueeze(1);
            Tensor weighted = (X * s2).mm(X.t()); // c_mn = sum_k x_mk x_nk s_k^2
            Tensor lossTerms = R.outer(R) * weighted + weighted.square() / 2;
            Tensor ownLoss = lossTerms.diag().sum();
            Tensor meanPerExample = (x2 * v).sum(dim: 0) / (m * m);

            if (estimator == Estimator.SharedWeights)
            {
                Tensor mean = A.square().mv(s2);
                return (mean, B.square() + diagonal.square() * s2 + mean, lossTerms.sum() / (m * m));
            }

            if (estimator == Estimator.WeightsPerExample)
                return (meanPerExample, (x2 * (r2 + v + x2 * s2)).sum(dim: 0) / (m * m), ownLoss / (m * m));
            if (estimator == Estimator.LocalReparameterization)
                return (meanPerExample, (x2.square() * s2 * (r2 / v + 2)).sum(dim: 0) / (m * m), ownLoss / (m * m));

            Tensor others = x2.mm((x2 * s2.square()).t()) / 2; // 1/2 sum_k x_mk^2 x_nk^2 s_k^4
            Tensor loss = (ownLoss + others.sum() - others.diag().sum()) / (m * m);
            return (meanPerExample, (x2 * (r2 + v - x2 * s2)).sum(dim: 0) / (m * m) + 2 * s2 * diagonal.square(), loss);
        }
    }
}
