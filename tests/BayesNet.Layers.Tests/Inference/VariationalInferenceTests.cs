using BayesNet.Inference;
using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.Training;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Inference;

public sealed class VariationalInferenceTests
{
    private static readonly TrainerOptions Short = new() { Epochs = 3, BatchSize = 16, LearningRate = 0.01 };

    private static TrainingData Data()
    {
        Tensor x = linspace(-1, 1, 30).unsqueeze(1);
        return new TrainingData(x, (x * 3).sin());
    }

    private static nn.Module<Tensor, Tensor> Network() => nn.Sequential(bnn.Linear(1, 8), nn.Tanh(), bnn.Linear(8, 1));

    /// <summary>A fit by the method is a fit by the trainer, and predicts as the predictor does.</summary>
    [Fact]
    public void ItIsTheTrainer()
    {
        using var scope = NewDisposeScope();
        TrainingData data = Data();
        using var fitted = (NetworkPosterior)new VariationalInference { Training = Short, Seed = 9 }.Fit(Network, () => new GaussianLikelihood(), data, cancellationToken: TestContext.Current.CancellationToken);
        random.manual_seed(9);
        using nn.Module<Tensor, Tensor> model = Network();
        using var likelihood = new GaussianLikelihood();
        using (var trainer = new VariationalTrainer(model, likelihood, data.Count, Short with { Seed = 9 }))
            trainer.Fit(data, cancellationToken: TestContext.Current.CancellationToken);
        Assert.All(model.state_dict(), entry => Assert.True(entry.Value.eq(fitted.Model.state_dict()[entry.Key]).all().item<bool>(), entry.Key));
        Assert.Equal(50, fitted.SamplesUsed(50));
        Assert.True(Predictor.SampleOutputs(model, data.Inputs, 7).eq(fitted.SampleOutputs(data.Inputs, 7)).all().item<bool>());
    }

    [Fact]
    public void AnEnsembleOfItSharesTheSamples()
    {
        using var scope = NewDisposeScope();
        TrainingData data = Data();
        using FittedPosterior fitted = new DeepEnsemble(new VariationalInference { Training = Short }) { Members = 3, Seed = 9 }.Fit(
            Network, () => new GaussianLikelihood(), data, cancellationToken: TestContext.Current.CancellationToken);
        using Predictive predictive = fitted.Predict(data.Inputs, 10);
        Assert.Equal(12, predictive.Samples);
        Assert.Equal([30L, 1], predictive.StdDev.shape);
    }

    [Fact]
    public void OtherMethodsRefuseBayesianLayersByName()
    {
        using var scope = NewDisposeScope();
        foreach (InferenceMethod method in new InferenceMethod[] { new MaximumAPosteriori(), new Swag(), new McDropout(), new LastLayerLaplace(), new Sghmc() })
        {
            string message = Assert.Throws<InvalidOperationException>(() => method.Fit(Network, () => new GaussianLikelihood(), Data(), cancellationToken: TestContext.Current.CancellationToken)).Message;
            Assert.Contains("Bayesian layer ('0')", message, StringComparison.Ordinal);
            Assert.Contains(method.Name, message, StringComparison.Ordinal);
        }
    }
}
