using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.Priors;
using BayesNet.Training;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Training;

/// <summary>Point estimates: deterministic parameters under a prior, and models that have no others.</summary>
public sealed class PointPriorTests
{
    private const double StdDev = 0.7, KlWeight = 0.6;
    private const long N = 50;

    /// <summary>Loss and gradient are those of -mean ln p + KlWeight (KL + |w|^2 / (2 s^2)) / N by hand; Bayesian weights have no share in it.</summary>
    [Theory]
    [InlineData(true, 1)]
    [InlineData(true, 3)]
    [InlineData(false, 1)]
    [InlineData(false, 3)]
    public void LossAndGradientAreThoseByHand(bool compile, int samples)
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        using Sequential model = Mixed();
        using var likelihood = new GaussianLikelihood(noise: 0.5);
        var options = new TrainerOptions { PointPrior = StdDev, Samples = samples, Compile = compile };
        using var trainer = new VariationalTrainer(model, likelihood, N, options);
        Assert.Equal(compile, trainer.IsCompiled);
        (Tensor x, Tensor y) = Data();

        model.SeedNoise(1);
        trainer.AccumulateGradients(x, y, KlWeight);
        Tensor found = Gradient(model, likelihood);
        model.SeedNoise(1);
        StepResult step = trainer.AccumulateGradients(x, y, KlWeight);
        Assert.True(found.eq(Gradient(model, likelihood)).all().item<bool>());

        model.SeedNoise(1);
        model.zero_grad();
        likelihood.zero_grad();
        var plain = (Linear)model.children().ElementAt(0);
        Tensor penalty = (plain.weight!.pow(2).sum() + plain.bias!.pow(2).sum()) / (2 * StdDev * StdDev);
        Tensor loss = (model.KlDivergence() + penalty) * KlWeight / N;
        for (int s = 0; s < samples; s++)
            loss -= likelihood.LogLikelihood(model.call(x), y).mean() / samples;
        loss.backward();

