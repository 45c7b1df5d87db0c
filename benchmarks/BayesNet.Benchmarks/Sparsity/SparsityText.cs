using System.Globalization;
using BayesNet.Benchmarks.Reporting;

namespace BayesNet.Benchmarks.Sparsity;

/// <summary>The tables and the plot of the <c>sparsity</c> report.</summary>
internal static class SparsityText
{
    public const string Deterministic = "deterministic", Sparse = "sparse variational dropout", Gaussian = "Gaussian posterior, |μ|/σ";

    private const double PublishedCompression = 68, PublishedError = 1.92;

    /// <summary>The deterministic network, then sparse variational dropout, then the Gaussian posterior.</summary>
    public static void Write(ReportDocument document, IReadOnlyList<SparsityResult> results, int training)
    {
        (SparsityResult deterministic, SparsityResult sparse, SparsityResult gaussian) = (results[0], results[1], results[2]);
        SparsityPoint paper = sparse.Points.First(point => point.Rule == "ln alpha > 3");
        SparsityPoint further = gaussian.Points.Last(point => point.Error <= gaussian.Points[0].Error + 0.25);
        document.Finding(
            $"Sparse variational dropout, ln α > 3: {Percent(paper.Error)} % error at {Number(paper.Compression, "F0")}-fold compression; before pruning {Percent(sparse.Error)} %, the deterministic "
            + $"network {Percent(deterministic.Error)} % on the same {training:N0} training rows. Published, of 60,000 training images: {PublishedError} % at {PublishedCompression}-fold.");
        document.Finding(
            $"A Gaussian posterior loses {Percent(further.Error - gaussian.Points[0].Error)} % when the {Number(further.Pruned, "F1")} % of its weights with the least |μ|/σ are pruned "
            + $"({Percent(gaussian.Points[0].Error)} % to {Percent(further.Error)} %); Blundell et al. lose 0.05 % at 95 % and 0.15 % at 98 %, of networks with 1200 units.");
        document.Paragraph(
            $"LeNet-300-100 (784-300-100-10, ReLU, {784 * 300 + 300 * 100 + 100 * 10:N0} weights) on the 10,000 MNIST test images: {training:N0} rows from the first to train on, the last "
            + $"{SparsityReport.TestRows:N0} to test. Adam from 1e-3 with a cosine to zero, batches of 128, {sparse.Epochs} epochs ({deterministic.Epochs} of the deterministic network), no augmentation. Errors are of the "
            + "network at the posterior's mean; one test image is 0.05 %, and the binomial standard error at 4 % is 0.44 %. Compression is all weights over those that are left, as Molchanov et al. "
            + $"count; biases are kept and do not count. Measured at the commits {string.Join(", ", results.Select(result => result.Identity.Commit).Distinct())}.");
        var figure = new Figure(1, panelWidth: 560);
        figure.Label(0, "LeNet-300-100", "compression factor", "test error, %");
        foreach ((SparsityResult result, int color) in new[] { (sparse, 3), (gaussian, 0) })
        {
            SparsityPoint[] points = [.. result.Points.Where(point => point.Error is > 0 and < 60 && double.IsFinite(point.Compression))];
            Figure.Line(
                figure[0], [.. points.Select(point => Math.Log10(point.Compression))], [.. points.Select(point => Math.Log10(point.Error))], Figure.Colors[color], legend: result.Method, marker: 6);
        }

        Figure.Line(figure[0], [Math.Log10(PublishedCompression)], [Math.Log10(PublishedError)], Figure.Ink, legend: "Molchanov et al. 2017, 60,000 images", marker: 9);
        Figure.Line(figure[0], [0], [Math.Log10(deterministic.Error)], Figure.Colors[2], legend: Deterministic, marker: 9);
        figure[0].ShowLegend(ScottPlot.Alignment.UpperLeft);
        document.Figure("sparsity", figure, "Test error against compression; the sparse network by its threshold on ln α, the Gaussian one by the share of its weights pruned.");
        document.Section("Sparse variational dropout");
        document.Paragraph("Gaussian weights with the log-uniform prior, its divergence by the fit of Molchanov et al.; the KL term rises from zero over the first half of the epochs.");
        Points(document, "sparse-points", sparse);
        document.Paragraph("On the way:");
        document.Table(
            "sparse-epochs",
            sparse.History,
            ("epoch", row => Number(row.Epoch, "N0")),
            ("compression at ln α > 3", row => Number(row.Compression, "F1")),
            ("error before pruning, %", row => Percent(row.Error)));
        document.Section("A Gaussian posterior pruned by |μ|/σ");
        document.Paragraph("Prior N(0, 0.1²), the KL term as above; the weights with the least |μ|/σ in the whole network are pruned.");
        Points(document, "gaussian-points", gaussian);
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
            "What differs: the papers train on 60,000 images and test on the 10,000 that are divided here, so that there is an eighth of the data to train on, the error without any pruning is twice as "
            + "high, and the KL term weighs seven and a half times as much an image, which prunes more. Molchanov et al. start from a pretrained network; Blundell et al. have larger layers and a scale "
            + "mixture prior.");
    }

    private static void Points(ReportDocument document, string key, SparsityResult result)
        => document.Table(
            key,
            result.Points,
            ("pruned where", row => row.Rule),
            ("pruned, %", row => Percent(row.Pruned)),
            ("compression", row => Number(row.Compression, "F1")),
            ("error, %", row => Percent(row.Error)));

    private static string Percent(double percent) => Number(percent, "F2");

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
