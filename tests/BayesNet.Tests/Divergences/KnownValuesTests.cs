using BayesNet.Divergences;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.TestKit;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Divergences;

/// <summary>Closed forms against numbers and formulas written in plain arithmetic, and against quadrature.</summary>
public sealed class KnownValuesTests
{
    [Fact]
    public void GaussianFromLaplaceIsItsKnownNumber()
    {
        using var scope = NewDisposeScope();
        using var q = new MeanFieldGaussian(tensor(new[] { 0.5 }), 1.2);
        using var p = new LaplacePrior(-0.3, 0.8);
        Assert.Equal(0.32210248072031933, KlDivergences.Compute(q, p).item<double>(), 1e-14);
    }

    [Theory]
    [InlineData(0.3, 0.7, -0.9, 1.4)]
    [InlineData(-2, 0.05, 0, 0.5)]
    public void LaplacePairsAreTheirFormulas(double m, double b, double m0, double b0)
    {
        using var scope = NewDisposeScope();
        double d = Math.Abs(m - m0);
        using var q = new MeanFieldLaplace(tensor(new[] { m }), b);
        using var laplace = new LaplacePrior(m0, b0);
        using var gaussian = new GaussianPrior(m0, b0);
        Assert.Equal(Math.Log(b0 / b) + d / b0 + b / b0 * Math.Exp(-d / b) - 1, KlDivergences.Compute(q, laplace).item<double>(), 1e-12);
        double toGaussian = 0.5 * Math.Log(2 * Math.PI * b0 * b0) - Math.Log(2 * b) - 1 + (2 * b * b + d * d) / (2 * b0 * b0);
        Assert.Equal(toGaussian, KlDivergences.Compute(q, gaussian).item<double>(), 1e-11);
    }

