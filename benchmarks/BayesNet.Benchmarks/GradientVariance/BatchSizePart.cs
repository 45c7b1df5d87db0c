using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Benchmarks.StepTime;
using BayesNet.Estimators;
using BayesNet.Runtime;
using ScottPlot;
using static TorchSharp.torch;
using Figure = BayesNet.Benchmarks.Reporting.Figure;

namespace BayesNet.Benchmarks.GradientVariance;

/// <summary>The variance of the noise at a fixed minibatch, over its size: shared noise stops improving.</summary>
internal sealed class BatchSizePart : VariancePart
{
    private const string Layer = "linear layer", Network = "network", Shape = "20-50-50-10";
    private const int Inputs = 32, Channels = 64;

    public override string Name => "batch-size";

    public override void Measure(VarianceRows rows, VarianceContext context)
    {
        long[] sizes = context.IsShort ? [1, 16, 256] : [.. Enumerable.Range(0, 13).Select(i => 1L << i)];
        (int passes, int draws) = context.IsShort ? (30, 30) : (60, 80);
        using var scope = NewDisposeScope();
        var problems = sizes.ToDictionary(size => size, Problem);
        using var network = new TrainedNetwork(StepTimeShape.Parse(Shape), rows.Settings);
        foreach (Contender contender in Contender.Single)
        {
            rows.Measure(Name, Layer, contender.Name, () => sizes.SelectMany(size => OfLayer(rows, problems[size], contender, size, passes)).ToList());
            rows.Measure(Name, Network, contender.Name, () => sizes.SelectMany(size => OfNetwork(rows, network, contender, size, draws)).ToList());
        }
    }

    public override void Write(ReportDocument document, VarianceRows rows, VarianceContext context)
    {
        IReadOnlyList<VarianceRow> own = rows.Of(Name);
        document.Section("Variance against batch size: where shared noise stops improving");
        if (Missing(document, own, Contender.Single.All(one => rows.Has(Name, Layer, one.Name) && rows.Has(Name, Network, one.Name))))
            return;
        string[] gradients = [.. own.Select(row => row.Gradient).Distinct()];
        double[] sizes = [.. own.Select(row => row.Setting!.Value).Distinct().Order()];
        document.Paragraph(string.Create(
            CultureInfo.InvariantCulture,
            $"The noise's variance at the minibatch of the first B rows, loss averaged over the batch, mean over the entries of the gradient. Linear layer: {Inputs} inputs, squared loss, float64, with its closed forms. Network: {TrainedNetwork.Describe(StepTimeShape.Parse(Shape), rows.Settings.Short)}, float32."));
        document.Figure(
            "batch-size", Plot(own, gradients, sizes),
            "Variance of the gradient against the batch size. Points: measured, with bars of two standard errors where they exceed the marks; lines: closed form for the linear layer, through the points for the network. Dotted: 1/B through local reparameterization's last point.");
        foreach ((string @case, string gradient) in Curves(own))
        {
            document.Paragraph($"{Capital(@case)}, gradient in {gradient}:");
            document.Table($"batch_size_{(@case == Layer ? "layer" : "network")}_{(gradient == "μ" ? "mu" : "sigma")}", sizes,
            [
                ("B", size => size.ToString("N0", CultureInfo.InvariantCulture)),
                .. Contender.Single.Select(contender => (contender.Name, (Func<double, string>)(size => Cell(Find(own, @case, gradient, contender, size))))),
                ("shared / local", size => Number(Find(own, @case, gradient, Contender.Shared, size).Value / Find(own, @case, gradient, Contender.Local, size).Value, 3)),
            ]);
        }

        document.Paragraph("Closed forms in brackets. " + Summary(own));
        foreach ((string @case, string gradient) in Curves(own))
            document.Paragraph(Conclusion(own, @case, gradient, sizes));
    }

    private static IEnumerable<(string Case, string Gradient)> Curves(IReadOnlyList<VarianceRow> own)
        => own.Select(row => (row.Case, row.Gradient)).Distinct().OrderBy(curve => curve.Case, StringComparer.Ordinal);

    // What the numbers say of a curve: by how much each estimator gains over the upper half of the batch sizes, and from where shared noise gains no more than twice.
    private static string Conclusion(IReadOnlyList<VarianceRow> own, string @case, string gradient, double[] sizes)
    {
        double from = sizes[sizes.Length / 2], to = sizes[^1];
        double[] tail = [.. sizes.Where(size => size >= from)];
        string slopes = string.Join(", ", Contender.Single.Select(contender => string.Create(
            CultureInfo.InvariantCulture,
            $"{contender.Name} B^{Reporting.Measure.LogSlope(tail, [.. tail.Select(size => Find(own, @case, gradient, contender, size).Value)]):F2}")));
        double last = Find(own, @case, gradient, Contender.Shared, to).Value;
        double stop = sizes.First(size => Find(own, @case, gradient, Contender.Shared, size).Value < 2 * last);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{Capital(@case)}, {gradient}: from B = {from:N0} to {to:N0} the variance goes as {slopes}. Shared weights at B = {stop:N0} are within a factor of two of what they reach at {to:N0}; there they have {Number(last / Find(own, @case, gradient, Contender.Local, to).Value, 3)} times the variance of local reparameterization.");
    }

