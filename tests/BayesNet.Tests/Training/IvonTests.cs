using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.TestKit;
using BayesNet.Training;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Training;

public sealed class IvonTests
{
    // A multiple of no vector length, so that the scalar tail runs too; the last is shared by several threads.
    private static readonly long[][] Shapes = [[3, 17], [1], [], [40_009]];

    /// <summary>The fused passes against tensor operations, and those against the paper's formulas as it writes them.</summary>
    [Theory]
    [InlineData(ScalarType.Float32, 1, double.PositiveInfinity)]
    [InlineData(ScalarType.Float64, 1, double.PositiveInfinity)]
    [InlineData(ScalarType.Float64, 3, double.PositiveInfinity)]
    [InlineData(ScalarType.Float64, 1, 0.05)]
    public void FusedStepsArePlainSteps(ScalarType dtype, int samples, double clipRadius)
    {
        using var scope = NewDisposeScope();
        Parameter[] fused = Parameters(dtype), plain = Parameters(dtype);
        using var one = new Ivon(fused, 50, 0.05, 0.8, 0.9, 0.01, 0.7, clipRadius, temperature: 0.5, seed: 3);
        using var other = new Ivon(plain, 50, 0.05, 0.8, 0.9, 0.01, 0.7, clipRadius, temperature: 0.5, seed: 3) { Plain = true };
        Run(fused, one, 10, samples);
        Run(plain, other, 10, samples);

        // As many units in the last place in both types: float32's are 2^29 times as large.
        double rounding = dtype == ScalarType.Float32 ? Math.ScaleB(1e-13, 29) : 1e-13;
        AssertClose(plain, fused, rounding);
        AssertClose([.. plain.Select(other.StdDev)], [.. fused.Select(one.StdDev)], rounding);
        Assert.True((fused[0] - Parameters(dtype)[0]).abs().mean().to(ScalarType.Float64).item<double>() > 1e-2, "The parameters did not move.");
    }

    /// <summary>Algorithm 1 line by line in plain arithmetic, on draws read off the parameter itself.</summary>
    [Fact]
    public void AStepIsThatOfThePaper()
    {
        using var scope = NewDisposeScope();
        const double lambda = 20 / 0.5, delta = 0.1, beta1 = 0.8, beta2 = 0.9, rate = 0.3, initial = 0.6;
        var parameter = new Parameter(tensor(new[] { 0.4, -1.2, 2.0 }));
        using var optimizer = new Ivon([parameter], 20, rate, beta1, beta2, delta, initial, temperature: 0.5, seed: 1);
        double[] m = Values(parameter), g = new double[3], h = [initial, initial, initial];
        for (int t = 1; t <= 5; t++)
        {
            double[] gradient = new double[3], hessian = new double[3];
            optimizer.zero_grad();
            for (int s = 0; s < 2; s++)
            {
                using (optimizer.SampleParameters())
                {
                    double[] theta = Values(parameter);
                    parameter.pow(4).sum().backward();
                    for (int i = 0; i < 3; i++)
                    {
                        double slope = 4 * Math.Pow(theta[i], 3);
                        gradient[i] += slope / 2;
                        hessian[i] += slope * (theta[i] - m[i]) * lambda * (h[i] + delta) / 2;
                    }
                }
            }

            optimizer.step();
            for (int i = 0; i < 3; i++)
            {
                g[i] = beta1 * g[i] + (1 - beta1) * gradient[i];
                h[i] = beta2 * h[i] + (1 - beta2) * hessian[i] + Math.Pow((1 - beta2) * (h[i] - hessian[i]), 2) / (2 * (h[i] + delta));
                m[i] -= rate * (initial + delta) * (g[i] / (1 - Math.Pow(beta1, t)) + delta * m[i]) / (h[i] + delta);
            }

            double[] actual = Values(parameter), deviations = Values(optimizer.StdDev(parameter));
            for (int i = 0; i < 3; i++)
            {
                Assert.Equal(m[i], actual[i], 1e-12);
                Assert.Equal(1 / Math.Sqrt(lambda * (h[i] + delta)), deviations[i], 1e-12);
                m[i] = actual[i];
            }
        }
    }