    /// <summary>Every posterior of one entry whose divergence from a prior is one integral, by the trapezium rule in ln-spaced halves.</summary>
    [Theory]
    [InlineData("Laplace")]
    [InlineData("logistic")]
    [InlineData("uniform")]
    [InlineData("Student-t")]
    [InlineData("mean-field Gaussian, log scale")]
    public void ClosedFormsAreTheirIntegrals(string posteriorName)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        foreach (string priorName in new[] { "Gaussian", "Laplace", "learned Gaussian" })
        {
            manual_seed(4);
            Tensor mean = tensor(new[] { 0.45 });
            Posterior q = PosteriorCase.Named(posteriorName).Create(mean);
            Prior p = PriorCase.Named(priorName).Create(mean);
            if (!KlDivergences.HasClosedForm(q, p))
                continue;

            // w = 0.45 + sinh(u): fine in the middle, and far out in the tails of Student-t.
            double step = 2 * 14.0 / 2_000_000;
            Tensor u = linspace(-14, 14, 2_000_001, dtype: ScalarType.Float64);
            Tensor w = (u.sinh() + 0.45).unsqueeze(1);
            Tensor logQ = q.LogDensity(w), density = logQ.exp() * u.cosh();
            Tensor integrand = where(density.gt(0), density * (logQ - p.LogDensity(w).squeeze(1)), zeros_like(density));
            Assert.Equal(1, density.sum().item<double>() * step, 1e-5);
            Assert.Equal(integrand.sum().item<double>() * step, KlDivergences.Compute(q, p).item<double>(), 1e-5);
        }
    }

    /// <summary>t 2F2(1, 1; 3/2, 2; -t), t = 1/(2 alpha), at ln alpha = -2, -1, 0, 1, 3, and across the seams of its three pieces.</summary>
    [Fact]
    public void LogUniformIsItsKnownNumbers()
    {
        using var scope = NewDisposeScope();
        Tensor values = LogUniformDivergence.PerEntry(tensor(new[] { -2.0, -1, 0, 1, 3 }), LogUniformKl.Exact);
        Assert.Equal([1.544155, .914531, .426686, .173194, .024688], values.data<double>().Select(value => Math.Round(value, 6)));

        foreach (double seam in new[] { -5.0, 6 })
        {
            Tensor around = tensor(new[] { seam - 1e-9, seam + 1e-9 }, requires_grad: true);
            Tensor pair = LogUniformDivergence.PerEntry(around, LogUniformKl.Exact);
            pair.sum().backward();
            Assert.InRange((pair[0] - pair[1]).abs().item<double>(), 0, 2e-9);
            Assert.InRange((around.grad![0] - around.grad![1]).abs().item<double>(), 0, 1e-8);
        }
    }

    /// <summary>The power series t - t^2/3 + ..., summed in plain arithmetic, where it converges without cancellation.</summary>
    [Fact]
    public void LogUniformIsItsSeries()
    {
        using var scope = NewDisposeScope();
        foreach (double logAlpha in new[] { -1.5, -0.3, 0.77, 2.4, 5.3, 9 })
        {
            double t = 0.5 * Math.Exp(-logAlpha), term = t, sum = 0;
            for (int k = 0; k < 200; k++)
            {
                sum += term / (k + 1);
                term *= -t / (1.5 + k);
            }

            Assert.Equal(sum, LogUniformDivergence.PerEntry(tensor(logAlpha), LogUniformKl.Exact).item<double>(), 2e-10);
        }
    }

    [Fact]
    public void ItsApproximationsAreAsGoodAsTheirPapersSay()
    {
        using var scope = NewDisposeScope();
        Tensor logAlpha = linspace(-3, 5, 801, dtype: ScalarType.Float64);
        Tensor exact = LogUniformDivergence.PerEntry(logAlpha, LogUniformKl.Exact);
        double molchanov = (LogUniformDivergence.PerEntry(logAlpha, LogUniformKl.Molchanov2017) - exact).abs().max().item<double>();
        Assert.InRange(molchanov, 0.005, 0.0077);

        // The cubic was fitted up to a constant, which is taken here from the limit of small alpha: what it must get right is the shape.
        Tensor small = linspace(-8, 0, 401, dtype: ScalarType.Float64);
        Tensor error = LogUniformDivergence.PerEntry(small, LogUniformKl.Kingma2015) - LogUniformDivergence.PerEntry(small, LogUniformKl.Exact);
        Assert.InRange((error.max() - error.min()).item<double>(), 0, 0.05);
        Assert.InRange(error[0].abs().item<double>(), 0, 1e-3);
    }

    [Fact]
    public void AWeightOfZeroMeanCostsNothingAndHasAFiniteGradient()
    {
        using var scope = NewDisposeScope();
        foreach (ScalarType dtype in new[] { ScalarType.Float32, ScalarType.Float64 })
        {
            using var q = new MeanFieldGaussian(zeros(2, dtype: dtype), 0.1);
            using var p = new LogUniformPrior();
            Tensor value = KlDivergences.Compute(q, p);
            value.backward();
            Assert.InRange(value.to(ScalarType.Float64).item<double>(), 0, 1e-12);
            Assert.True(q.Mean.grad!.isfinite().all().item<bool>() && q.ScaleParameter.grad!.isfinite().all().item<bool>());
        }
    }

    /// <summary>Low rank plus diagonal against N(0, s^2 I), and matrix normals, by dense matrices.</summary>
    [Theory]
    [InlineData("low rank per layer")]
    [InlineData("low rank per output")]
    [InlineData("full covariance per layer")]
    [InlineData("matrix normal")]
    public void StructuredGaussiansAreTheirDenseFormula(string posteriorName)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        manual_seed(5);
        Tensor mean = randn(2, 3, dtype: ScalarType.Float64);
        PosteriorCase known = PosteriorCase.Named(posteriorName);
        Posterior q = known.Create(mean);
        Tensor covariance = known.Covariance(q);
        const double s = 1.3;
        using var isotropic = new GaussianPrior(0, s);
        Assert.Equal(Dense(mean, covariance, zeros_like(mean), eye(6, dtype: ScalarType.Float64) * s * s), KlDivergences.Compute(q, isotropic).item<double>(), 1e-10);

        if (q is MatrixNormal)
        {
            var p = (MatrixNormalPrior)PriorCase.Named("matrix normal").Create(mean);
            Tensor a = p.OutputFactor, b = p.InputFactor;
            Assert.Equal(Dense(mean, covariance, p.Mean, kron(a.mm(a.t()), b.mm(b.t()))), KlDivergences.Compute(q, p).item<double>(), 1e-10);
            using var frozen = MatrixNormalPrior.From((MatrixNormal)q);
            Assert.Equal(0, KlDivergences.Compute(q, frozen).item<double>(), 1e-12);
        }
    }

    private static double Dense(Tensor mean, Tensor covariance, Tensor priorMean, Tensor priorCovariance)
    {
        Tensor inverse = linalg.inv(priorCovariance), difference = (priorMean - mean).flatten();
        Tensor value = inverse.mm(covariance).diagonal().sum() + difference.dot(inverse.mv(difference)) - mean.numel()
            + linalg.slogdet(priorCovariance).Item2 - linalg.slogdet(covariance).Item2;
        return 0.5 * value.item<double>();
    }

    /// <summary>s^2 = E|w|^2 / P is where the divergence is least, and what it leaves is P/2 ln s^2 less the entropy's part.</summary>
    [Fact]
    public void TheLearnedPriorSolvesForItsScale()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        manual_seed(6);
        Posterior q = PosteriorCase.Named("mean-field Gaussian, log scale").Create(randn(2, 3, dtype: ScalarType.Float64));
        using var closed = new LearnedGaussianPrior(5, closedForm: true, dtype: ScalarType.Float64);
        double least = KlDivergences.Compute(q, closed).item<double>();
        Assert.Equal(Math.Sqrt((q.Mean.square() + q.Variance).mean().item<double>()), closed.StdDev, 1e-12);
        foreach (double factor in new[] { 0.9, 1.1 })
        {
            using var other = new GaussianPrior(0, closed.StdDev * factor);
            Assert.True(KlDivergences.Compute(q, other).item<double>() > least);
        }

        using var same = new GaussianPrior(0, closed.StdDev);
        Assert.Equal(KlDivergences.Compute(q, same).item<double>(), least, 1e-11);
    }
}
