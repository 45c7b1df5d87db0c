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
    private const int TrainingRows = 8000, TestRows = 2000;
    private const string Sparse = "sparse variational dropout", Gaussian = "Gaussian posterior";
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
        int training = options.Short ? 1000 : TrainingRows;
        int epochs = options.Short ? 3 : 200;
        document.Paragraph(
            $"LeNet-300-100 (784-300-100-10, ReLU, {784 * 300 + 300 * 100 + 100 * 10:N0} weights) on the 10,000 MNIST test images: {training:N0} rows from the first to train on, the last "
            + $"{TestRows:N0} to test. Adam from 1e-3 with a cosine to zero, batches of 128, {epochs} epochs, no augmentation. Errors are of the network at the posterior's mean; one test image is "
            + "0.05 %, and a binomial standard error at 3 % is 0.38 %. Compression is all weights over those that are left, as Molchanov et al. count; biases are kept and do not count.");
        document.Part("deterministic", () => Deterministic(document, digits, training, options));
        document.Part("sparse", () => SparseVariationalDropout(document, digits, training, epochs, options));
        document.Part("gaussian", () => GaussianPosterior(document, digits, training, epochs, options));
        document.Part("published", () => Published(document));
    }

    private static void Deterministic(ReportDocument document, Digits digits, int training, ReportOptions options)
    {
        using var network = new SparsityNetwork(digits, training, TestRows, null, options.Seed);
        network.Fit(new TrainerOptions { Epochs = options.Short ? 3 : 60, PointPrior = 0.2 });
        double error = network.Error();
        document.Section("The network without pruning");
        document.Data("deterministic-error", error);
        document.Paragraph($"Deterministic, trained to the maximum a posteriori under N(0, 0.2²), 60 epochs: {Percent(error)} % error. It is the measure of what these rows admit.");
    }

    private static void SparseVariationalDropout(ReportDocument document, Digits digits, int training, int epochs, ReportOptions options)
    {
        // Biases are neither pruned nor shrunk to nothing: they have a proper prior.
        var bayes = new BayesOptions
        {
            Posterior = new MeanFieldGaussianSpecification { InitialStdDev = Math.Exp(-5) },
            Prior = LogUniformPrior.With(LogUniformKl.Molchanov2017),
            BiasPrior = GaussianPrior.WithStdDev(1),
        };
        using var network = new SparsityNetwork(digits, training, TestRows, bayes, options.Seed);
        var history = new List<SparsityEpoch>();
        network.Fit(
            new TrainerOptions { Epochs = epochs, KlSchedule = KlSchedule.Warmup(0.5 * epochs) },
            epoch =>
            {
                if (epoch % Math.Max(1, epochs / 20) == 0 || epoch == 1)
                {
                    history.Add(new SparsityEpoch(epoch, Noise(network.Model), network.Error()));
                    Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  epoch {epoch}: compression {history[^1].Compression:F1}, error {history[^1].Error:F2} %"));
                }
            });
        double whole = network.Error();
        IReadOnlyList<SparsityPoint> points = network.Curve(Sparse, [.. new[] { 6.0, 5, 4, 3, 2, 1, 0, -1, -2 }.Select(PruningRule.LogAlphaAbove)]);
        SparsityPoint paper = points[3];
        document.Section("Sparse variational dropout");
        document.Finding(
            $"Sparse variational dropout at ln α > 3: {Percent(paper.Error)} % error at {Number(paper.Compression, "F0")}-fold compression ({Percent(whole)} % before pruning); published, on 60,000 training "
            + "images: 1.92 % at 68-fold.");
        document.Paragraph($"Gaussian weights with the log-uniform prior, its divergence by the fit of Molchanov et al.; the KL term rises from zero over the first {epochs / 2} epochs. {Percent(whole)} % error before pruning.");
        Write(document, "sparse-points", points);
        document.Paragraph("On the way, at ln α > 3:");
        document.Table(
            "sparse-epochs",
            history,
            ("epoch", row => Number(row.Epoch, "N0")),
            ("compression", row => Number(row.Compression, "F1")),
            ("error before pruning, %", row => Percent(row.Error)));
        Plot(document, "sparsity-sparse", points, "Sparse variational dropout: test error against compression, by the threshold on ln α.");
    }

    private static void GaussianPosterior(ReportDocument document, Digits digits, int training, int epochs, ReportOptions options)
    {
        var bayes = new BayesOptions { Posterior = new MeanFieldGaussianSpecification { InitialStdDev = 0.02 }, Prior = GaussianPrior.WithStdDev(0.1) };
        using var network = new SparsityNetwork(digits, training, TestRows, bayes, options.Seed);
        network.Fit(new TrainerOptions { Epochs = Math.Max(1, epochs / 2), KlSchedule = KlSchedule.Warmup(0.25 * epochs) });
        double whole = network.Error();
        IReadOnlyList<SparsityPoint> points = network.Curve(Gaussian, [.. new[] { 0, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995 }.Select(share => PruningRule.LowestShare(share))]);
        document.Section("A Gaussian posterior pruned by |μ|/σ");
        document.Finding(
            $"A Gaussian posterior keeps its error of {Percent(whole)} % down to {Number(points.Where(point => point.Error <= whole + 0.5).Max(point => point.Pruned), "F1")} % of its weights pruned by |μ|/σ "
            + "(half a percent more at the most); Blundell et al. lose 0.15 % at 98 %, of networks with 1200 units.");
        document.Paragraph($"Prior N(0, 0.1²), {Math.Max(1, epochs / 2)} epochs, the weights with the least |μ|/σ in the whole network pruned.");
        Write(document, "gaussian-points", points);
        Plot(document, "sparsity-gaussian", points, "A Gaussian posterior: test error against compression, by the share of weights pruned.");
    }

    private static void Published(ReportDocument document)
    {
        document.Section("Beside the papers");
        document.Table(
            "published",
            new[]
            {
                ("Molchanov et al. 2017, LeNet-300-100", "98.5", "68", "1.92"),
                ("Blundell et al. 2015, 2 x 1200", "0", "1", "1.24"),
                ("Blundell et al. 2015, 2 x 1200", "75", "4", "1.24"),
                ("Blundell et al. 2015, 2 x 1200", "95", "20", "1.29"),
                ("Blundell et al. 2015, 2 x 1200", "98", "50", "1.39"),
            },
            ("published", row => row.Item1),
            ("pruned, %", row => row.Item2),
            ("compression", row => row.Item3),
            ("error, %", row => row.Item4));
        document.Paragraph(
            "What differs: the papers train on 60,000 images and test on the 10,000 that are divided here, so that each image here is trained on with an eighth of the data and the KL term weighs seven and a half "
            + "times as much an image. Molchanov et al. start from a pretrained network and train longer; Blundell et al. have larger layers and a scale mixture prior.");
    }

    private static void Write(ReportDocument document, string key, IReadOnlyList<SparsityPoint> points)
        => document.Table(
            key,
            points,
            ("pruned where", row => row.Rule),
            ("pruned, %", row => Percent(row.Pruned)),
            ("compression", row => Number(row.Compression, "F1")),
            ("error, %", row => Percent(row.Error)));

    private static void Plot(ReportDocument document, string key, IReadOnlyList<SparsityPoint> points, string caption)
    {
        var figure = new Figure(1);
        SparsityPoint[] drawn = [.. points.Where(point => double.IsFinite(point.Compression) && point.Error > 0)];
        figure.Label(0, points[0].Method, "compression factor", "test error, %");
        Figure.Line(
            figure[0], [.. drawn.Select(point => Math.Log10(point.Compression))], [.. drawn.Select(point => Math.Log10(point.Error))], Figure.Colors[3], marker: 6);
        document.Figure(key, figure, caption);
    }

    /// <summary>The compression that pruning at ln alpha > 3 would give now.</summary>
    private static double Noise(nn.Module model)
    {
        using var scope = NewDisposeScope();
        double total = 0, kept = 0;
        foreach (BayesLinear layer in model.children().OfType<BayesLinear>())
        {
            Tensor ratio = layer.WeightPosterior.SignalToNoise();
            total += ratio.numel();
            kept += ratio.ge(Math.Exp(-1.5)).sum().item<long>();
        }

        return total / kept;
    }

    private static string Percent(double percent) => Number(percent, "F2");

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);

    private sealed record SparsityEpoch(int Epoch, double Compression, double Error);
}
