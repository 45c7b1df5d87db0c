using BayesNet.Estimators;
using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Metrics;
using BayesNet.Plotting;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Pruning;
using BayesNet.Samples.Gallery.Drawing;
using BayesNet.Samples.Shared;
using BayesNet.Training;
using ScottPlot;
using static TorchSharp.torch;

namespace BayesNet.Samples.Gallery;

/// <summary>Sparse variational dropout (Molchanov et al. 2017) against pruning by signal-to-noise ratio of Gaussian weights (Blundell et al. 2015).</summary>
internal sealed class Pruning : Sample
{
    private static readonly double[] Shares = [0, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995];

    public override string Name => "pruning";

    public override string Description => "How many weights a network needs: sparse variational dropout, error against sparsity.";

    public override IReadOnlyDictionary<string, double> Run(SampleRun run)
    {
        using var scope = NewDisposeScope();
        (Tensor images, Tensor labels) = PenStrokes.Digits(run.Short ? 400 : 3_000, run.Seed);
        long count = images.size(0), held = count / 5;
        var training = new TrainingData(images.narrow(0, 0, count - held), labels.narrow(0, 0, count - held));
        (Tensor testImages, Tensor testLabels) = (images.narrow(0, count - held, held), labels.narrow(0, count - held, held));
        Plot plot = BayesPlot.NewPlot("weights left, %", "test error, %", "784-300-100-10 on drawn digits");
        var figures = new Dictionary<string, double>();
        foreach ((int index, (string name, BayesOptions options)) in new (string, BayesOptions)[]
        {
            ("sparse variational dropout", new() { Posterior = new VariationalDropoutSpecification(), Prior = LogUniformPrior.With(LogUniformKl.Molchanov2017) }),
            ("Gaussian, by |mean| / sd", new() { Prior = GaussianPrior.WithStdDev(0.1) }),
        }.Index())
        {
            using nn.Module<Tensor, Tensor> model = Network(options);
            int epochs = run.Short ? 4 : 80;
            using (var trainer = new VariationalTrainer(model, new CategoricalLikelihood(), training.Count, new TrainerOptions
            {
                Epochs = epochs,
                BatchSize = 100,
                LearningRate = 2e-3,
                ScaleLearningRate = 3e-2,
                KlSchedule = KlSchedule.Warmup(epochs: epochs / 2.0),
                Seed = run.Seed,
            }))
            {
                trainer.Fit(training);
            }

            if (index == 0)
            {
                double before = Error(model);
                using nn.Module<Tensor, Tensor> pruned = Network(options);
                pruned.load_state_dict(model.state_dict());
                SparsityReport report = pruned.Prune(PruningRule.LogAlphaAbove(3));
                double after = Error(pruned);
                run.Say(report.ToString());
                run.Say($"pruned at ln alpha > 3: {report.Weights.CompressionFactor:F1} times fewer weights, error {before:F2} % before and {after:F2} % after");
                (figures["compression"], figures["errorBefore"], figures["errorAfter"]) = (report.Weights.CompressionFactor, before, after);
            }

            // A greater share has the smaller one in it, so that one model serves.
            double[] errors = [.. Shares.Select(share =>
            {
                model.Prune(PruningRule.LowestShare(share));
                return Error(model);
            })];
            plot.Line(Shares.Select(share => Math.Log10(100 * (1 - share))), errors, BayesPlot.Palette[index], name, marker: 5);
            run.Say($"{name,-28} error at {string.Join(", ", Shares.Zip(errors, (share, error) => FormattableString.Invariant($"{100 * share:0.#} % pruned {error:F1}")))}");
        }

        PowersOfTen.On(plot);
        plot.LegendAbove();
        Panels.Save(run.File("pruning.png"), 1, plot);
        run.Say("look at where each line leaves the ground: left of it weights are missed, right of it they were noise");
        return figures;

        double Error(nn.Module<Tensor, Tensor> model)
        {
            using IDisposable mean = model.WithEstimator(Estimator.MeanOnly);
            using var inner = NewDisposeScope();
            using var _ = no_grad();
            return 100 * (1 - ClassificationMetrics.Accuracy(model.call(testImages).softmax(1), testLabels));
        }
    }

    private static nn.Module<Tensor, Tensor> Network(BayesOptions options) => nn.Sequential(
        ("flatten", nn.Flatten()),
        ("hidden1", bnn.Linear(784, 300, options: options)),
        ("relu1", nn.ReLU()),
        ("hidden2", bnn.Linear(300, 100, options: options)),
        ("relu2", nn.ReLU()),
        ("output", bnn.Linear(100, 10, options: options)));
}
