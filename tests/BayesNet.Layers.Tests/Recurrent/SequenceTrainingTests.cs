using BayesNet.Estimators;
using BayesNet.Likelihoods;
using BayesNet.Posteriors;
using BayesNet.Prediction;
using BayesNet.TestKit;
using BayesNet.Training;
using Xunit;
using static TorchSharp.torch;

namespace BayesNet.Layers.Tests.Recurrent;

/// <summary>Variational training and prediction of models with recurrent and attention layers.</summary>
public sealed class SequenceTrainingTests
{
    public static readonly TheoryData<string> Models = ["LSTM", "GRU", "transformer"];

    [Theory]
    [MemberData(nameof(Models))]
    public void ItTrainsAndPredicts(string name)
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        using nn.Module<Tensor, Tensor> model = Model(name);
        using var likelihood = new GaussianLikelihood(noise: 0.2);
        using var trainer = new VariationalTrainer(model, likelihood, 64, new TrainerOptions { Epochs = 30, BatchSize = 16, LearningRate = 0.01, Seed = 1, Antithetic = name == "LSTM", Samples = name == "LSTM" ? 2 : 1 });
        Tensor x = randn(64, 6, 1), y = x.mean([1]) * 2;
        FitResult fit = trainer.Fit(new TrainingData(x, y), cancellationToken: TestContext.Current.CancellationToken);

        // A constant has an error of var(y) = 4 / 6, and a negative log likelihood of 0.67 / (2 * 0.04) - 0.69; half of it is far below any chance.
        Assert.True(fit.History[^1].NegativeLogLikelihood < 0.5 * fit.History[0].NegativeLogLikelihood, "Training did not fit the data.");
        using Predictive predictive = trainer.Predict(x, 20);
        Assert.Equal([64, 1], predictive.Mean.shape);
        Assert.True(predictive.Epistemic.min().item<float>() > 0);
        using (trainer.Model.WithEstimator(Estimator.MeanOnly))
            Assert.True(model.call(x).isfinite().all().item<bool>());
    }

    public static IEnumerable<TheoryDataRow<string, string>> Steps()
        => from name in new[] { "LSTM", "transformer" }
           from estimator in EstimatorCase.All
           select new TheoryDataRow<string, string>(name, estimator.Name);

    [Theory]
    [MemberData(nameof(Steps))]
    public void StepsAndPredictionsLeaveNoTensors(string name, string estimator)
    {
        using nn.Module<Tensor, Tensor> model = Model(name);
        using var likelihood = new GaussianLikelihood();
        using var trainer = new VariationalTrainer(model, likelihood, 32);
        using var _ = model.WithEstimator(EstimatorCase.Named(estimator).Estimator);
        using Tensor x = randn(4, 6, 1), y = randn(4, 1);
        Step(3);
        long before = LiveTensors.Settled();
        Step(30);
        Assert.Equal(before, Tensor.TotalCount);

        void Step(int count)
        {
            for (int i = 0; i < count; i++)
                trainer.Step(x, y);
            using Predictive predictive = Predictor.Predict(model, likelihood, x, 3);
        }
    }

    /// <summary>
    /// Samples differ in every weight, whichever way they are computed: with rows said to be independent, and one by one. Of 600 draws a variance has
    /// a relative standard error of sqrt(2 / 600), times 1.4 of two of them, a mean one of 1.4 / sqrt(600), a correlation one of 1 / sqrt(600):
    /// tolerances are four and five of each, with room for the outputs' kurtosis.
    /// </summary>
    [Theory]
    [InlineData("shared weights")]
    [InlineData("weights per example")]
    [InlineData("local reparameterization")]
    [InlineData("flipout")]
    public void SamplesAreDistributedAsForwardPasses(string estimator)
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        using nn.Module<Tensor, Tensor> model = Model("LSTM", 0.3);
        model.SeedNoise(1);
        using var _ = model.WithEstimator(EstimatorCase.Named(estimator).Estimator);
        Tensor x = randn(1, 3, 1).expand(2, 3, 1);
        Tensor together = Predictor.SampleOutputs(model, x, 600, new PredictionOptions { RowsAreIndependent = true });
        Tensor apart = Predictor.SampleOutputs(model, x, 600, new PredictionOptions { RowsAreIndependent = false });
        Assert.InRange(together.var([0]).div(apart.var([0])).sub(1).abs().max().item<float>(), 0, 0.4);
        Assert.InRange((together.mean([0]) - apart.mean([0])).abs().div(apart.std([0])).max().item<float>(), 0, 0.25);

        // Successive samples are uncorrelated.
        Tensor centred = together - together.mean([0]);
        Tensor correlation = (centred[TensorIndex.Slice(1)] * centred[TensorIndex.Slice(0, -1)]).mean([0]) / together.var([0]);
        Assert.InRange(correlation.abs().max().item<float>(), 0, 0.2);
    }

    private static nn.Module<Tensor, Tensor> Model(string name, double stdDev = 0.02)
    {
        var options = new BayesOptions { Posterior = new MeanFieldGaussianSpecification { InitialStdDev = stdDev } };
        return name switch
        {
            "LSTM" => new LastStep(bnn.LSTM(1, 8, batchFirst: true, options: options), bnn.Linear(8, 1, options: options)),
            "GRU" => new LastStep(bnn.GRU(1, 8, batchFirst: true, options: options), bnn.Linear(8, 1, options: options)),
            _ => nn.Sequential(
                ("embed", bnn.Linear(1, 8, options: options)),
                ("encoder", bnn.TransformerEncoderLayer(8, 2, batchFirst: true, dim_feedforward: 16, dropout: 0, options: options)),
                ("flatten", nn.Flatten()),
                ("head", bnn.Linear(48, 1, options: options))),
        };
    }

    /// <summary>(batch, time, features) to a prediction from the last step: all that a trainer asks for.</summary>
    private sealed class LastStep : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module _recurrent;
        private readonly BayesLinear _head;

        public LastStep(nn.Module recurrent, BayesLinear head)
            : base(nameof(LastStep))
        {
            (_recurrent, _head) = (recurrent, head);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input)
        {
            using var scope = NewDisposeScope();
            Tensor output = _recurrent is BayesLSTM lstm ? lstm.call(input).Item1 : ((BayesGRU)_recurrent).call(input).Item1;
            return _head.call(output.select(1, -1)).MoveToOuterDisposeScope();
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                foreach (nn.Module part in children())
                    part.Dispose();
            }

            base.Dispose(disposing);
        }
    }
}
