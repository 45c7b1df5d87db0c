using BayesNet.Diagnostics;
using BayesNet.Inference;
using BayesNet.Likelihoods;
using BayesNet.TestKit;
using BayesNet.Training;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Inference;

public sealed class LangevinTests
{
    // A multiple of no vector length, so that the scalar tail runs too; the last is shared by several threads.
    private static readonly long[][] Shapes = [[3, 17], [1], [], [40_009]];

    private static LangevinOptimizer.Settings Settings(long steps, double friction, bool preconditioned, StepSizeSchedule? schedule = null, double rate = 0.1)
        => new(20, steps, rate, friction, 1, preconditioned, schedule ?? StepSizeSchedule.Constant(0.5), 3);

    [Theory]
    [InlineData(ScalarType.Float32, 1.0, false)]
    [InlineData(ScalarType.Float64, 1.0, true)]
    [InlineData(ScalarType.Float64, 0.2, false)]
    [InlineData(ScalarType.Float32, 0.2, true)]
    public void FusedStepsArePlainSteps(ScalarType dtype, double friction, bool preconditioned)
    {
        using var scope = NewDisposeScope();
        Parameter[] fused = Parameters(), plain = Parameters();
        using var one = new LangevinOptimizer(fused, Settings(10, friction, preconditioned, StepSizeSchedule.Cyclical(2, 0.4)), () => { }, 3);
        using var other = new LangevinOptimizer(plain, Settings(10, friction, preconditioned, StepSizeSchedule.Cyclical(2, 0.4)), () => { }, 3) { Plain = true };
        for (int step = 0; step < 10; step++)
        {
            Descend(fused, one);
            Descend(plain, other);
        }

        double rounding = dtype == ScalarType.Float32 ? Math.ScaleB(1e-13, 29) : 1e-13;
        for (int i = 0; i < fused.Length; i++)
            Assert.True((fused[i] - plain[i]).abs().max().to(ScalarType.Float64).item<double>() <= rounding * (1 + plain[i].abs().max().to(ScalarType.Float64).item<double>()));

        Parameter[] Parameters() => [.. Shapes.Select((shape, i) => new Parameter((arange(shape.Aggregate(1L, (a, b) => a * b), dtype: ScalarType.Float64) + i).sin().reshape(shape).to(dtype)))];

        static void Descend(Parameter[] parameters, LangevinOptimizer optimizer)
        {
            foreach (Parameter parameter in parameters)
                parameter.grad = parameter.detach() * 2 + 0.3;
            optimizer.step();
        }
    }

    /// <summary>
    /// Thirty thousand independent chains in a quadratic potential, curvature h of the loss an example: weights have the stationary law of the steps as they
    /// are, whose variance is the fixed point of the covariance's recursion, and for Langevin dynamics 1 / (N h (1 - rate h / 2)).
    /// </summary>
    [Theory]
    [InlineData(1.0)]
    [InlineData(0.3)]
    public void TheStationaryLawIsExact(double friction)
    {
        using var scope = NewDisposeScope();
        const int chains = 30_000;
        const double h = 2.5, rate = 0.1, n = 20;
        var weight = new Parameter(zeros(chains, ScalarType.Float64));
        using var optimizer = new LangevinOptimizer([weight], Settings(400, friction, preconditioned: false), () => { }, 8);
        for (int step = 0; step < 200; step++)
        {
            using var inner = NewDisposeScope();
            weight.grad = (weight.detach() - 0.7) * h;
            optimizer.step();
        }

        double ww = StationaryVariance(h, rate, friction, n);
        if (friction == 1)
            Assert.Equal(1 / (n * h * (1 - rate * h / 2)), ww, 1e-9);
        Assert.InRange(ww * n * h, 1, 1.2);
        SampleMoments.AssertMean(weight.detach().unsqueeze(1), tensor(new[] { 0.7 }));
        SampleMoments.AssertVariance(weight.detach().unsqueeze(1), tensor(new[] { ww }));
    }

    /// <summary>The fixed point of the second moments' recursion under v' = (1 - friction) v - rate h w + xi, w' = w + v'.</summary>
    private static double StationaryVariance(double h, double rate, double friction, double n)
    {
        double keep = 1 - friction, noise = 2 * friction * rate / n, ww = 0, wv = 0, vv = 0;
        for (int step = 0; step < 5000; step++)
        {
            double nextVv = keep * keep * vv - 2 * keep * rate * h * wv + rate * rate * h * h * ww + noise;
            double nextWv = keep * wv - rate * h * ww + nextVv;
            (ww, wv, vv) = (ww + 2 * (keep * wv - rate * h * ww) + nextVv, nextWv, nextVv);
        }

        return ww;
    }