    /// <summary>
    /// Linear regression with known noise: the mean is the exact posterior mean, and the variances the inverses of the exact precision's diagonal,
    /// which is what a Gaussian with independent entries has at the optimum.
    /// </summary>
    [Fact]
    public void LinearRegressionHasTheExactPosterior()
    {
        using var scope = NewDisposeScope();
        const int rows = 30;
        const double precision = 4, noise = 0.5;
        Tensor index = arange(rows, dtype: ScalarType.Float64).unsqueeze(1);
        Tensor x = cat([(index * 0.9).sin(), (index * 0.9 + 0.8).sin() * 0.7, (index * 0.31).cos()], 1);
        Tensor y = x.matmul(tensor(new[] { 1.0, -0.5, 0.3 })) + (index.squeeze(1) * 1.7).cos() * noise;
        Tensor exact = x.t().matmul(x) / (noise * noise) + eye(3, dtype: ScalarType.Float64) * precision;
        Tensor mean = linalg.solve(exact, x.t().matmul(y) / (noise * noise));
        Tensor variance = exact.diag().reciprocal();
        Assert.True((linalg.inv(exact).diag() / variance).max().item<double>() > 1.3, "The problem does not tell the two variances apart.");

        var weight = new Parameter(zeros(3, ScalarType.Float64));
        using var optimizer = new Ivon([weight], rows, learningRate: 0.05, beta1: 0.9, beta2: 0.999, weightDecay: precision / rows, initialHessian: 2, seed: 5);
        optim.lr_scheduler.LRScheduler decay = optim.lr_scheduler.ExponentialLR(optimizer, 0.999);
        Tensor averageVariance = zeros(3, ScalarType.Float64);
        const int steps = 8000, averaged = 4000;
        for (int step = 0; step < steps; step++)
        {
            using var inner = NewDisposeScope();
            optimizer.zero_grad();
            using (optimizer.SampleParameters())
                ((y - x.matmul(weight)).square().sum() / (2 * noise * noise * rows)).backward();
            optimizer.step();
            decay.step();
            if (step >= steps - averaged)
                averageVariance.add_(optimizer.StdDev(weight).square() / averaged);
        }

        // A rate that decays with a time constant of tau = 1,000 steps leaves the mean a standard error of s / (2 sqrt(tau)) = 0.02 posterior
        // standard deviations, s = 1.3 being the noise of a draw's Newton step in the same unit: five of them. The Hessian's estimate forgets in
        // 1,000 steps too, and a draw of it has a standard deviation of about 1.6 of itself: the average over 4,000 is within
        // 4 * 1.6 / sqrt(4,000) = 0.1; its bias, (1 - beta2) / 2 of its variance, is nothing beside that.
        Assert.InRange(((weight - mean).abs() / variance.sqrt()).max().item<double>(), 0, 0.1);
        Assert.InRange((averageVariance / variance).log().abs().max().item<double>(), 0, 0.1);
    }

