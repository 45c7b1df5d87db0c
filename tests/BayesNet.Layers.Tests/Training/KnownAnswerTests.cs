using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Training;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Training;

/// <summary>
/// Bayesian linear regression with known noise has a Gaussian posterior with precision P = X'X / s^2 + I / s0^2 and mean P^-1 X'y / s^2.
/// The best mean-field Gaussian has that mean and the variances 1 / diag(P), not the posterior's marginal variances (Bishop 2006, 10.1.2).
/// </summary>
public sealed class KnownAnswerTests
{
    private const double Noise = 0.5;
    private const double PriorStdDev = 2;

    [Theory]
    [InlineData("local reparameterization")]
    [InlineData("flipout")]
    [InlineData("shared weights")]
    public void TrainingFindsTheMeanFieldOptimum(string estimator)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(5);
        Tensor x = noise.Normal([40, 3], ScalarType.Float64, CPU);
        x.select(1, 1).add_(x.select(1, 0)); // correlated inputs, so that the two kinds of variance differ
        Tensor y = x.mv(tensor(new[] { 1.0, -2.0, 0.5 })) + noise.Normal([40], ScalarType.Float64, CPU) * Noise;

        Tensor precision = x.t().mm(x) / (Noise * Noise) + eye(3, dtype: ScalarType.Float64) / (PriorStdDev * PriorStdDev);
        Tensor mean = linalg.solve(precision, x.t().mv(y) / (Noise * Noise));
        Tensor stdDev = precision.diag().rsqrt();

        using var layer = new BayesLinear(zeros(1, 3, dtype: ScalarType.Float64), options: new BayesOptions
        {
            Prior = GaussianPrior.WithStdDev(PriorStdDev),
            Estimator = TestKit.EstimatorCase.Named(estimator).Estimator,
        });
        using var likelihood = new GaussianLikelihood(learnNoise: false, noise: Noise);
        using var trainer = new VariationalTrainer(layer, likelihood, 40, new TrainerOptions { Epochs = 500, BatchSize = 40, LearningRate = 0.02, Samples = 8, Seed = 3 });
        var data = new TrainingData(x, y.unsqueeze(1));
        optim.lr_scheduler.LRScheduler decay = optim.lr_scheduler.ExponentialLR(trainer.Optimizer, 0.05);
        trainer.Fit(data, cancellationToken: TestContext.Current.CancellationToken);
        decay.step();
        trainer.Fit(data, cancellationToken: TestContext.Current.CancellationToken);

        var posterior = Assert.IsType<MeanFieldGaussian>(layer.WeightPosterior);
        Tensor errors = (posterior.Mean.flatten() - mean).abs() / stdDev;
        Tensor ratios = (posterior.StdDev.flatten() / stdDev).log().abs();

        // At the end the step is 1e-3 in units where a standard deviation is about 0.1 and a log scale about 1.
        Assert.True(errors.max().item<double>() < 0.1, $"The means are {errors.max().item<double>():G3} standard deviations off.");
        Assert.True(ratios.max().item<double>() < 0.1, $"The scales are {ratios.max().item<double>():P1} off.");

        Tensor marginal = linalg.inv(precision).diag().sqrt();
        Assert.True((marginal / stdDev).log().max().item<double>() > 0.3, "The problem does not tell the two variances apart.");
    }
}