    /// <summary>A frozen metric changes the dynamics and leaves the law: the variance is nearer to 1 / (N h) than the step size alone would leave it.</summary>
    [Fact]
    public void ThePreconditionedLawIsThePosterior()
    {
        using var scope = NewDisposeScope();
        const int chains = 30_000, steps = 1200;
        const double n = 20, rate = 0.003;
        Tensor h = full([chains], 30.0, ScalarType.Float64);
        h.narrow(0, 0, chains / 2).fill_(0.5);
        var weight = new Parameter((arange(chains, dtype: ScalarType.Float64) * 2.7).sin() * 0.3);
        using var optimizer = new LangevinOptimizer([weight], Settings(steps, 0.3, preconditioned: true, rate: rate), () => { }, 9);
        for (int step = 0; step < steps; step++)
        {
            using var inner = NewDisposeScope();
            weight.grad = weight.detach() * h;
            optimizer.step();
        }

        for (int half = 0; half < 2; half++)
        {
            double curvature = half == 0 ? 0.5 : 30;
            double variance = weight.detach().narrow(0, half * (chains / 2), chains / 2).square().mean().item<double>();

            // 5 standard errors of a variance of 15,000 draws are 6 %; the step size adds what it adds.
            Assert.InRange(variance * n * curvature, 0.94, 1.2);
        }
    }

    /// <summary>
    /// Bayesian linear regression with known noise: the stored weights have the exact posterior's mean, and its covariance but for what the step size adds, exactly
    /// known in the basis of the precision's eigenvectors.
    /// </summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void LinearRegressionHasTheExactPosterior(bool hamiltonian)
    {
        using var scope = NewDisposeScope();
        const int rows = 30;
        const double priorStdDev = 0.8, noise = 0.5;
        Tensor index = arange(rows, dtype: ScalarType.Float64).unsqueeze(1);
        Tensor x = cat([(index * 0.9).sin(), (index * 0.9 + 0.8).sin() * 0.7], 1);
        Tensor y = x.matmul(tensor(new[,] { { 1.0 }, { -0.5 } })) + 0.4 + (index * 1.7).cos() * noise;
        Tensor phi = cat([x, ones(rows, 1, ScalarType.Float64)], 1);
        Tensor precision = phi.t().mm(phi) / (noise * noise) + eye(3, dtype: ScalarType.Float64) / (priorStdDev * priorStdDev);
        Tensor covariance = linalg.inv(precision), mean = covariance.mm(phi.t().mm(y)).squeeze(1) / (noise * noise);

        StochasticGradientMonteCarlo method = hamiltonian
            ? new Sghmc { Friction = 0.2, LearningRate = 0.02, Epochs = 30_000 }
            : new Sgld { LearningRate = 0.1, Epochs = 30_000 };
        using var fitted = (SampledPosterior)(method with
        {
            BatchSize = rows,
            PriorStdDev = priorStdDev,
            SamplesPerChain = 3_000,
            Chains = 2,
            Schedule = StepSizeSchedule.Constant(0.1),
            Seed = 5,
        }).Fit(() => nn.Linear(2, 1, dtype: ScalarType.Float64), () => new GaussianLikelihood(learnNoise: false, noise: noise, dtype: ScalarType.Float64), new TrainingData(x, y), cancellationToken: TestContext.Current.CancellationToken);

        Tensor draws = cat([fitted.Draws("weight").flatten(2), fitted.Draws("bias")], 2);
        Assert.Equal([2L, 3000, 3], draws.shape);
        Assert.True(ChainDiagnostics.RHat(draws).max().item<double>() < 1.01);
        Tensor size = ChainDiagnostics.EffectiveSampleSize(draws);
        Assert.True(size.min().item<double>() > 500);
        Tensor flat = draws.flatten(0, 1);
        Tensor standardError = (covariance.diag() / size).sqrt();
        Assert.True(((flat.mean([0]) - mean).abs() / standardError).max().item<double>() < 5);

        (Tensor curvatures, Tensor basis) = linalg.eigh(precision);
        double[] variances = [.. curvatures.data<double>().Select(p => StationaryVariance(p / rows, method.LearningRate, hamiltonian ? 0.2 : 1, rows))];
        Tensor stationary = basis.mm(tensor(variances).diag()).mm(basis.t());

        // At these rates the steps add a quarter to the variance of the stiffest direction, which is no error of sampling.
        Assert.InRange((stationary / covariance).diag().max().item<double>(), 1, 1.3);
        Tensor centred = flat - mean, products = centred.t().mm(centred) / flat.size(0);
        Tensor scale = covariance.diag().sqrt().outer(covariance.diag().sqrt());
        double worst = ((products - stationary) / scale).abs().max().item<double>();
        Assert.InRange(worst, 0, 5 * Math.Sqrt(2 / size.min().item<double>()));
    }

    [Fact]
    public void TooShortARunIsRefusedByName()
    {
        using var scope = NewDisposeScope();
        var data = new TrainingData(zeros(4, 1), zeros(4, 1));
        var error = Assert.Throws<InvalidOperationException>(() => new Sgld { Epochs = 3 }.Fit(() => nn.Linear(1, 1), () => new GaussianLikelihood(), data, cancellationToken: TestContext.Current.CancellationToken));
        Assert.Contains(nameof(Sgld.SamplesPerChain), error.Message, StringComparison.Ordinal);
    }
}
