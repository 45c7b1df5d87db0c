using BayesNet.Inference;
using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.TestKit;
using BayesNet.Training;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Tests.Inference;

public sealed class LaplaceTests
{
    private const int Rows = 25;

    private static Sequential Network(long outputs, ScalarType dtype = ScalarType.Float64)
        => nn.Sequential(nn.Linear(2, 3, dtype: dtype), nn.Tanh(), nn.Linear(3, outputs, dtype: dtype));

    private static Tensor Inputs()
    {
        using var scope = NewDisposeScope();
        Tensor index = arange(Rows, dtype: ScalarType.Float64).unsqueeze(1);
        return cat([(index * 0.7).sin(), (index * 1.1).cos()], 1).MoveToOuterDisposeScope();
    }

    private static Tensor Features(Sequential model, Tensor x)
    {
        var layers = model.children().Cast<nn.Module<Tensor, Tensor>>().ToArray();
        return cat([layers[1].call(layers[0].call(x)).detach(), ones(x.size(0), 1, ScalarType.Float64)], 1);
    }

    /// <summary>Mean, predictive and evidence are those of Bayesian linear regression on the features, by matrices of the whole training set.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void AGaussianLikelihoodIsExactRegression(bool missing)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(1);
        const double precision = 0.7;
        double[] noise = [0.3, 0.8];
        Tensor x = Inputs();
        using Sequential model = Network(2);
        Tensor phi = Features(model, x), y = cat([x.sum(1, keepdim: true), (x * 2).prod(1, keepdim: true)], 1) + 0.2;
        if (missing)
            y[TensorIndex.Slice(0, 5), 1] = double.NaN;
        MissingTargets rule = missing ? MissingTargets.Masked : MissingTargets.Refused;
        using var likelihood = new GaussianLikelihood(noise, learnNoise: false, rule, ScalarType.Float64);
        using LaplacePosterior fitted = new LastLayerLaplace { PriorPrecision = precision }.Around(model, likelihood, new TrainingData(x, y, rule));

        Tensor test = Inputs() * 1.5 + 0.1, psi = Features(model, test);
        using var predictive = (GaussianPredictive)fitted.Predict(test, 3);
        Assert.Equal(1, predictive.Samples);
        double evidence = 0;
        for (int k = 0; k < 2; k++)
        {
            Tensor rows = y.select(1, k).isnan().logical_not(), f = phi[rows], t = y.select(1, k)[rows];
            double variance = noise[k] * noise[k];
            Tensor covariance = linalg.inv(f.t().mm(f) / variance + eye(4, dtype: ScalarType.Float64) * precision);
            Tensor mean = covariance.mv(f.t().mv(t)) / variance;
            Close(mean, fitted.Mean.select(1, k));
            Close(psi.mv(mean), predictive.Mean.select(1, k));
            Tensor epistemic = psi.mm(covariance).mul(psi).sum(dim: 1);
            Close(epistemic, predictive.Epistemic.select(1, k).square());
            Close(full_like(epistemic, variance), predictive.Aleatoric.select(1, k).square());
            Close((epistemic + variance).sqrt(), predictive.StdDev.select(1, k));
            Close(psi.mv(mean) + 1.6448536269514722 * (epistemic + variance).sqrt(), predictive.Quantile(0.95).select(1, k));
            Tensor marginal = eye(f.size(0), dtype: ScalarType.Float64) * variance + f.mm(f.t()) / precision;
            evidence += distributions.MultivariateNormal(zeros_like(t), marginal).log_prob(t).item<double>();
        }

        Assert.Equal(evidence, fitted.LogMarginalLikelihood, 1e-8);
        Tensor target = Inputs();
        Close(predictive.LogDensity(target), fitted.LogDensity(test, target));
        Close(predictive.LogDensity(target), fitted.LogDensity(test, target, options: new PredictionOptions { MemoryBudget = 1 }));

        // Drawn functions have the same moments.
        Tensor functions = fitted.SampleOutputs(test, 20_000).flatten(1);
        SampleMoments.AssertMean(functions, predictive.Mean.flatten());
        SampleMoments.AssertVariance(functions, predictive.Epistemic.square().flatten());

