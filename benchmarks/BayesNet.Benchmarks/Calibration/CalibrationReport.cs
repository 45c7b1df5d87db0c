using System.CommandLine;
using System.Diagnostics;
using BayesNet.Benchmarks.GradientVariance;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Benchmarks.StepTime;
using BayesNet.Inference;
using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Metrics;
using BayesNet.Posteriors;
using BayesNet.Prediction;
using BayesNet.Priors;
using BayesNet.Samples.Shared;
using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Calibration;

/// <summary>
/// LeNet-5 on 10,000 MNIST digits by every inference method: accuracy, log likelihood, calibration, and what the uncertainty says of images that are
/// no upright digits.
/// </summary>
internal sealed class CalibrationReport : Report
{
    private const int TrainingRows = 7200, ValidationRows = 800, TestRows = 2000, Samples = 50, Bins = 15;
    private static readonly Option<DirectoryInfo> DataFolder = new(DataOption) { Description = "The folder with mnist10k in it. Default: BAYESNET_DATA." };
    private static readonly Option<string> Methods = new("--methods") { Description = "Methods by their short names, joined by commas. Default: all." };

    public override string Name => "calibration";

    public override string Title => "Inference methods on digits: accuracy, calibration, out-of-distribution detection";

    public override string Description => "LeNet-5 on MNIST rows by every inference method: accuracy, log likelihood, calibration, detection of images that are no digits.";

    protected override bool NeedsData => true;

    protected override IReadOnlyList<Option> Options => [DataFolder, Methods];

    protected override void Write(ReportDocument document, ReportOptions options)
    {
        string folder = Digits.Folder(options.CommandLine.GetValue(DataFolder));
        int epochs = options.Short ? 2 : 30, training = options.Short ? 1500 : TrainingRows;
        var methods = All(epochs, options.Seed);
        string[] names = OptionValues.List(options.CommandLine.GetValue(Methods))
            ?? (options.Short ? ["map", "vi", "laplace"] : [.. methods.Keys]);
        if (names.FirstOrDefault(name => !methods.ContainsKey(name)) is { } unknown)
            throw new InvalidDataException($"'{unknown}' is none of the methods {string.Join(", ", methods.Keys)}.");

        using var scope = NewDisposeScope();
        Digits digits = Digits.Load(folder, TrainingRows + ValidationRows + TestRows);
        Tensor images = digits.Inputs.reshape(-1, 1, 28, 28);
        var train = new TrainingData(images.narrow(0, 0, training), digits.Targets.narrow(0, 0, training));
        var validation = new TrainingData(images.narrow(0, TrainingRows, ValidationRows), digits.Targets.narrow(0, TrainingRows, ValidationRows));
        var test = new TrainingData(images.narrow(0, TrainingRows + ValidationRows, TestRows), digits.Targets.narrow(0, TrainingRows + ValidationRows, TestRows));
        using var generator = new Generator(options.Seed, CPU);
        Tensor[] outside =
        [
            test.Inputs.rot90(1, (2, 3)).contiguous(),
            rand([TestRows, 1, 28, 28], generator: generator),
            PenStrokes.Letters(TestRows, options.Seed),
        ];

        ResultLines<CalibrationRow> results = document.Lines<CalibrationRow>("methods", row => row.Identity);
        foreach (string name in names)
        {
            (InferenceMethod method, Func<nn.Module<Tensor, Tensor>> network) = methods[name];
            bool kept = results.Rows.Any(row => row.Method == method.Name);
            Console.Error.WriteLine($"{name}{(kept ? ": kept" : "")}");
            if (!kept)
                results.Add(Measure(method, network, train, validation, test, outside, document.Identity));
        }

        CalibrationText.Write(document, [.. results.Rows.Where(row => names.Any(name => methods[name].Method.Name == row.Method))], training, epochs, test.Inputs, outside);
    }

    private static Dictionary<string, (InferenceMethod Method, Func<nn.Module<Tensor, Tensor>> Network)> All(int epochs, ulong seed)
    {
        StepTimeShape lenet = StepTimeShape.Parse("lenet5");
        Func<nn.Module<Tensor, Tensor>> plain = () => lenet.Build(new DeterministicLayers(), CPU, ScalarType.Float32);
        Func<nn.Module<Tensor, Tensor>> dropout = () => lenet.Build(new DropoutLayers(), CPU, ScalarType.Float32);
        var options = new BayesOptions
        {
            Prior = GaussianPrior.WithStdDev(0.2),
            Posterior = new MeanFieldGaussianSpecification { InitialStdDev = 0.02 },
        };
        Func<nn.Module<Tensor, Tensor>> bayesian = () => lenet.Build(new BayesianLayers(options), CPU, ScalarType.Float32);
        var training = new TrainerOptions { Epochs = epochs, BatchSize = 128, LearningRate = 1e-3, PointPrior = 0.2 };
        var map = new MaximumAPosteriori { Training = training, Seed = seed };
        var variational = new VariationalInference { Training = training with { PointPrior = null, Epochs = 2 * epochs, KlSchedule = KlSchedule.Warmup(epochs) }, Seed = seed };
        return new()
        {
            ["map"] = (map, plain),
            ["vi"] = (variational, bayesian),
            ["ensemble"] = (new DeepEnsemble(map) { Members = 5, Seed = seed }, plain),
            ["swag"] = (new Swag { Training = training, Snapshots = Math.Max(3, epochs / 2), Seed = seed }, plain),
            ["dropout"] = (new McDropout { Training = training with { Epochs = 2 * epochs }, Seed = seed }, dropout),
            ["laplace"] = (new LastLayerLaplace { Training = training, Seed = seed }, plain),
            ["sgld"] = (new Sgld { Epochs = 4 * epochs, PriorStdDev = 0.2, LearningRate = 5e-2, Seed = seed }, plain),
            ["sghmc"] = (new Sghmc { Epochs = 4 * epochs, PriorStdDev = 0.2, LearningRate = 1e-2, Seed = seed }, plain),
        };
    }

