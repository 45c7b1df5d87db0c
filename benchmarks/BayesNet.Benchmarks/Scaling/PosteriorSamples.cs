using System.Globalization;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Estimators;
using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Posteriors;
using BayesNet.Prediction;
using ScottPlot;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Scaling;

/// <summary>
/// The log predictive density by S posterior samples against its closed form. Bayesian linear regression with orthogonal inputs: the exact
/// posterior has independent weights, so that a mean-field layer holds it, and what is left is the Monte Carlo error alone.
/// </summary>
internal static class PosteriorSamples
{
    private const long Inputs = 10, TrainingRows = 10, TestRows = 200;
    private const double Noise = 0.5;

    private sealed record Row(int Samples, string Estimator, double Bias, double BiasStandardError, double ExpectedBias, double StdDev, double ExpectedStdDev, double Seconds);

    /// <summary>Densities of the test rows in closed form.</summary>
    /// <param name="LogDensity">Their mean log predictive density, exact.</param>
    /// <param name="Bias">Of one sample: minus half the mean of Var[p(y|w)] / p(y)^2. Of S samples it is an S-th, to first order.</param>
    /// <param name="StdDevLocal">Of the mean log density by one sample whose noise is each row's own; of S it is less by the root of S.</param>
    /// <param name="StdDevShared">The same with weights that all rows share.</param>
    private sealed record Exact(double LogDensity, double Bias, double StdDevLocal, double StdDevShared);