    [Fact]
    public void StepsDoNotDependOnTheThreads()
    {
        using var scope = NewDisposeScope();
        int before = get_num_threads();
        try
        {
            Parameter[][] results = [.. new[] { 1, 2, 3 }.Select(threads =>
            {
                set_num_threads(threads);
                Parameter[] parameters = Parameters(ScalarType.Float32);
                using var optimizer = new Ivon(parameters, 50, seed: 3);
                Run(parameters, optimizer, 3, 2);
                return parameters;
            })];
            AssertClose(results[0], results[1], 0);
            AssertClose(results[0], results[2], 0);
        }
        finally
        {
            set_num_threads(before);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void StateGoesOnBitForBit(bool saved)
    {
        using var scope = NewDisposeScope();
        Parameter[] whole = Parameters(ScalarType.Float32), parts = Parameters(ScalarType.Float32);
        using var through = new Ivon(whole, 50, 0.02, seed: 1);
        using var first = new Ivon(parts, 50, 0.02, seed: 1);
        using var second = new Ivon(parts, 50, 0.5, initialHessian: 3, seed: 2);
        Run(whole, through, 6, 1);
        Run(parts, first, 6, 1);
        if (saved)
        {
            using var stream = new MemoryStream();
            using var writer = new BinaryWriter(stream);
            first.save_state_dict(writer);
            stream.Position = 0;
            using var reader = new BinaryReader(stream);
            second.load_state_dict(reader);
        }
        else
        {
            second.load_state_dict(first.state_dict());
        }

        through.Seed = second.Seed = 7;
        Run(whole, through, 6, 1);
        Run(parts, second, 6, 1);
        AssertClose(whole, parts, 0);
    }

    [Theory]
    [InlineData("step")]
    [InlineData("cosine")]
    [InlineData("one cycle")]
    public void SchedulersAndGroupsSetTheRate(string name)
    {
        using var scope = NewDisposeScope();
        Parameter[] parameters = Parameters(ScalarType.Float64);
        using var optimizer = new Ivon(
            [new IvonParamGroup(parameters[..1], new IvonOptions { LearningRate = 0.1 }), new IvonParamGroup(parameters[1..])], 50, 0.01);
        Assert.Equal([0.1, 0.01], optimizer.ParamGroups.Select(group => group.LearningRate));
        optim.lr_scheduler.LRScheduler scheduler = name switch
        {
            "step" => optim.lr_scheduler.StepLR(optimizer, 1, 0.5),
            "cosine" => optim.lr_scheduler.CosineAnnealingLR(optimizer, 10),
            _ => optim.lr_scheduler.OneCycleLR(optimizer, 0.4, total_steps: 10),
        };
        double[] before = [.. optimizer.ParamGroups.Select(group => group.LearningRate)];
        Run(parameters, optimizer, 1, 1);
        scheduler.step();
        Run(parameters, optimizer, 1, 1);
        Assert.All(optimizer.ParamGroups.Zip(before), pair => Assert.NotEqual(pair.Second, pair.First.LearningRate));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void ASampleIsADrawAndTheMeanComesBack(bool plain)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var parameter = new Parameter(full(20_000, 1000f));
        var frozen = new Parameter(ones(3), requires_grad: false);
        using var optimizer = new Ivon([parameter, frozen], 4, initialHessian: 0.25, weightDecay: 1, seed: 1) { Plain = plain };
        using (optimizer.SampleParameters(training: false))
        {
            // Standard deviation 1 / sqrt(4 * 1.25): mean and spread of 20,000 draws within five standard errors.
            Tensor deviation = (parameter - 1000).to(ScalarType.Float64);
            double expected = 1 / Math.Sqrt(5);
            Assert.Equal(0, deviation.mean().item<double>(), 5 * expected / Math.Sqrt(20_000));
            Assert.Equal(expected, deviation.std().item<double>(), 5 * expected / Math.Sqrt(40_000));
            Assert.True(frozen.eq(1).all().item<bool>());
            Assert.Throws<InvalidOperationException>(() => optimizer.SampleParameters());
            Assert.Throws<InvalidOperationException>(() => optimizer.step());
        }

        Assert.True(parameter.eq(1000).all().item<bool>());
    }

    /// <summary>zero_grad() between the samples of a step, or none: the gradients of each sample count once.</summary>
    [Fact]
    public void SamplesCountOnceWhateverIsZeroed()
    {
        using var scope = NewDisposeScope();
        Parameter[][] results = [.. new[] { 0, 1, 2 }.Select(variant =>
        {
            Parameter[] parameters = Parameters(ScalarType.Float64);
            using var optimizer = new Ivon(parameters, 50, seed: 4);
            optimizer.zero_grad();
            for (int s = 0; s < 3; s++)
            {
                if (variant == 1)
                    optimizer.zero_grad();
                using (optimizer.SampleParameters())
                {
                    if (variant == 2)
                        optimizer.zero_grad();
                    Loss(parameters).backward();
                }
            }

            optimizer.step();
            return parameters;
        })];
        AssertClose(results[0], results[1], 0);
        AssertClose(results[0], results[2], 0);
    }

    [Fact]
    public void AStepWithoutASampleIsRefused()
    {
        using var scope = NewDisposeScope();
        Parameter[] parameters = Parameters(ScalarType.Float32);
        using var optimizer = new Ivon(parameters, 50);
        var error = Assert.Throws<InvalidOperationException>(() => optimizer.step());
        Assert.Contains("SampleParameters", error.Message, StringComparison.Ordinal);
        using (optimizer.SampleParameters())
            Loss(parameters).backward();
        optimizer.DiscardSamples();
        Assert.Throws<InvalidOperationException>(() => optimizer.step());
        AssertClose(Parameters(ScalarType.Float32), parameters, 0);
        Assert.Throws<ArgumentOutOfRangeException>("trainingSetSize", () => new Ivon(parameters, 0));
        Assert.Throws<ArgumentOutOfRangeException>("Beta2", () => new Ivon(parameters, 10, beta2: 1));
        Assert.Throws<ArgumentOutOfRangeException>("ClipRadius", () => new Ivon(parameters, 10, clipRadius: 0));
        Assert.Throws<ArgumentOutOfRangeException>("WeightDecay", () => new Ivon(parameters, 10, weightDecay: 0));
    }

    /// <summary>A plain TorchSharp model predicts with the posterior's uncertainty, and is left at the mean.</summary>
    [Fact]
    public void ADeterministicModelPredictsWithUncertainty()
    {
        using var scope = NewDisposeScope();
        using var model = nn.Linear(2, 1, dtype: ScalarType.Float64);
        using var optimizer = new Ivon(model.parameters(), 10, initialHessian: 0.3, weightDecay: 0.1, seed: 2);
        using var likelihood = new GaussianLikelihood(learnNoise: false, noise: 0.2);
        likelihood.to(ScalarType.Float64);
        Tensor x = tensor(new[,] { { 1.0, 2.0 }, { 0.0, 0.0 } }), before = model.call(x);
        const int samples = 4000;
        using Predictive predictive = optimizer.Predict(model, likelihood, x, samples);

        // Each weight has variance 1 / (10 * 0.4) = 1/4: the output's is (1 + x.x) / 4, known to sqrt(2 / samples) of itself.
        double[] deviations = Values(predictive.Epistemic);
        Assert.Equal(Math.Sqrt(6.0 / 4), deviations[0], 5 * Math.Sqrt(6.0 / 4 / (2 * samples)));
        Assert.Equal(Math.Sqrt(1.0 / 4), deviations[1], 5 * Math.Sqrt(1.0 / 4 / (2 * samples)));
        Assert.True(model.call(x).eq(before).all().item<bool>());
        Assert.True(model.training);
    }

    [Fact]
    public void StepsLeaveNoTensors()
    {
        using var scope = NewDisposeScope();
        Parameter[] parameters = Parameters(ScalarType.Float32);
        using var optimizer = new Ivon(parameters, 50, seed: 1);
        Run(parameters, optimizer, 3, 2);
        long before = LiveTensors.Settled();
        Run(parameters, optimizer, 50, 2);
        Assert.Equal(before, Tensor.TotalCount);
    }

    private static void Run(Parameter[] parameters, Ivon optimizer, int steps, int samples)
    {
        for (int step = 0; step < steps; step++)
        {
            using var scope = NewDisposeScope();
            optimizer.zero_grad();
            for (int s = 0; s < samples; s++)
            {
                using (optimizer.SampleParameters())
                    Loss(parameters).backward();
            }

            optimizer.step();
        }
    }

    private static Tensor Loss(Parameter[] parameters)
    {
        Tensor loss = zeros([], parameters[0].dtype);
        foreach (Parameter parameter in parameters)
            loss += (parameter * parameter + (parameter * 3).cos()).sum();
        return loss;
    }

    private static Parameter[] Parameters(ScalarType dtype)
        => [.. Shapes.Select((shape, i) => new Parameter((arange(shape.Aggregate(1L, (a, b) => a * b), dtype: dtype) * 0.37 + i + 0.3).sin().reshape(shape)))];

    private static double[] Values(Tensor tensor) => tensor.detach().clone().flatten().data<double>().ToArray();

    private static void AssertClose(Tensor[] expected, Tensor[] actual, double tolerance)
    {
        foreach ((Tensor one, Tensor other) in expected.Zip(actual))
            Assert.InRange((one - other).abs().max().to(ScalarType.Float64).item<double>(), 0, tolerance);
    }
}