    private static CalibrationRow Measure(
        InferenceMethod method,
        Func<nn.Module<Tensor, Tensor>> network,
        TrainingData train,
        TrainingData validation,
        TrainingData test,
        Tensor[] outside,
        RunIdentity identity)
    {
        using var scope = NewDisposeScope();
        var clock = Stopwatch.StartNew();
        using FittedPosterior fitted = method.Fit(network, () => new CategoricalLikelihood(), train);
        double fitSeconds = clock.Elapsed.TotalSeconds;
        clock.Restart();
        using CategoricalPredictive inside = Predict(test.Inputs);
        double predictSeconds = clock.Elapsed.TotalSeconds;
        using CategoricalPredictive held = Predict(validation.Inputs);
        TemperatureScaling temperature = TemperatureScaling.Fit(held, validation.Targets);
        Tensor calibrated = temperature.Apply(inside).exp();
        RiskCoverageCurve curve = RiskCoverageCurve.Of(inside.PredictiveEntropy, inside.PredictedClass.ne(test.Targets).to(ScalarType.Float64));
        ReliabilityDiagram diagram = ReliabilityDiagram.OfTopClass(inside.Mean, test.Targets, Bins, Binning.EqualMass);
        (double Entropy, double Information)[] scores = [.. outside.Select(Score)];
        return new CalibrationRow
        {
            Method = method.Name,
            Identity = identity,
            Samples = fitted.SamplesUsed(Samples),
            Accuracy = ClassificationMetrics.Accuracy(inside.Mean, test.Targets),
            NegativeLogLikelihood = ClassificationMetrics.NegativeLogLikelihood(inside, test.Targets),
            CalibrationError = ClassificationMetrics.ExpectedCalibrationError(inside.Mean, test.Targets, Bins),
            BrierScore = ClassificationMetrics.BrierScore(inside.Mean, test.Targets),
            AurocErrors = DetectionScore.Misclassification(inside.PredictiveEntropy, inside.PredictedClass, test.Targets).Auroc,
            AurocRotated = scores[0].Entropy,
            AurocNoise = scores[1].Entropy,
            AurocLetters = scores[2].Entropy,
            AurocByInformation = fitted.SamplesUsed(Samples) == 1 ? [] : [.. scores.Select(score => score.Information)],
            Temperature = temperature.Temperature,
            NegativeLogLikelihoodAfter = ClassificationMetrics.NegativeLogLikelihood(calibrated, test.Targets),
            CalibrationErrorAfter = ClassificationMetrics.ExpectedCalibrationError(calibrated, test.Targets, Bins),
            RiskCoverageArea = curve.Area,
            Risks = [.. Enumerable.Range(1, 100).Select(percent => curve.Risks[percent * curve.Risks.Count / 100 - 1])],
            Confidences = [.. diagram.Bins.Select(bin => bin.Confidence)],
            Accuracies = [.. diagram.Bins.Select(bin => bin.Frequency)],
            FitSeconds = fitSeconds,
            PredictSeconds = predictSeconds,
        };

        CategoricalPredictive Predict(Tensor inputs) => (CategoricalPredictive)fitted.Predict(inputs, Samples);

        (double, double) Score(Tensor images)
        {
            using CategoricalPredictive predictive = Predict(images);
            return (
                DetectionScore.OutOfDistribution(inside.PredictiveEntropy, predictive.PredictiveEntropy).Auroc,
                DetectionScore.OutOfDistribution(inside.MutualInformation, predictive.MutualInformation).Auroc);
        }
    }

    /// <summary>TorchSharp's layers with dropout before each but the first.</summary>
    private sealed class DropoutLayers : LayerFactory
    {
        private const double Share = 0.25;

        public override nn.Module<Tensor, Tensor> Linear(long inputs, long outputs) => nn.Sequential(nn.Dropout(Share), nn.Linear(inputs, outputs));

        public override nn.Module<Tensor, Tensor> Conv2d(long inputs, long outputs, long kernel, long padding) => nn.Conv2d(inputs, outputs, kernel, padding: padding);
    }
}