    private static string Capital(string text) => char.ToUpperInvariant(text[0]) + text[1..];

    private static string Cell(VarianceRow row) => row.Exact is { } exact ? $"{WithError(row)} ({Number(exact)})" : WithError(row);

    private static VarianceRow Find(IReadOnlyList<VarianceRow> rows, string @case, string gradient, Contender contender, double size)
        => rows.Single(row => row.Case == @case && row.Gradient == gradient && row.Estimator == contender.Name && row.Setting == size);

    private static SquaredLossProblem Problem(long size)
    {
        using var noise = new NoiseSource(7);
        Tensor Normal(params long[] shape) => noise.Normal(shape, ScalarType.Float64, CPU);
        Tensor mu = Normal(Inputs).Times(1 / Math.Sqrt(Inputs)), sigma = Normal(Inputs).Times(0.4).exp().Times(0.2);
        Tensor input = Normal(TrainedNetwork.Rows, Inputs), target = input.mv(mu).Plus(Normal(TrainedNetwork.Rows));
        return SquaredLossProblem.Linear(input.narrow(0, 0, size).contiguous(), target.narrow(0, 0, size), mu, sigma, Channels);
    }

    private static IEnumerable<VarianceRow> OfLayer(VarianceRows rows, SquaredLossProblem problem, Contender contender, long size, int passes)
    {
        using var scope = NewDisposeScope();
        using var noise = new NoiseSource(rows.Settings.Seed);
        var (mu, sigma) = problem.Draw(contender, passes, noise);
        (Tensor muVariance, Tensor sigmaVariance) = problem.Variances(contender);
        foreach ((string gradient, Tensor squares, Tensor variance) in new[] { ("μ", mu.Square, muVariance), ("σ", sigma.Square, sigmaVariance) })
        {
            using Tensor perPass = squares.mean([1]);
            double value = perPass.mean().item<double>(), error = perPass.std().item<double>() / Math.Sqrt(passes), exact = variance.mean().item<double>();
            yield return Row(rows, gradient, size, value, (long)passes * Channels) with
            {
                StandardError = error,
                Exact = exact,
                Z = VarianceRow.ZScore(value, error, exact),
            };
        }
    }

    private static IEnumerable<VarianceRow> OfNetwork(VarianceRows rows, TrainedNetwork network, Contender contender, long size, int draws)
        => network.Variances(contender, size, draws, rows.Settings.Seed)
            .Zip(TrainedNetwork.GradientNames, (found, name) => Row(rows, name, size, found.Variance, draws) with { StandardError = found.StandardError });

    private static Figure Plot(IReadOnlyList<VarianceRow> own, string[] gradients, double[] sizes)
    {
        (string Case, string Gradient)[] curves = [.. Curves(own)];
        var figure = new Figure(2, curves.Length / 2);
        double[] x = [.. sizes.Select(Math.Log10)];
        for (int panel = 0; panel < curves.Length; panel++)
        {
            (string @case, string gradient) = curves[panel];
            figure.Label(
                panel, $"{Capital(@case)}, gradient in {gradient}", panel >= curves.Length - 2 ? "batch size" : "", panel % 2 == 0 ? "variance of the gradient" : "",
                sizes.Length > 6 ? [1, 4, 16, 64, 256, 1024, 4096] : sizes);
            double last = Math.Log10(Find(own, @case, gradient, Contender.Local, sizes[^1]).Value);
            Figure.Line(figure[panel], [x[0], x[^1]], [last + x[^1] - x[0], last], Figure.Ink, 1, LinePattern.Dotted);
            foreach (Contender contender in Contender.Single.Reverse())
            {
                VarianceRow[] points = [.. sizes.Select(size => Find(own, @case, gradient, contender, size))];
                Figure.Line(figure[panel], x, [.. points.Select(row => Math.Log10(row.Exact ?? row.Value))], contender.Color);
                GradientVariance.Curves.Points(figure[panel], points, contender.Color, panel == 0 ? contender.Name : "");
            }
        }

        figure[0].ShowLegend(Alignment.LowerLeft);
        return figure;
    }
}
