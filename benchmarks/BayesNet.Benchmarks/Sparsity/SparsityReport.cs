using System.CommandLine;
using System.Globalization;
using BayesNet.Benchmarks.GradientVariance;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Layers;
using BayesNet.Posteriors;
using BayesNet.Priors;
using BayesNet.Pruning;
using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Sparsity;

/// <summary>
/// How many weights of LeNet-300-100 a posterior says are noise, and what leaving them out costs: sparse variational dropout (Molchanov et al.
/// 2017), and pruning a Gaussian posterior by its signal-to-noise ratios (Blundell et al. 2015).
/// </summary>
internal sealed class SparsityReport : Report
{
    internal const int TrainingRows = 8000, TestRows = 2000;
    private static readonly Option<DirectoryInfo> DataFolder = new(DataOption) { Description = "The folder with mnist10k in it. Default: BAYESNET_DATA." };

    public override string Name => "sparsity";

    public override string Title => "Sparsity: weights that the posterior says are noise";

    public override string Description => "LeNet-300-100 on MNIST rows: test error against compression, by sparse variational dropout and by pruning a Gaussian posterior.";

    protected override bool NeedsData => true;

    protected override IReadOnlyList<Option> Options => [DataFolder];

    protected override void Write(ReportDocument document, ReportOptions options)
    {
        using var scope = NewDisposeScope();
        Digits digits = Digits.Load(Digits.Folder(options.CommandLine.GetValue(DataFolder)), TrainingRows + TestRows);
        int training = options.Short ? 1000 : TrainingRows, epochs = options.Short ? 3 : 200;
        var methods = new Dictionary<string, Func<SparsityResult>>
        {
            [SparsityText.Deterministic] = () => Fit(digits, training, null, epochs, new TrainerOptions { PointPrior = 0.2 }, [], document.Identity),

            // Biases are neither pruned nor shrunk to nothing: they have a proper prior.
            [SparsityText.Sparse] = () => Fit(
                digits,
                training,
                new BayesOptions
                {
                    Posterior = new MeanFieldGaussianSpecification { InitialStdDev = Math.Exp(-5) },
                    Prior = LogUniformPrior.With(LogUniformKl.Molchanov2017),
                    BiasPrior = GaussianPrior.WithStdDev(1),
                },
                epochs,
                new TrainerOptions { KlSchedule = KlSchedule.Warmup(0.5 * epochs) },
                [.. new[] { 6.0, 5, 4, 3, 2, 1, 0, -1, -2 }.Select(PruningRule.LogAlphaAbove)],
                document.Identity),
            [SparsityText.Gaussian] = () => Fit(
                digits,
                training,
                new BayesOptions { Posterior = new MeanFieldGaussianSpecification { InitialStdDev = 0.02 }, Prior = GaussianPrior.WithStdDev(0.1) },
                epochs,
                new TrainerOptions { KlSchedule = KlSchedule.Warmup(0.5 * epochs) },
                [.. new[] { 0, 0.5, 0.75, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995 }.Select(share => PruningRule.LowestShare(share))],
                document.Identity),
        };

        ResultLines<SparsityResult> results = document.Lines<SparsityResult>("methods", row => row.Identity);
        foreach ((string name, Func<SparsityResult> measure) in methods)
        {
            bool kept = results.Rows.Any(row => row.Method == name);
            Console.Error.WriteLine($"{name}{(kept ? ": kept" : "")}");
            if (!kept)
                results.Add(measure() with { Method = name });
        }

        SparsityText.Write(document, [.. methods.Keys.Select(name => results.Rows.Last(row => row.Method == name))], training);
    }

    private static SparsityResult Fit(Digits digits, int training, BayesOptions? bayes, int epochs, TrainerOptions options, PruningRule[] rules, RunIdentity identity)
    {
        using var network = new SparsityNetwork(digits, training, TestRows, bayes, identity.Seed);
        var history = new List<SparsityEpoch>();
        network.Fit(options with { Epochs = epochs }, epoch =>
        {
            if (bayes is not null && (epoch % Math.Max(1, epochs / 20) == 0 || epoch == 1))
            {
                history.Add(new SparsityEpoch(epoch, Noise(network.Model), network.Error()));
                Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  epoch {epoch}: compression {history[^1].Compression:F1}, error {history[^1].Error:F2} %"));
            }
        });
        return new SparsityResult
        {
            Method = "",
            Identity = identity,
            Epochs = epochs,
            Error = network.Error(),
            Points = network.Curve(rules),
            History = [.. history],
        };
    }

    /// <summary>The compression that pruning at ln alpha > 3 would give now.</summary>
    private static double Noise(nn.Module model)
    {
        using var scope = NewDisposeScope();
        using TorchSharp.Scalar least = Math.Exp(-1.5);
        double total = 0, kept = 0;
        foreach (BayesLinear layer in model.children().OfType<BayesLinear>())
        {
            Tensor ratio = layer.WeightPosterior.SignalToNoise();
            total += ratio.numel();
            kept += ratio.ge(least).sum().item<long>();
        }

        return total / kept;
    }
}
