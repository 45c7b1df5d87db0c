using System.CommandLine;
using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Metrics;
using BayesNet.Plotting;
using BayesNet.Posteriors;
using BayesNet.Prediction;
using BayesNet.Priors;
using BayesNet.Samples.Shared;
using BayesNet.Training;
using ScottPlot;
using static TorchSharp.torch;

namespace BayesNet.Samples.Gallery;

/// <summary>A Bayesian LeNet-5 on digits: is it as sure as it is right, which images does it know it doesn't know, and what does it say of letters?</summary>
internal sealed class ImageClassification : Sample
{
    private const int Samples = 50, Shown = 24;

    private readonly Option<DirectoryInfo> _data = IdxFiles.Option();

    public override string Name => "image-classification";

    public override string Description => "A Bayesian LeNet-5 on digits: calibration, the images it is least sure of, and letters that are no digits.";

    public override IReadOnlyList<Option> Options => [_data];

    public override IReadOnlyDictionary<string, double> Run(SampleRun run)
    {
        using var scope = NewDisposeScope();
        (Tensor images, Tensor labels) = IdxFiles.ReadOrDraw(run.CommandLine.GetValue(_data), run.Short ? 750 : 8_000, run.Seed, wobble: 0.18);
        long count = images.size(0), held = count / 5;
        var training = new TrainingData(images.narrow(0, 0, count - held), labels.narrow(0, 0, count - held));
        (Tensor testImages, Tensor testLabels) = (images.narrow(0, count - held, held), labels.narrow(0, count - held, held));
        run.Say($"{training.Count:N0} digits to train on, {held:N0} to test with");

        using nn.Module<Tensor, Tensor> model = LeNet();
        using var trainer = new VariationalTrainer(model, new CategoricalLikelihood(), training.Count, new TrainerOptions
        {
            Epochs = run.Short ? 4 : 25,
            BatchSize = 64,
            LearningRate = 2e-3,
            KlSchedule = KlSchedule.Warmup(epochs: run.Short ? 2 : 12),
            Seed = run.Seed,
        });
        trainer.Fit(training);

        using var digits = (CategoricalPredictive)trainer.Predict(testImages, Samples);
        Tensor unknown = PenStrokes.Letters((int)held, run.Seed);
        using var letters = (CategoricalPredictive)trainer.Predict(unknown, Samples);
        using var noise = (CategoricalPredictive)trainer.Predict(rand(held, 1, 28, 28), Samples);
        double accuracy = ClassificationMetrics.Accuracy(digits.Mean, testLabels);
        ReliabilityDiagram reliability = ReliabilityDiagram.OfTopClass(digits.Mean, testLabels, 10, Binning.EqualMass);
        double lettersFound = DetectionScore.OutOfDistribution(digits.PredictiveEntropy, letters.PredictiveEntropy).Auroc;

        Tensor order = digits.PredictiveEntropy.argsort(descending: true).narrow(0, 0, Shown);
        Panels.Save(
            run.File("image-classification.png"),
            2,
            reliability.ToPlot(),
            Histogram(("digits", digits.PredictiveEntropy), ("letters", letters.PredictiveEntropy), ("noise", noise.PredictiveEntropy)),
            Panels.Images(testImages.index_select(0, order).squeeze(1), 8, "Least sure of: digits"),
            Panels.Images(unknown.narrow(0, 0, Shown).squeeze(1), 8, "Never seen: letters"));
        run.Say($"accuracy {accuracy:F3}, negative log likelihood {ClassificationMetrics.NegativeLogLikelihood(digits, testLabels):F3}, expected calibration error {reliability.ExpectedCalibrationError:F3}");
        run.Say($"letters told from digits by the predictive entropy: area under the ROC curve {lettersFound:F3}");
        string sure = digits.Mean.amax([1]).mean().item<float>() < accuracy ? "above the diagonal it is less sure than it is right, which temperature scaling mends" : "below the diagonal it is surer than it is right";
        run.Say($"look at the bars: {sure}");
        run.Say("look at the second plot: where the network has never been, its entropy is high; and at the third: the digits it is unsure of are those that you are unsure of");
        return new Dictionary<string, double> { ["accuracy"] = accuracy, ["calibrationError"] = reliability.ExpectedCalibrationError, ["aurocLetters"] = lettersFound };
    }

    private static nn.Module<Tensor, Tensor> LeNet()
    {
        var options = new BayesOptions
        {
            Prior = GaussianPrior.WithStdDev(0.2),
            Posterior = new MeanFieldGaussianSpecification { InitialStdDev = 0.02 },
        };
        return nn.Sequential(
            ("conv1", bnn.Conv2d(1, 6, 5, padding: 2, options: options)),
            ("relu1", nn.ReLU()),
            ("pool1", nn.MaxPool2d(2)),
            ("conv2", bnn.Conv2d(6, 16, 5, options: options)),
            ("relu2", nn.ReLU()),
            ("pool2", nn.MaxPool2d(2)),
            ("flatten", nn.Flatten()),
            ("linear1", bnn.Linear(400, 120, options: options)),
            ("relu3", nn.ReLU()),
            ("linear2", bnn.Linear(120, 84, options: options)),
            ("relu4", nn.ReLU()),
            ("output", bnn.Linear(84, 10, options: options)));
    }

    private static Plot Histogram(params (string Name, Tensor Entropy)[] groups)
    {
        const int Bins = 24;
        double most = Math.Log(10);
        Plot plot = BayesPlot.NewPlot("predictive entropy, nats", "share of images");
        double[] middles = [.. Enumerable.Range(0, Bins).Select(bin => most * (bin + 0.5) / Bins)];
        foreach ((int group, (string name, Tensor entropy)) in groups.Index())
        {
            double[] values = [.. entropy.to(ScalarType.Float64).data<double>()];
            double[] shares = [.. Enumerable.Range(0, Bins).Select(bin => values.Count(value => Math.Clamp((int)(value / most * Bins), 0, Bins - 1) == bin) / (double)values.Length)];
            plot.Line(middles, shares, BayesPlot.Palette[group], name, marker: 5);
        }

        plot.LegendAbove();
        return plot;
    }
}
