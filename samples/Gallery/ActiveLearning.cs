using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Metrics;
using BayesNet.Plotting;
using BayesNet.Posteriors;
using BayesNet.Prediction;
using BayesNet.Priors;
using BayesNet.Samples.Shared;
using BayesNet.Training;
using ScottPlot;
using static TorchSharp.torch;

namespace BayesNet.Samples.Gallery;

/// <summary>
/// Which example should be labelled next? The one whose label the weights disagree about: the greatest mutual information between label and weights
/// (Houlsby et al. 2011). Against examples at random.
/// </summary>
internal sealed class ActiveLearning : Sample
{
    private const int Classes = 3, Start = 6, Batch = 4, PoolSize = 1_500, TestSize = 1_500;

    public override string Name => "active-learning";

    public override string Description => "Labels asked for by mutual information against labels at random: a learning curve.";

    public override int? Threads => 1;

    public override IReadOnlyDictionary<string, double> Run(SampleRun run)
    {
        int rounds = run.Short ? 3 : 18, runs = run.Short ? 1 : 3;
        int[] labels = [.. Enumerable.Range(0, rounds).Select(round => Start + round * Batch)];
        run.Say($"{runs} runs: {Start} labels to begin with, {Batch} more a round, {rounds} rounds");
        Plot curve = BayesPlot.NewPlot("labels", "accuracy on test points", "Three rings, mean of the runs");
        Plot map = BayesPlot.NewPlot("x", "y", "What mutual information asked for");
        var final = new Dictionary<string, double>();
        double[][] means = new double[2][];
        foreach (bool byInformation in new[] { true, false })
        {
            double[][] accuracies = [.. Enumerable.Range(0, runs).Select(i => Learn(byInformation, rounds, run.Seed + (ulong)i, byInformation && i == 0 ? map : null))];
            double[] mean = means[byInformation ? 0 : 1] = [.. Enumerable.Range(0, rounds).Select(round => accuracies.Average(one => one[round]))];
            string name = byInformation ? "mutual information" : "at random";
            curve.Line(labels.Select(count => (double)count), mean, BayesPlot.Palette[byInformation ? 0 : 1], name, marker: 5);
            final[byInformation ? "information" : "random"] = mean[^1];
            run.Say($"{name,-20} accuracy {mean[^1]:F3} with {labels[^1]} labels");
        }

        int reached = Array.FindIndex(means[0], accuracy => accuracy >= means[1][^1]);
        if (reached >= 0)
            run.Say($"what {labels[^1]} labels at random reach takes mutual information {labels[reached]}");
        curve.ShowLegend(Alignment.LowerRight);
        Panels.Save(run.File("active-learning.png"), 2, curve, map);
        run.Say("look at the map: labels are asked for along the borders between classes, where the weights disagree, and not where noise alone makes the label uncertain");
        return final;
    }

    private static double[] Learn(bool byInformation, int rounds, ulong seed, Plot? map)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(unchecked((int)seed));
        var draw = new Random(unchecked((int)seed));
        (Tensor pool, Tensor poolLabels) = Rings(PoolSize, draw);
        (Tensor test, Tensor testLabels) = Rings(TestSize, draw);
        List<long> known = [.. Enumerable.Range(0, PoolSize).Select(i => (long)i).ToArray().OrderBy(_ => draw.Next()).Take(Start)];
        var accuracies = new double[rounds];
        for (int round = 0; round < rounds; round++)
        {
            using var each = NewDisposeScope();
            Tensor chosen = tensor(known.ToArray());
            var data = new TrainingData(pool.index_select(0, chosen), poolLabels.index_select(0, chosen));
            using nn.Module<Tensor, Tensor> model = Network();
            using var trainer = new VariationalTrainer(model, new CategoricalLikelihood(), data.Count, new TrainerOptions
            {
                Epochs = 400,
                BatchSize = 128,
                LearningRate = 5e-2,
                KlSchedule = KlSchedule.Warmup(epochs: 100),
                Seed = seed,
            });
            trainer.Fit(data);
            using var predicted = (CategoricalPredictive)trainer.Predict(test, 50);
            accuracies[round] = ClassificationMetrics.Accuracy(predicted.Mean, testLabels);
            using var candidates = (CategoricalPredictive)trainer.Predict(pool, 50);

            // The four greatest would be neighbours that all ask the same: they are drawn with probabilities in proportion to their information, as the
            // greatest logarithms after Gumbel noise (Kirsch et al. 2023).
            double[] information = [.. candidates.MutualInformation.to(ScalarType.Float64).data<double>()];
            double[] worth = [.. information.Select(bits => (byInformation ? Math.Log(bits) : 0) - Math.Log(-Math.Log(1 - draw.NextDouble())))];
            known.AddRange(Enumerable.Range(0, PoolSize).Select(i => (long)i).Except(known).OrderByDescending(i => worth[i]).Take(Batch).ToList());
        }

