using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Reparameterization;
using ScottPlot;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Scaling;

/// <summary>How near a low-rank-plus-diagonal Gaussian comes to correlated Gaussian targets: the least KL(q || p) against the rank.</summary>
internal static class RankFit
{
    private const long Size = 64;
    private const int Factors = 5;

    private sealed record Row(int Rank, string Target, double Divergence, double MeanField, int Parameters);

    public static void Write(ReportDocument document, ReportOptions options)
    {
        int steps = options.Short ? 400 : 2000;
        int[] ranks = options.Short ? [0, 2, 5] : [0, 1, 2, 3, 4, 5, 8, 16, 32, 63];
        var rows = new List<Row>();
        using (var scope = NewDisposeScope())
        {
            using Generator generator = new(options.Seed);
            foreach ((string name, Tensor covariance) in Targets(generator))
            {
                Tensor precision = linalg.inv(covariance), root = linalg.cholesky(precision);
                double logDeterminant = 2 * root.diagonal().log().sum().item<double>();

                // The best mean field has the precisions p's own conditionals have: sigma_i^2 = 1 / (Sigma^-1)_ii.
                double meanField = 0.5 * (precision.diagonal().log().sum().item<double>() - logDeterminant);
                foreach (int rank in ranks)
                    rows.Add(new Row(rank, name, Fit(root, logDeterminant, rank, steps, generator), meanField, (int)(Size * (2 + rank))));
            }
        }

        string[] targets = [.. rows.Select(row => row.Target).Distinct()];
        document.Section("Rank against fit");
        document.Paragraph(string.Create(
            CultureInfo.InvariantCulture,
            $"Gaussian targets p of {Size} correlated entries; q = N(0, diag(D) + P P') fitted to the least KL(q || p), which has a closed form here, by {steps:N0} steps of Adam in float64. factors: {Factors} common factors and independent noise, which rank {Factors} fits exactly. smooth: covariance exp(-|i - j| / 10). regression: the posterior of linear weights given {Size / 2} noisy observations of correlated inputs. Rank 0 is mean field, whose least divergence is ½(Σ ln Λ_ii - ln det Λ), Λ the precision; the full covariance's is 0, with {Size * (Size + 3) / 2:N0} parameters."));
        document.Figure("rank-fit", Plot(rows, targets), "KL divergence in nats of the best fit against the rank. Dashed: mean field in closed form, which rank 0 has to meet. Divergences below 1e-6 are not shown.");
        document.Table("rank_fit", rows,
            ("target", row => row.Target),
            ("rank", row => row.Rank.ToString(CultureInfo.InvariantCulture)),
            ("parameters", row => row.Parameters.ToString("N0", CultureInfo.InvariantCulture)),
            ("KL, nats", row => Nats(row.Divergence)),
            ("of mean field's, %", row => (100 * row.Divergence / row.MeanField).ToString("F1", CultureInfo.InvariantCulture)),
            ("mean field, closed form", row => row.Rank == 0 ? Nats(row.MeanField) : ""));
        foreach (string target in targets)
        {
            Row[] own = [.. rows.Where(row => row.Target == target)];
            Row? tenth = Array.Find(own, row => row.Divergence < 0.1 * row.MeanField);
            document.Finding(string.Create(
                CultureInfo.InvariantCulture,
                $"Target {target}: mean field's divergence is {own[0].MeanField:F1} nats; {(tenth is null ? $"rank {own[^1].Rank} still has {100 * own[^1].Divergence / own[^1].MeanField:F0} % of it" : $"rank {tenth.Rank} has less than a tenth of it")}."));
        }
    }

