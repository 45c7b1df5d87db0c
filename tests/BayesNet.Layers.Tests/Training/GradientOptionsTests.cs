using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Posteriors;
using BayesNet.TestKit;
using BayesNet.Training;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Training;

/// <summary>Accumulation, antithetic pairs, clipping and learning rates, compiled and through autograd.</summary>
public sealed class GradientOptionsTests
{
    /// <summary>Without noise, minibatches of several sizes have the loss and the gradient of their union, to rounding.</summary>
    [Theory]
    [InlineData(true, 1)]
    [InlineData(false, 1)]
    [InlineData(true, 2)]
    [InlineData(false, 2)]
    public void AccumulatedMinibatchesAreTheirUnion(bool compile, int samples)
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        using Sequential model = nn.Sequential(nn.Linear(2, 5, dtype: ScalarType.Float64), nn.Tanh(), nn.Linear(5, 1, dtype: ScalarType.Float64));
        using var likelihood = new GaussianLikelihood(noise: 0.5);
        using var trainer = new VariationalTrainer(model, likelihood, 50, new TrainerOptions { PointPrior = 2, Compile = compile, Samples = samples });
        (Tensor x, Tensor y) = Data(20);
        StepResult whole = trainer.AccumulateGradients(x, y, 0.7);
        Tensor expected = Gradient(model, likelihood);
        StepResult parts = trainer.AccumulateGradients([(x[..3], y[..3]), (x[3..12], y[3..12]), (x[12..], y[12..])], 0.7);
        Assert.Equal(compile, trainer.IsCompiled);
        Assert.Equal(whole.Loss, parts.Loss, 1e-12);
        Assert.Equal(whole.PointPenalty, parts.PointPenalty, 1e-12);
        Assert.InRange((Gradient(model, likelihood) - expected).abs().max().item<double>(), 0, 1e-12);
    }

    /// <summary>With noise: the mean over rows and the KL gradient once, by the one-sample gradients of the parts.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void AccumulatedNoiseIsThatOfTheParts(bool compile)
    {
        using var scope = NewDisposeScope();
        using Sequential model = Model();
        using var likelihood = new GaussianLikelihood(noise: 0.5);
        using var trainer = new VariationalTrainer(model, likelihood, 50, new TrainerOptions { Compile = compile });
        (Tensor x, Tensor y) = Data(20);
        model.SeedNoise(1);
        Tensor byHand = zeros_like(Flat(model, likelihood));
        foreach ((Tensor px, Tensor py) in new[] { (x[..6], y[..6]), (x[6..], y[6..]) })
        {
            trainer.AccumulateGradients(px, py, 0);
            byHand += Gradient(model, likelihood) * (px.size(0) / 20.0);
        }

        model.zero_grad();
        likelihood.zero_grad();
        (model.KlDivergence() * 0.7 / 50).backward();
        byHand += cat([.. model.parameters().Select(parameter => parameter.grad!.flatten()), zeros(1, dtype: ScalarType.Float64)]);
        model.SeedNoise(1);
        trainer.AccumulateGradients([(x[..6], y[..6]), (x[6..], y[6..])], 0.7);
        Assert.InRange((Gradient(model, likelihood) - byHand).abs().max().item<double>(), 0, 1e-12);
    }

    /// <summary>A run that accumulates takes the steps of one on larger minibatches; the last one has what is left.</summary>
    [Fact]
    public void ARunAccumulates()
    {
        using var scope = NewDisposeScope();
        (Tensor x, Tensor y) = Data(20);
        var values = new Tensor[2];
        for (int i = 0; i < 2; i++)
        {
            manual_seed(1);
            using Sequential model = nn.Sequential(nn.Linear(2, 5, dtype: ScalarType.Float64), nn.Tanh(), nn.Linear(5, 1, dtype: ScalarType.Float64));
            using var likelihood = new GaussianLikelihood();
            using var trainer = new VariationalTrainer(model, likelihood, 20, new TrainerOptions
            {
                PointEstimate = true,
                Epochs = 3,
                Seed = 4,
                BatchSize = i == 0 ? 6 : 3,
                AccumulationSteps = i == 0 ? 1 : 2,
            });
            Assert.Equal(12, trainer.Fit(new TrainingData(x, y), cancellationToken: CancellationToken.None).Steps);
            values[i] = Flat(model, likelihood);
        }

        Assert.InRange((values[0] - values[1]).abs().max().item<double>(), 0, 1e-10);
    }

    /// <summary>
    /// The twin has the noise of the first sample mirrored, so a model that is linear in its weights has the loss of a pair whose odd part is gone:
    /// (f + d)^2 + (f - d)^2 over two is f^2 + d^2. And the sources go on after a pair as after one sample.
    /// </summary>
    [Theory]
    [InlineData("local reparameterization", true)]
    [InlineData("local reparameterization", false)]
    [InlineData("shared weights", true)]
    [InlineData("shared weights", false)]
    [InlineData("weights per example", false)]
    [InlineData("flipout", false)]
    public void PairsAreMirrored(string estimator, bool compile)
    {
        using var scope = NewDisposeScope();
        manual_seed(2);
        using var model = bnn.Linear(2, 1, dtype: ScalarType.Float64, options: new BayesOptions
        {
            Posterior = new MeanFieldGaussianSpecification { InitialStdDev = 0.3 },
            Estimator = EstimatorCase.Named(estimator).Estimator,
        });
        using var likelihood = new GaussianLikelihood(learnNoise: false, noise: 0.5);
        using var pair = new VariationalTrainer(model, likelihood, 50, new TrainerOptions { Samples = 2, Antithetic = true, Compile = compile });
        Assert.Equal(compile, pair.IsCompiled);
        (Tensor x, Tensor y) = Data(20);

        model.SeedNoise(1);
        Tensor output = model.call(x), mean;
        using (model.WithEstimator(Estimator.MeanOnly))
            mean = model.call(x);
        double expected = -(likelihood.LogLikelihood(output, y) + likelihood.LogLikelihood(2 * mean - output, y)).mean().item<double>() / 2;
        (ulong, ulong)? state = model.Noise.State;
        model.SeedNoise(1);
        StepResult found = pair.AccumulateGradients(x, y, 1);
        Assert.Equal(expected, found.NegativeLogLikelihood, 1e-12);
        Assert.Equal(state, model.Noise.State);
        Assert.False(model.Noise.Mirrored);
        model.SeedNoise(null);
        pair.AccumulateGradients(x, y, 1);
        Assert.Null(model.Seed);
    }

    /// <summary>What antithetic pairs are for: at equal cost the means' gradient of a linear model varies far less, in which the odd part is all.</summary>
    [Fact]
    public void PairsHaveTheSmallerVariance()
    {
        using var scope = NewDisposeScope();
        manual_seed(2);
        using var model = bnn.Linear(2, 1, dtype: ScalarType.Float64, options: new BayesOptions
        {
            Posterior = new MeanFieldGaussianSpecification { InitialStdDev = 0.3 },
            Estimator = Estimator.SharedWeights,
        });
        using var likelihood = new GaussianLikelihood(learnNoise: false, noise: 0.5);
        (Tensor x, Tensor y) = Data(20);
        double[] variances = [.. new[] { false, true }.Select(antithetic =>
        {
            using var trainer = new VariationalTrainer(model, likelihood, 50, new TrainerOptions { Samples = 2, Antithetic = antithetic });
            model.SeedNoise(1);
            var gradients = new Tensor[200];
            for (int i = 0; i < gradients.Length; i++)
            {
                trainer.AccumulateGradients(x, y, 1);
                gradients[i] = ((Parameter)model.WeightPosterior.Mean).grad!.clone();
            }

            return stack(gradients).var(0L).sum().item<double>();
        })];

        // The loss is quadratic in the weights, so its gradient in the means is linear in the noise: what is left of it is rounding.
        Assert.True(variances[0] > 1e-3);
        Assert.InRange(variances[1], 0, 1e-20);
    }

    [Fact]
    public void PairsNeedAnEvenNumber()
    {
        using Sequential model = Model();
        Assert.Throws<ArgumentException>("options", () => new VariationalTrainer(model, new GaussianLikelihood(), 20, new TrainerOptions { Antithetic = true, Samples = 3 }));
        Assert.Throws<ArgumentOutOfRangeException>("AccumulationSteps", () => new TrainerOptions { AccumulationSteps = 0 });
        Assert.Throws<ArgumentOutOfRangeException>("MaxGradientNorm", () => new TrainerOptions { MaxGradientNorm = 0 });
        Assert.Throws<ArgumentOutOfRangeException>("ScaleLearningRate", () => new TrainerOptions { ScaleLearningRate = -1 });
    }

    /// <summary>Any optimizer: the norm before clipping is reported, and the step is that of gradients scaled down to it.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void GradientsAreClippedByTheirNorm(bool compile)
    {
        using var scope = NewDisposeScope();
        using Sequential model = Model();
        using var likelihood = new GaussianLikelihood();
        (Tensor x, Tensor y) = Data(20);
        using var free = new VariationalTrainer(model, likelihood, 20, new TrainerOptions { Compile = compile });
        model.SeedNoise(1);
        free.AccumulateGradients(x, y, 1);
        Tensor gradient = Gradient(model, likelihood), before = Flat(model, likelihood);
        double norm = gradient.pow(2).sum().sqrt().item<double>();

        using var trainer = new VariationalTrainer(model, likelihood, 20, new TrainerOptions
        {
            Compile = compile,
            MaxGradientNorm = norm / 4,
            Optimizer = trained => optim.SGD(trained, 0.1),
        });
        model.SeedNoise(1);
        StepResult step = trainer.Step(x, y);
        Assert.Equal(norm, Assert.NotNull(step.GradientNorm), 1e-12 * norm);
        Assert.InRange((before - 0.1 * gradient / 4 - Flat(model, likelihood)).abs().max().item<double>(), 0, 1e-6);
        Assert.Null(free.Step(x, y).GradientNorm);
    }

    /// <summary>The first step of Adam is its learning rate, entry by entry: means and noise take one, scales the other.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ScalesHaveTheirOwnLearningRate(bool compile)
    {
        using var scope = NewDisposeScope();
        using Sequential model = Model();
        using var likelihood = new GaussianLikelihood();
        (Tensor x, Tensor y) = Data(20);
        using var trainer = new VariationalTrainer(model, likelihood, 20, new TrainerOptions { LearningRate = 0.01, ScaleLearningRate = 0.03, Compile = compile });
        Dictionary<string, Tensor> before = model.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter.detach().clone());
        Tensor noise = likelihood.parameters().Single().detach().clone();
        trainer.Step(x, y);
        Assert.Equal(compile, trainer.IsCompiled);
        foreach ((string name, Parameter parameter) in model.named_parameters())
            Assert.Equal(name.EndsWith("log_scale", StringComparison.Ordinal) ? 0.03 : 0.01, (parameter - before[name]).abs().max().item<double>(), 1e-4);
        Assert.Equal(0.01, (likelihood.parameters().Single() - noise).abs().item<double>(), 1e-4);
    }

    private static Sequential Model() => nn.Sequential(
        ("hidden", bnn.Linear(2, 5, dtype: ScalarType.Float64)), ("tanh", nn.Tanh()), ("out", bnn.Linear(5, 1, dtype: ScalarType.Float64)));

    private static (Tensor X, Tensor Y) Data(long rows)
    {
        using var noise = new NoiseSource(21);
        Tensor x = noise.Normal([rows, 2], ScalarType.Float64, CPU);
        return (x, x.sum(dim: 1, keepdim: true).sin() + noise.Normal([rows, 1], ScalarType.Float64, CPU) * 0.1);
    }

    private static Tensor Flat(nn.Module model, nn.Module likelihood)
        => cat([.. model.parameters().Concat(likelihood.parameters()).Select(parameter => parameter.detach().flatten())]).clone();

    private static Tensor Gradient(nn.Module model, nn.Module likelihood)
        => cat([.. model.parameters().Concat(likelihood.parameters()).Select(parameter => parameter.grad!.flatten())]).clone();
}