        if (map is not null)
            Draw(map, pool, poolLabels, known);
        return accuracies;
    }

    /// <summary>
    /// A Bayesian last layer on fixed radial features, with the full covariance of its weights: what is not known is then greatest where no label is
    /// near. With independent weights it is greatest far out, whatever the labels, and labels that are asked for there teach little.
    /// </summary>
    private static nn.Module<Tensor, Tensor> Network() => nn.Sequential(
        ("features", new RadialFeatures()),
        ("output", bnn.Linear(RadialFeatures.Count, Classes, options: new BayesOptions
        {
            Posterior = new FullCovarianceGaussianSpecification { InitialStdDev = 0.5 },
            Prior = GaussianPrior.WithStdDev(3),
        })));

    /// <summary>exp(-|x - c|^2 / 2 w^2) for centres c on a grid.</summary>
    private sealed class RadialFeatures : nn.Module<Tensor, Tensor>
    {
        private const int Side = 7;
        private const double Width = 0.7;
        private readonly Tensor _centres;

        public RadialFeatures()
            : base(nameof(RadialFeatures))
        {
            using var scope = NewDisposeScope();
            Tensor line = linspace(-3, 3, Side);
            _centres = cartesian_prod([line, line]).DetachFromDisposeScope();
            register_buffer("centres", _centres);
            RegisterComponents();
        }

        public static int Count => Side * Side;

        public override Tensor forward(Tensor input)
        {
            using var scope = NewDisposeScope();
            return cdist(input, _centres).pow(2).mul(-0.5 / (Width * Width)).exp().MoveToOuterDisposeScope();
        }
    }

    /// <summary>Points around the origin; the class is the ring that a point lies in, and within a wedge it is a toss that no label settles.</summary>
    private static (Tensor Points, Tensor Labels) Rings(int count, Random draw)
    {
        var points = new float[2 * count];
        var labels = new long[count];
        for (int i = 0; i < count; i++)
        {
            double radius = 3 * Math.Sqrt(draw.NextDouble()), angle = 2 * Math.PI * draw.NextDouble();
            (points[2 * i], points[2 * i + 1]) = ((float)(radius * Math.Cos(angle)), (float)(radius * Math.Sin(angle)));
            labels[i] = angle < 0.8 && radius > 1 ? draw.Next(Classes) : Math.Min((int)radius, Classes - 1);
        }

        return (tensor(points).reshape(count, 2), tensor(labels));
    }

    private static void Draw(Plot map, Tensor pool, Tensor labels, List<long> asked)
    {
        float[] points = pool.data<float>().ToArray();
        long[] classes = labels.data<long>().ToArray();
        for (int one = 0; one < Classes; one++)
        {
            int[] own = [.. Enumerable.Range(0, classes.Length).Where(i => classes[i] == one)];
            map.Add.Markers(own.Select(i => (double)points[2 * i]).ToArray(), [.. own.Select(i => (double)points[2 * i + 1])], MarkerShape.FilledCircle, 3, BayesPlot.Palette[one].WithAlpha(0.35));
        }

        map.Add.Markers(asked.Select(i => (double)points[2 * i]).ToArray(), [.. asked.Select(i => (double)points[2 * i + 1])], MarkerShape.OpenCircle, 9, BayesPlot.Data).LegendText = "asked for";
        map.ShowLegend(Alignment.UpperRight);
        map.Axes.SquareUnits();
    }
}
