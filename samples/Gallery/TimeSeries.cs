using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Metrics;
using BayesNet.Plotting;
using BayesNet.Posteriors;
using BayesNet.Prediction;
using BayesNet.Samples.Shared;
using BayesNet.Training;
using ScottPlot;
using static TorchSharp.torch;

namespace BayesNet.Samples.Gallery;

/// <summary>A Bayesian LSTM reads two days of an hourly series and forecasts the third: fans where it knows the pattern, and where it never saw it.</summary>
internal sealed class TimeSeries : Sample
{
    private const int Past = 48, Future = 24;

    public override string Name => "time-series";

    public override string Description => "A Bayesian LSTM forecasts a seasonal series, with fans: of a pattern it knows, and of one it never saw.";

    public override IReadOnlyDictionary<string, double> Run(SampleRun run)
    {
        using var scope = NewDisposeScope();
        var draw = new Random(run.SmallSeed);
        int windows = run.Short ? 200 : 1_500;
        (Tensor past, Tensor future) = Windows(Series(windows + Past + Future + 400, draw));
        long held = 300, kept = past.size(0) - held - Past - Future;
        var training = new TrainingData(past.narrow(0, 0, kept), future.narrow(0, 0, kept));

        // A gap between the two, so that no held-out window overlaps one that was trained on.
        (Tensor testPast, Tensor testFuture) = (past.narrow(0, past.size(0) - held, held), future.narrow(0, past.size(0) - held, held));
        using var model = new Forecaster();
        using var trainer = new VariationalTrainer(model, new GaussianLikelihood([.. Enumerable.Repeat(0.5, Future)]), kept, new TrainerOptions
        {
            Epochs = run.Short ? 2 : 40,
            BatchSize = 64,
            LearningRate = 5e-3,
            MaxGradientNorm = 5,
            KlSchedule = KlSchedule.Warmup(epochs: 10),
            Seed = run.Seed,
        });
        trainer.Fit(training);

        using Predictive known = trainer.Predict(testPast, 100);
        (Tensor lower, Tensor upper) = known.Interval(0.9);
        double coverage = RegressionMetrics.IntervalCoverage(lower, upper, testFuture), rmse = RegressionMetrics.Rmse(known.Mean, testFuture);

        // A season of another length and size, as the network never saw it.
        double[] strange = [.. Enumerable.Range(0, Past + Future).Select(t => 2.2 * Math.Sin(2 * Math.PI * t / 9))];
        using Predictive unknown = trainer.Predict(tensor([.. strange.Take(Past).Select(value => (float)value)]).reshape(1, Past, 1), 100);
        double usual = known.Epistemic.mean().item<float>(), unusual = unknown.Epistemic.mean().item<float>();
        double[] shown = [.. testPast[0].flatten().to(ScalarType.Float64).data<double>(), .. testFuture[0].to(ScalarType.Float64).data<double>()];
        Panels.Save(run.File("time-series.png"), 1, Fan(known, shown, "Held-out days"), Fan(unknown, strange, "A pattern that it never saw"));
        run.Say($"{kept} windows trained on, {held} held out: RMSE {rmse:F3}, 90 % intervals hold {100 * coverage:F0} % of the hours");
        run.Say($"epistemic standard deviation {usual:F2} on held-out days, {unusual:F2} on the pattern that it never saw");
        run.Say($"look at the fans: below, the doubt about the weights has grown {unusual / usual:F1}-fold, and the band still misses the series: intervals are those of a model, and no guard against what it can't be");
        return new Dictionary<string, double> { ["rmse"] = rmse, ["coverage"] = coverage, ["epistemic"] = usual, ["epistemicUnknown"] = unusual };
    }

    /// <summary>A daily season whose size wanders, a drift that comes and goes, and noise.</summary>
    private static double[] Series(int length, Random draw)
    {
        var series = new double[length];
        double size = 1, drift = 0;
        for (int t = 0; t < length; t++)
        {
            size += 0.02 * (1 - size) + 0.03 * draw.NextNormal();
            drift += -0.02 * drift + 0.04 * draw.NextNormal();
            double day = 2 * Math.PI * t / 24;
            series[t] = size * (Math.Sin(day) + 0.4 * Math.Sin(2 * day + 1)) + drift + 0.15 * draw.NextNormal();
        }

        return series;
    }

    private static (Tensor Past, Tensor Future) Windows(double[] series)
    {
        int count = series.Length - Past - Future + 1;
        float[] past = [.. Enumerable.Range(0, count).SelectMany(start => series.Skip(start).Take(Past)).Select(value => (float)value)];
        float[] future = [.. Enumerable.Range(0, count).SelectMany(start => series.Skip(start + Past).Take(Future)).Select(value => (float)value)];
        return (tensor(past).reshape(count, Past, 1), tensor(future).reshape(count, Future));
    }

    private static Plot Fan(Predictive predictive, double[] series, string title)
    {
        Plot plot = BayesPlot.NewPlot("hour", "value", title);
        double[] hours = [.. Enumerable.Range(0, series.Length).Select(hour => (double)hour)];
        foreach ((double level, double alpha) in new[] { (0.95, 0.18), (0.8, 0.3), (0.5, 0.42) })
        {
            (Tensor lower, Tensor upper) = predictive.Interval(level);
            plot.Band(hours[Past..], Row(lower), Row(upper), BayesPlot.Model.WithAlpha(alpha), FormattableString.Invariant($"{100 * level:0} %"));
        }

        plot.Line(hours[Past..], Row(predictive.Mean), BayesPlot.Model, "mean");
        plot.Line(hours, series, BayesPlot.Data, "series", pattern: LinePattern.Dotted);
        plot.LegendAbove();
        return plot;

        static double[] Row(Tensor values) => [.. values[0].to(ScalarType.Float64).data<double>()];
    }

    /// <summary>(batch, past, 1) -> (batch, future): a Bayesian LSTM and a Bayesian linear layer at its last state.</summary>
    private sealed class Forecaster : nn.Module<Tensor, Tensor>
    {
        private static readonly BayesOptions Options = new() { Posterior = new MeanFieldGaussianSpecification { InitialStdDev = 0.02 } };
        private readonly BayesLSTM _lstm = bnn.LSTM(1, 32, batchFirst: true, options: Options);
        private readonly BayesLinear _head = bnn.Linear(32, Future, options: Options);

        public Forecaster()
            : base(nameof(Forecaster)) => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            using var scope = NewDisposeScope();
            (Tensor output, _, _) = _lstm.call(input);
            return _head.call(output.select(1, -1)).MoveToOuterDisposeScope();
        }
    }
}