        using GaussianPredictive other = predictive.Rescale(3, 1);
        Close(predictive.Epistemic * 3, other.Epistemic);
        Close(predictive.StdDev * 3, other.StdDev);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void PrecisionAndNoiseHaveTheGreatestEvidence(bool shared)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(2);
        Tensor x = Inputs();
        using Sequential model = Network(2);
        Tensor y = (x * 2).sin() + (arange(Rows * 2, dtype: ScalarType.Float64).reshape(Rows, 2) * 7).cos() * tensor(new[] { 0.1, 0.4 });
        var data = new TrainingData(x, y);
        LaplacePosterior Fit(double[]? noise, double? precision)
        {
            using var likelihood = shared
                ? new GaussianLikelihood(noise is null, noise?[0] ?? 1, dtype: ScalarType.Float64)
                : new GaussianLikelihood(noise ?? [1, 1], learnNoise: noise is null, dtype: ScalarType.Float64);
            return new LastLayerLaplace { PriorPrecision = precision }.Around(model, likelihood, data);
        }

        using LaplacePosterior best = Fit(null, null);
        double[] found = [.. best.NoisePerOutput];
        Assert.Equal(shared, found[0] == found[1]);
        foreach (double factor in new[] { 0.98, 1.02 })
        {
            using LaplacePosterior precision = Fit(found, best.PriorPrecision * factor), noise = Fit([found[0] * factor, found[1] * (shared ? factor : 1)], best.PriorPrecision);
            Assert.True(precision.LogMarginalLikelihood < best.LogMarginalLikelihood);
            Assert.True(noise.LogMarginalLikelihood < best.LogMarginalLikelihood);
        }