    public static void Write(ReportDocument document, ReportOptions options)
    {
        int[] sizes = options.Short ? [1, 10, 100] : [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
        int repetitions = options.Short ? 100 : 1000;
        using var scope = NewDisposeScope();
        using Generator generator = new(options.Seed);
        using var likelihood = new GaussianLikelihood(learnNoise: false, noise: Noise, dtype: ScalarType.Float64);
        (Tensor mean, Tensor variance, Tensor x, Tensor y) = Posterior(generator);
        Exact exact = InClosedForm(mean, variance, x, y);
        var rows = new List<Row>();
        foreach (Estimator estimator in new[] { Estimator.LocalReparameterization, Estimator.SharedWeights })
        {
            using BayesLinear layer = Layer(mean, variance, estimator, options.Seed);
            bool local = estimator == Estimator.LocalReparameterization;
            foreach (int samples in sizes)
            {
                // Shared weights take a pass a sample: fewer repetitions of many.
                double[] errors = [.. Enumerable.Range(0, local ? repetitions : Math.Max(50, repetitions / Math.Max(1, samples / 10))).Select(_ => Error(layer, samples))];
                double bias = errors.Average(), deviation = Math.Sqrt(errors.Sum(error => (error - bias) * (error - bias)) / (errors.Length - 1));
                double seconds = Measure.Medians(options.Short ? 0.1 : 0.5, 200, () => Error(layer, samples))[0];
                rows.Add(new Row(
                    samples, local ? "local reparameterization" : "shared weights", bias, deviation / Math.Sqrt(errors.Length), exact.Bias / samples,
                    deviation, (local ? exact.StdDevLocal : exact.StdDevShared) / Math.Sqrt(samples), seconds));
            }
        }

        document.Section("Posterior samples against quality and time");
        document.Paragraph(string.Create(
            CultureInfo.InvariantCulture,
            $"Bayesian linear regression on {Inputs} orthogonal inputs and a bias, {TrainingRows + 1} observations, noise {Noise}: the posterior is a mean-field Gaussian, and the layer holds it exactly. Predictor.LogDensity, ln (1/S) Σ p(y | w_s), averaged over {TestRows} test rows, against the exact {exact.LogDensity:F4} nats a row. Bias: the mean error over repetitions, negative, since the logarithm of a mean is concave; to first order -(1/2S) Var[p(y|w)] / p(y)². Deviation: of the average over the rows from repetition to repetition; larger where all rows share their weights. First order holds from where S is well above the variance quotient, {-2 * exact.Bias:F1} here."));
        document.Figure("posterior-samples", Plot(rows), "Bias (negative, drawn without its sign) and deviation of the mean log predictive density, and the time of a call, against the number of posterior samples. Dashed: first-order theory. Bars and gaps: biases within two standard errors of 0 are left out.");
        document.Table("posterior_samples", rows,
            ("S", row => row.Samples.ToString("N0", CultureInfo.InvariantCulture)),
            ("estimator", row => row.Estimator),
            ("bias, nats", row => $"{Number(row.Bias)} ± {Number(row.BiasStandardError)}"),
            ("first order", row => Number(row.ExpectedBias)),
            ("deviation, nats", row => Number(row.StdDev)),
            ("first order", row => Number(row.ExpectedStdDev)),
            ("ms", row => Texts.Milliseconds(row.Seconds)),
            ("GPU", _ => "not measured"));
        document.Data("posterior_samples_exact", exact);
        Row? enough = rows.Find(row => Math.Abs(row.Bias) < 0.01);
        if (enough is not null)
        {
            Row most = rows.Last(row => row.Estimator == enough.Estimator);
            document.Finding(string.Create(
                CultureInfo.InvariantCulture,
                $"Of {sizes.Length} numbers of posterior samples tried, {enough.Samples} is the first with a bias of the log predictive density below 0.01 nats; it falls as 1/S, and {most.Samples:N0} samples have {Number(Math.Abs(most.Bias))}."));
        }

        double Error(BayesLinear layer, int samples)
        {
            using var inner = NewDisposeScope();
            return Predictor.LogDensity(layer, likelihood, x, y, samples).mean().item<double>() - exact.LogDensity;
        }
    }

    // Columns of length sqrt(rows), orthogonal to one another and to the bias's: X'X = rows I, and weights are independent given the data.
    private static (Tensor Mean, Tensor Variance, Tensor X, Tensor Y) Posterior(Generator generator)
    {
        long rows = TrainingRows + 1;
        Tensor first = cat([ones(rows, 1, dtype: ScalarType.Float64), Normal(generator, rows, Inputs)], 1);
        Tensor orthogonal = linalg.qr(first).Q * Math.Sqrt(rows);
        orthogonal = orthogonal * orthogonal[0, 0].sign();
        Tensor weights = Normal(generator, Inputs + 1, 1);
        Tensor observed = orthogonal.matmul(weights) + Noise * Normal(generator, rows, 1);
        double precision = rows / (Noise * Noise) + 1;
        Tensor mean = (orthogonal.transpose(0, 1).matmul(observed) / (Noise * Noise * precision)).squeeze(1);
        Tensor variance = full(Inputs + 1, 1 / precision, dtype: ScalarType.Float64);
        Tensor x = Normal(generator, TestRows, Inputs);
        Tensor y = x.matmul(weights[1..]) + weights[0] + Noise * Normal(generator, TestRows, 1);
        return (mean, variance, x, y);
    }

    private static BayesLinear Layer(Tensor mean, Tensor variance, Estimator estimator, ulong seed)
    {
        BayesLinear layer = bnn.Linear(Inputs, 1, dtype: ScalarType.Float64, options: new BayesOptions { Estimator = estimator, Seed = seed });
        using var _ = no_grad();
        Set((MeanFieldGaussian)layer.WeightPosterior, mean[1..], variance[1..]);
        Set((MeanFieldGaussian)layer.BiasPosterior!, mean[..1], variance[..1]);
        return layer;

        static void Set(MeanFieldGaussian posterior, Tensor mean, Tensor variance)
        {
            posterior.Mean.copy_(mean.reshape(posterior.Mean.shape));
            posterior.ScaleParameter.copy_((variance.log() / 2).reshape(posterior.Mean.shape));
        }
    }

    // With q = N(m, V) of the outputs f: p(y_i) = N(y_i; m_i, s^2 + V_ii), and E[p(y_i|f_i) p(y_j|f_j)] = N(y_i, y_j; m, s^2 I + V), two by two.
    private static Exact InClosedForm(Tensor mean, Tensor variance, Tensor x, Tensor y)
    {
        using var scope = NewDisposeScope();
        double noise = Noise * Noise;
        Tensor design = cat([ones(TestRows, 1, dtype: ScalarType.Float64), x], 1);
        Tensor covariance = (design * variance).matmul(design.transpose(0, 1));
        Tensor residual = y.squeeze(1) - design.matmul(mean), total = covariance.diagonal() + noise;
        Tensor logDensity = -0.5 * (residual.square() / total + total.log() + Math.Log(2 * Math.PI));

        // Two draws of one output covary by V_ii too, where i = j: [s^2 + V, V; V, s^2 + V].
        Tensor determinant = total.unsqueeze(0) * total.unsqueeze(1) - covariance.square();
        Tensor quadratic = (residual.square().unsqueeze(1) * total.unsqueeze(0) + residual.square().unsqueeze(0) * total.unsqueeze(1)
            - 2 * covariance * residual.unsqueeze(0) * residual.unsqueeze(1)) / determinant;
        Tensor logJoint = -0.5 * (quadratic + determinant.log() + 2 * Math.Log(2 * Math.PI));
        Tensor relative = (logJoint - logDensity.unsqueeze(0) - logDensity.unsqueeze(1)).exp() - 1;
        double rows = TestRows, own = relative.diagonal().sum().item<double>();
        return new Exact(logDensity.mean().item<double>(), -own / (2 * rows), Math.Sqrt(own) / rows, Math.Sqrt(relative.sum().item<double>()) / rows);
    }

    private static Tensor Normal(Generator generator, long rows, long columns) => randn(rows, columns, dtype: ScalarType.Float64, generator: generator);

    private static string Number(double value) => value.ToString(Math.Abs(value) < 0.001 ? "0.0e0" : "G3", CultureInfo.InvariantCulture);

    private static Figure Plot(List<Row> rows)
    {
        var figure = new Figure(3, 1, 320, 340);
        double[] sizes = [.. rows.Select(row => (double)row.Samples).Distinct()], ticks = [.. sizes.Where(size => Math.Log10(size) % 1 == 0)];
        figure.Label(0, "Bias", "posterior samples S", "nats a row", ticks);
        figure.Label(1, "Deviation", "posterior samples S", "", ticks);
        figure.Label(2, "Time of a call", "posterior samples S", "milliseconds", ticks);
        Row[][] estimators = [.. rows.GroupBy(row => row.Estimator).Select(group => group.ToArray())];
        for (int i = 0; i < estimators.Length; i++)
        {
            Row[] own = estimators[i];
            Color color = Figure.Colors[i == 0 ? 3 : 0];
            double[] x = [.. own.Select(row => Math.Log10(row.Samples))];
            Row[] clear = [.. own.Where(row => -row.Bias > 2 * row.BiasStandardError)];
            Figure.Line(figure[0], [.. clear.Select(row => Math.Log10(row.Samples))], [.. clear.Select(row => Math.Log10(-row.Bias))], color, legend: own[0].Estimator, marker: 6);
            Figure.Line(figure[1], x, [.. own.Select(row => Math.Log10(row.StdDev))], color, marker: 6);
            Figure.Line(figure[1], x, [.. own.Select(row => Math.Log10(row.ExpectedStdDev))], color, 1, LinePattern.Dashed);
            Figure.Line(figure[2], x, [.. own.Select(row => Math.Log10(1000 * row.Seconds))], color, marker: 6);
        }

        double[] theory = [.. estimators[0].Select(row => Math.Log10(-row.ExpectedBias))];
        Figure.Line(figure[0], [.. estimators[0].Select(row => Math.Log10(row.Samples))], theory, Figure.Ink, 1, LinePattern.Dashed, "-Var / 2S");
        figure[0].ShowLegend(Alignment.LowerLeft);
        return figure;
    }
}
