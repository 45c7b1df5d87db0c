using BayesNet.Layers;
using BayesNet.Layers.Conversion;
using BayesNet.Likelihoods;
using BayesNet.Metrics;
using BayesNet.Plotting;
using BayesNet.Prediction;
using BayesNet.Samples.Shared;
using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Samples.Gallery;

/// <summary>A trained network of a class of one's own made Bayesian in one line, and what that gains: MOPED (Krishnan et al. 2020).</summary>
internal sealed class PretrainedConversion : Sample
{
    private const int Samples = 20;

    public override string Name => "pretrained-conversion";

    public override string Description => "A trained convolutional network made Bayesian in one line (MOPED), and what that gains.";

    public override IReadOnlyDictionary<string, double> Run(SampleRun run)
    {
        using var scope = NewDisposeScope();

        // Few rows to train on, of digits drawn so ill that some can't be told apart.
        (Tensor images, Tensor labels) = PenStrokes.Digits(run.Short ? 300 : 2_000, run.Seed, wobble: 0.25);
        long count = images.size(0), rows = count / 4;
        var training = new TrainingData(images.narrow(0, 0, rows), labels.narrow(0, 0, rows));
        var test = new TrainingData(images.narrow(0, rows, count - rows), labels.narrow(0, rows, count - rows));
        Tensor letters = PenStrokes.Letters((int)(count - rows), run.Seed);

        using var trained = new Classifier();
        Fit(trained, run.Short ? 3 : 60, new TrainerOptions { PointEstimate = true });
        Score before = Measure(trained, "as trained");

        // The one line.
        nn.Module<Tensor, Tensor> bayesian = trained.ToBayesian(new ConversionOptions { Options = BayesOptions.Moped(delta: 0.2, priorStdDev: 0.2) }, out ConversionReport report);
        run.Say(report.ToString());
        Score converted = Measure(bayesian, "converted");
        Fit(bayesian, run.Short ? 2 : 20, new TrainerOptions { KlSchedule = KlSchedule.Warmup(epochs: 5) });
        Score tuned = Measure(bayesian, "converted and fine-tuned");

        Panels.Save(run.File("pretrained-conversion.png"), 2, before.Diagram.ToPlot(), tuned.Diagram.ToPlot());
        run.Say($"look at the bars: on the left the network as it was trained, on the right converted and fine-tuned (expected calibration error {before.CalibrationError:F3} and {tuned.CalibrationError:F3}); and at the last column: what it has learned about letters, which it never saw");
        return new Dictionary<string, double>
        {
            ["accuracyBefore"] = before.Accuracy,
            ["accuracyAfter"] = tuned.Accuracy,
            ["nllBefore"] = before.Loss,
            ["nllConverted"] = converted.Loss,
            ["nllAfter"] = tuned.Loss,
        };

        void Fit(nn.Module<Tensor, Tensor> model, int epochs, TrainerOptions options)
        {
            using var trainer = new VariationalTrainer(model, new CategoricalLikelihood(), rows, options with { Epochs = epochs, BatchSize = 64, LearningRate = 1e-3, Seed = run.Seed });
            model.train();
            trainer.Fit(training);
        }

        Score Measure(nn.Module<Tensor, Tensor> model, string name)
        {
            var likelihood = new CategoricalLikelihood();
            using var inside = (CategoricalPredictive)Predictor.Predict(model, likelihood, test.Inputs, Samples);
            using var outside = (CategoricalPredictive)Predictor.Predict(model, likelihood, letters, Samples);
            var score = new Score(
                ClassificationMetrics.Accuracy(inside.Mean, test.Targets),
                ClassificationMetrics.NegativeLogLikelihood(inside, test.Targets),
                ReliabilityDiagram.OfTopClass(inside.Mean, test.Targets, 10, Binning.EqualMass));
            double found = DetectionScore.OutOfDistribution(inside.PredictiveEntropy, outside.PredictiveEntropy).Auroc;
            run.Say($"{name,-26} accuracy {score.Accuracy:F3}, negative log likelihood {score.Loss:F3}, calibration error {score.CalibrationError:F3}, letters told apart {found:F3}");
            return score;
        }
    }

    private sealed record Score(double Accuracy, double Loss, ReliabilityDiagram Diagram)
    {
        public double CalibrationError => Diagram.ExpectedCalibrationError;
    }

    /// <summary>A network as TorchSharp's users write them: layers in private fields, a forward pass of its own.</summary>
    private sealed class Classifier : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> _conv1 = nn.Conv2d(1, 8, 5, padding: 2), _conv2 = nn.Conv2d(8, 16, 5);
        private readonly nn.Module<Tensor, Tensor> _hidden = nn.Linear(400, 100), _output = nn.Linear(100, 10);

        public Classifier()
            : base(nameof(Classifier)) => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            using var scope = NewDisposeScope();
            Tensor first = nn.functional.max_pool2d(_conv1.call(input).relu(), 2);
            Tensor second = nn.functional.max_pool2d(_conv2.call(first).relu(), 2);
            return _output.call(_hidden.call(second.flatten(1)).relu()).MoveToOuterDisposeScope();
        }
    }
}