        Assert.Equal(penalty.item<double>(), step.PointPenalty, 1e-12);
        Assert.Equal(loss.item<double>(), step.Loss, 1e-12);
        Assert.Equal(-(N * step.NegativeLogLikelihood + step.KlDivergence), step.Elbo, 1e-12);
        Assert.InRange((Gradient(model, likelihood) - found).abs().max().item<double>(), 0, 1e-12);
    }

    /// <summary>Linear regression has its maximum a posteriori in closed form: (X'X / noise^2 + I / s^2)^-1 X'y / noise^2.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void RidgeRegressionIsFound(bool compile)
    {
        const double noise = 0.5;
        using var scope = NewDisposeScope();
        manual_seed(2);
        using var model = nn.Linear(2, 1, hasBias: false, dtype: ScalarType.Float64);
        using var likelihood = new GaussianLikelihood(learnNoise: false, noise: noise);
        (Tensor x, Tensor y) = Data();
        using var trainer = new VariationalTrainer(model, likelihood, x.size(0), new TrainerOptions
        {
            Epochs = 400,
            LearningRate = 0.05,
            PointPrior = 0.2,
            Compile = compile,
        });
        Assert.Equal(compile, trainer.IsCompiled);
        trainer.Fit(new TrainingData(x, y), cancellationToken: CancellationToken.None);
        Tensor precision = x.t().matmul(x) / (noise * noise) + eye(2, dtype: ScalarType.Float64) / (0.2 * 0.2);
        Tensor exact = linalg.solve(precision, x.t().matmul(y) / (noise * noise)).t();
        Assert.InRange((exact - model.weight!).abs().max().item<double>(), 0, 1e-6);
    }

    [Fact]
    public void AModelWithoutBayesianLayersIsAcceptedWhereItIsAskedFor()
    {
        using var scope = NewDisposeScope();
        using var model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1));
        using var likelihood = new GaussianLikelihood();
        var refused = Assert.Throws<InvalidOperationException>(() => new VariationalTrainer(model, likelihood, 20));
        Assert.Contains(nameof(TrainerOptions.PointEstimate), refused.Message, StringComparison.Ordinal);
        Assert.Contains(nameof(TrainerOptions.PointPrior), refused.Message, StringComparison.Ordinal);

        (Tensor x, Tensor y) = Data(ScalarType.Float32);
        var data = new TrainingData(x, y);
        using var trainer = new VariationalTrainer(model, likelihood, data.Count, new TrainerOptions { PointEstimate = true, Epochs = 3 });
        StepResult step = trainer.Step(x, y);
        Assert.Equal((0, 0), (step.KlDivergence, step.PointPenalty));
        Assert.Equal(step.NegativeLogLikelihood, step.Loss);
        FitResult fit = trainer.Fit(data, data, cancellationToken: CancellationToken.None);
        double validation = Assert.NotNull(fit.History[^1].ValidationLogLikelihood);
        using (no_grad())
            Assert.Equal(likelihood.LogLikelihood(model.call(x), y).mean().item<float>(), validation, 1e-5);
        using Predictive predictive = trainer.Predict(x, 3);
        Assert.Equal(0, predictive.Epistemic.abs().max().item<float>(), 1e-6);
    }

    /// <summary>What posteriors and priors hold is theirs, a learned standard deviation too.</summary>
    [Fact]
    public void ParametersOfPosteriorsAndLearnedPriorsHaveNoShare()
    {
        using var scope = NewDisposeScope();
        using var model = bnn.Linear(2, 1, options: new BayesOptions { Prior = LearnedGaussianPrior.With() });
        using var likelihood = new GaussianLikelihood();
        using var trainer = new VariationalTrainer(model, likelihood, N, new TrainerOptions { PointPrior = StdDev });
        (Tensor x, Tensor y) = Data(ScalarType.Float32);
        Assert.Equal(0, trainer.Step(x, y).PointPenalty);
    }

    /// <summary>A parameter that is frozen later has no share either, and takes the model off the compiled path.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void FrozenParametersHaveNoShare(bool compile)
    {
        using var scope = NewDisposeScope();
        using Sequential model = Mixed();
        using var trainer = new VariationalTrainer(model, new GaussianLikelihood(), N, new TrainerOptions { PointPrior = StdDev, Compile = compile });
        (Tensor x, Tensor y) = Data();
        var plain = (Linear)model.children().ElementAt(0);
        plain.weight!.requires_grad = false;
        double expected = plain.bias!.pow(2).sum().item<double>() / (2 * StdDev * StdDev);
        Assert.Equal(expected, trainer.Step(x, y).PointPenalty, 1e-12);
    }

    [Fact]
    public void BadStandardDeviationsAreNamed()
    {
        Assert.Null(new TrainerOptions().PointPrior);
        Assert.False(new TrainerOptions().PointEstimate);
        Assert.Throws<ArgumentOutOfRangeException>("PointPrior", () => new TrainerOptions { PointPrior = 0 });
        Assert.Throws<ArgumentOutOfRangeException>("PointPrior", () => new TrainerOptions { PointPrior = double.PositiveInfinity });
    }

    private static Sequential Mixed() => nn.Sequential(
        ("features", nn.Linear(2, 5, dtype: ScalarType.Float64)), ("tanh", nn.Tanh()), ("out", bnn.Linear(5, 1, dtype: ScalarType.Float64)));

    private static (Tensor X, Tensor Y) Data(ScalarType dtype = ScalarType.Float64)
    {
        manual_seed(3);
        Tensor x = randn(20, 2, dtype: dtype);
        return (x, x.sum(dim: 1, keepdim: true).sin() + randn(20, 1, dtype: dtype) * 0.1);
    }

    private static Tensor Gradient(nn.Module model, nn.Module likelihood)
        => cat([.. model.parameters().Concat(likelihood.parameters()).Select(parameter => parameter.grad!.flatten())]).clone();
}