    private static (string Name, Tensor Covariance)[] Targets(Generator generator)
    {
        Tensor factors = Normal(generator, Size, Factors);
        Tensor index = arange(Size, dtype: ScalarType.Float64);
        Tensor smooth = (-(index.unsqueeze(0) - index.unsqueeze(1)).abs() / 10).exp();
        Tensor inputs = Normal(generator, Size / 2, Size).matmul(linalg.cholesky(smooth).transpose(0, 1));
        Tensor identity = eye(Size, dtype: ScalarType.Float64);
        return
        [
            ("factors", factors.matmul(factors.transpose(0, 1)) + 0.1 * identity),
            ("smooth", smooth),
            ("regression", linalg.inv(inputs.transpose(0, 1).matmul(inputs) / 0.25 + identity)),
        ];
    }

    private static double Fit(Tensor root, double logDeterminant, int rank, int steps, Generator generator)
    {
        using var scope = NewDisposeScope();
        Tensor conditional = root.matmul(root.transpose(0, 1)).diagonal().log() * -0.5;
        using var logScale = new Parameter(conditional.clone());
        using var factor = new Parameter(Normal(generator, Size, Math.Max(rank, 1)) * (rank > 0 ? 0.1 : 0), requires_grad: rank > 0);
        Tensor location = zeros(Size, dtype: ScalarType.Float64);
        using optim.Optimizer optimizer = optim.Adam(rank > 0 ? [logScale, factor] : [logScale], 0.03);
        double divergence = double.NaN;
        for (int step = 0; step < steps; step++)
        {
            using var inner = NewDisposeScope();

            // A rate that falls to nothing along a half-cosine: the divergence is exact, and so is where it ends.
            foreach (var group in optimizer.ParamGroups)
                group.LearningRate = 0.015 * (1 + Math.Cos(Math.PI * step / steps));
            optimizer.zero_grad();
            Tensor loss = Divergence(root, logDeterminant, location, logScale, factor);
            loss.backward();
            optimizer.step();
            divergence = loss.item<double>();
        }

        return divergence;
    }

    // KL(q || p) = -H(q) + 1/2 [tr(Lambda Sigma_q) + d ln 2 pi - ln det Lambda], Lambda = R R'.
    private static Tensor Divergence(Tensor root, double logDeterminant, Tensor location, Tensor logScale, Tensor factor)
    {
        Tensor diagonal = (2 * logScale).exp();
        var q = new LowRankGaussianDistribution(location, diagonal, factor);
        Tensor trace = (root.square() * diagonal.unsqueeze(1)).sum() + root.transpose(0, 1).matmul(factor).square().sum();
        return 0.5 * (trace + (Size * Math.Log(2 * Math.PI) - logDeterminant)) - q.Entropy();
    }

    private static Tensor Normal(Generator generator, long rows, long columns) => randn(rows, columns, dtype: ScalarType.Float64, generator: generator);

    private static string Nats(double value) => value.ToString(Math.Abs(value) < 0.01 ? "0.0e0" : "G4", CultureInfo.InvariantCulture);

    private static Figure Plot(List<Row> rows, string[] targets)
    {
        // A logarithmic axis has no 0: rank 0 stands where a half would.
        const double zero = 0.49;
        var figure = new Figure(1, 1, 560, 380);
        double[] ranks = [.. rows.Select(row => row.Rank == 0 ? zero : row.Rank).Distinct()];
        figure.Label(0, "Least divergence against rank", "rank (0: mean field)", "KL(q || p), nats", ranks);
        for (int i = 0; i < targets.Length; i++)
        {
            Row[] own = [.. rows.Where(row => row.Target == targets[i] && row.Divergence > 1e-6)];
            double meanField = Math.Log10(own[0].MeanField);
            Figure.Line(figure[0], [.. own.Select(row => Math.Log10(row.Rank == 0 ? zero : row.Rank))], [.. own.Select(row => Math.Log10(row.Divergence))], Figure.Colors[i == 1 ? 3 : i], legend: targets[i], marker: 6);
            Figure.Line(figure[0], [Math.Log10(zero), Math.Log10(ranks[^1])], [meanField, meanField], Figure.Colors[i == 1 ? 3 : i], 1, LinePattern.Dashed);
        }

        figure[0].ShowLegend(Alignment.LowerLeft);
        return figure;
    }
}
