using System.CommandLine;
using BayesNet.Metrics;
using BayesNet.Plotting;
using BayesNet.Samples.Shared;
using static TorchSharp.torch;
using static TorchSharp.torch.utils.data;

namespace BayesNet.Samples.Gallery;

/// <summary>The program of Plain.cs, and the same in Bayesian.cs, nine lines apart: what they say of the same held-out digits.</summary>
internal sealed class OwnModel : Sample
{
    // So that some digits can't be told apart: on digits that all can, every network is as sure as it is right.
    private const double Wobble = 0.25;

    private readonly Option<DirectoryInfo> _data = IdxFiles.Option();

    public override string Name => "own-model";

    public override string Description => "A program in plain TorchSharp, with a network class and a training loop of its own, made Bayesian and calibrated in nine lines.";

    public override IReadOnlyList<Option> Options => [_data];

    public override IReadOnlyDictionary<string, double> Run(SampleRun run)
    {
        using var scope = NewDisposeScope();
        (Tensor images, Tensor labels) = IdxFiles.ReadOrDraw(run.CommandLine.GetValue(_data), run.Short ? 600 : 2_400, run.Seed, Wobble);
        long count = images.size(0), held = count / 3, rows = count - 2 * held;
        var trainingSet = new TensorSet(images.narrow(0, 0, rows), labels.narrow(0, 0, rows));
        (Tensor, Tensor) validation = (images.narrow(0, rows, held), labels.narrow(0, rows, held));
        (Tensor test, Tensor truth) = (images.narrow(0, rows + held, held), labels.narrow(0, rows + held, held));
        int epochs = run.Short ? 2 : 20;
        using var train = new TorchSharp.Modules.DataLoader(trainingSet, 64, shuffle: true);

        ReliabilityDiagram plain = Score("plain", Digits.Plain.Program.Run(train, trainingSet, validation, test, epochs));
        ReliabilityDiagram bayesian = Score("Bayesian", Digits.Bayesian.Program.Run(train, trainingSet, validation, test, epochs));
        Panels.Save(run.File("own-model.png"), 2, plain.ToPlot(), bayesian.ToPlot());
        run.Say($"look at the bars: where they fall below the diagonal the network is surer than it is right; and at the two programs, {nameof(OwnModel)}/Plain.cs and Bayesian.cs, nine lines apart");
        return new Dictionary<string, double> { ["plain"] = plain.ExpectedCalibrationError, ["bayesian"] = bayesian.ExpectedCalibrationError };

        ReliabilityDiagram Score(string name, Tensor logProbabilities)
        {
            Tensor probabilities = logProbabilities.exp();
            ReliabilityDiagram diagram = ReliabilityDiagram.OfTopClass(probabilities, truth, 10, Binning.EqualMass);
            run.Say($"{name,-10} accuracy {ClassificationMetrics.Accuracy(probabilities, truth):F3}, negative log likelihood {nn.functional.nll_loss(logProbabilities, truth).item<float>():F3}, calibration error {diagram.ExpectedCalibrationError:F3}");
            return diagram;
        }
    }

    private sealed class TensorSet(Tensor images, Tensor labels) : Dataset
    {
        public override long Count => images.size(0);

        public override Dictionary<string, Tensor> GetTensor(long index) => new() { ["data"] = images[index], ["label"] = labels[index] };
    }
}