        using LaplacePosterior same = Fit(found, best.PriorPrecision);
        Assert.Equal(best.LogMarginalLikelihood, same.LogMarginalLikelihood, 1e-9);
    }

    /// <summary>Drawn weights have the inverse of a Hessian, by finite differences of nothing: autograd's, of the log likelihood and prior in the last layer.</summary>
    [Theory]
    [InlineData("categorical")]
    [InlineData("bernoulli")]
    public void DrawnWeightsHaveTheInverseHessian(string name)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(3);
        const double precision = 1.3;
        Tensor x = Inputs();
        using Sequential model = Network(3);
        using Likelihood likelihood = name == "categorical" ? new CategoricalLikelihood() : new BernoulliLikelihood();
        Tensor y = name == "categorical" ? arange(Rows, dtype: ScalarType.Int64).remainder(3) : (x.mm(randn(2, 3, dtype: ScalarType.Float64)) > 0).to(ScalarType.Float64);
        Tensor phi = Features(model, x);
        using LaplacePosterior fitted = new LastLayerLaplace { PriorPrecision = precision, Seed = 3 }.Around(model, likelihood, new TrainingData(x, y));

        Tensor weights = fitted.Mean.detach().clone();
        Close(phi.mm(weights), model.call(x).detach());
        Tensor hessian = Hessian(w => likelihood.LogLikelihood(phi.mm(w), y).sum().neg() + w.square().sum() * (precision / 2), weights);
        SampleMoments.AssertMeanAndCovariance(fitted.SampleWeights(20_000).flatten(1), weights.flatten(), linalg.inv(hessian));

        double logLikelihood = likelihood.LogLikelihood(phi.mm(weights), y).sum().item<double>();
        double logPrior = -0.5 * precision * weights.square().sum().item<double>() + 6 * Math.Log(precision);
        Assert.Equal(logLikelihood + logPrior - 0.5 * linalg.slogdet(hessian).Item2.item<double>(), fitted.LogMarginalLikelihood, 1e-8);
        using LaplacePosterior best = new LastLayerLaplace().Around(model, likelihood, new TrainingData(x, y));
        Assert.True(best.LogMarginalLikelihood > fitted.LogMarginalLikelihood);
    }

    /// <summary>(A x B + lambda I)^-1 with A the features' matrix and B the mean information.</summary>
    [Fact]
    public void ManyWeightsHaveTheKroneckerProduct()
    {
        using var scope = NewDisposeScope();
        random.manual_seed(4);
        Tensor x = Inputs(), y = arange(Rows, dtype: ScalarType.Int64).remainder(3);
        using Sequential model = Network(3);
        using var likelihood = new CategoricalLikelihood();
        using LaplacePosterior fitted = new LastLayerLaplace { PriorPrecision = 0.9, FullCovarianceLimit = 11, Seed = 6 }.Around(model, likelihood, new TrainingData(x, y));
        Tensor phi = Features(model, x), p = model.call(x).detach().softmax(1);
        Tensor b = (p.diag_embed() - p.unsqueeze(2) * p.unsqueeze(1)).mean([0]);
        Tensor precision = kron(phi.t().mm(phi), b) + eye(12, dtype: ScalarType.Float64) * 0.9;
        SampleMoments.AssertMeanAndCovariance(fitted.SampleWeights(20_000).flatten(1), fitted.Mean.flatten(), linalg.inv(precision));
    }

    /// <summary>Two heads: the expectation, over targets of the network's own, of the Hessian in mean and log noise.</summary>
    [Fact]
    public void TwoHeadsHaveTheFisherInformation()
    {
        using var scope = NewDisposeScope();
        random.manual_seed(5);
        Tensor x = Inputs();
        using Sequential model = Network(2);
        using var likelihood = new HeteroscedasticGaussianLikelihood(minNoise: 0.2);
        using LaplacePosterior fitted = new LastLayerLaplace { PriorPrecision = 2, Seed = 6 }.Around(model, likelihood, new TrainingData(x, zeros(Rows, 1, ScalarType.Float64)));
        Tensor phi = Features(model, x), output = model.call(x).detach();

        // E[(d ln p / d f)^2], with y = m + noise eps: Gauss-Hermite of three nodes is exact for a quartic in eps.
        Tensor information = zeros(Rows, 2, ScalarType.Float64);
        foreach ((double node, double weight) in new[] { (0.0, 2.0 / 3), (Math.Sqrt(3), 1.0 / 6), (-Math.Sqrt(3), 1.0 / 6) })
        {
            Tensor f = output.clone().requires_grad_();
            Tensor target = output.narrow(1, 0, 1) + (output.narrow(1, 1, 1).exp() + 0.2) * node;
            likelihood.LogLikelihood(f, target).sum().backward();
            information = information + f.grad!.square() * weight;
        }

        Tensor precision = zeros(8, 8, ScalarType.Float64);
        for (int k = 0; k < 2; k++)
            precision = precision + kron(phi.t().mm(phi * information.select(1, k).unsqueeze(1)), tensor(k == 0 ? new[,] { { 1.0, 0 }, { 0, 0 } } : new[,] { { 0.0, 0 }, { 0, 1 } }));
        SampleMoments.AssertMeanAndCovariance(
            fitted.SampleWeights(20_000).flatten(1), fitted.Mean.flatten(), linalg.inv(precision + eye(8, dtype: ScalarType.Float64) * 2));
    }

    [Fact]
    public void WhatIsNoLastLinearLayerIsRefused()
    {
        using var scope = NewDisposeScope();
        var data = new TrainingData(Inputs(), zeros(Rows, 2, ScalarType.Float64));
        using var likelihood = new GaussianLikelihood(dtype: ScalarType.Float64);
        using var behind = nn.Sequential(nn.Linear(2, 2, dtype: ScalarType.Float64), nn.Tanh());
        Assert.Contains("last linear layer '0'", Assert.Throws<InvalidOperationException>(() => new LastLayerLaplace().Around(behind, likelihood, data)).Message, StringComparison.Ordinal);
        using var none = nn.Sequential(nn.Tanh());
        Assert.Throws<InvalidOperationException>(() => new LastLayerLaplace().Around(none, likelihood, data));
        using Sequential model = Network(2);
        using var heavy = new LaplaceLikelihood(dtype: ScalarType.Float64);
        Assert.Throws<NotSupportedException>(() => new LastLayerLaplace().Around(model, heavy, data));
    }

    private static Tensor Hessian(Func<Tensor, Tensor> f, Tensor at)
    {
        // By central differences of gradients; functions of few weights.
        const double step = 1e-5;
        var rows = new Tensor[at.numel()];
        for (int i = 0; i < rows.Length; i++)
        {
            Tensor[] gradients = [.. new[] { step, -step }.Select(h =>
            {
                Tensor w = at.clone();
                w.view(-1)[i] += h;
                w.requires_grad_();
                f(w).backward();
                return w.grad!.flatten();
            })];
            rows[i] = (gradients[0] - gradients[1]) / (2 * step);
        }

        return stack(rows);
    }

    private static void Close(Tensor expected, Tensor actual)
        => Assert.True(expected.allclose(actual, 1e-7, 1e-9), $"expected {expected.ToString(TorchSharp.TensorStringStyle.Numpy)}, got {actual.ToString(TorchSharp.TensorStringStyle.Numpy)}");
}
