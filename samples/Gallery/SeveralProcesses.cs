using System.Diagnostics;
using BayesNet.Diagnostics;
using BayesNet.Distributed;
using BayesNet.Inference;
using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Plotting;
using BayesNet.Prediction;
using BayesNet.Samples.Shared;
using BayesNet.Training;
using ScottPlot;
using static TorchSharp.torch;

namespace BayesNet.Samples.Gallery;

/// <summary>
/// One program that is the same on one process and on several: training shares the rows of every minibatch, a prediction its samples, and Markov chains
/// are shared out. Nothing in it asks how many processes there are, but for who prints.
/// </summary>
internal sealed class SeveralProcesses : Sample
{
    private const int Rows = 2_000, Points = 120;

    public override string Name => "several-processes";

    public override string Description => "Training, prediction and Markov chains on as many processes as mpirun starts, or on one.";

    public override int? Threads => 1;

    public override IReadOnlyDictionary<string, double> Run(SampleRun run)
    {
        using var scope = NewDisposeScope();
        using ICollectives ranks = Collectives.Create();
        var told = ranks.Rank == 0 ? run : run with { Output = TextWriter.Null };
        told.Say(ranks.Size == 1
            ? "one process; for more: mpirun -n 2 dotnet Gallery.dll several-processes, one thread each"
            : $"{ranks.Size} processes, of which the first prints");
        var data = new TrainingData(rand(Rows, 1) * 2 - 1, zeros(Rows, 1));
        data = new TrainingData(data.Inputs, Truth(data.Inputs) + 0.1 * randn(Rows, 1));
        Tensor grid = linspace(-2, 2, Points).unsqueeze(1);

        // Every rank takes its share of each minibatch; parameters stay the same on all.
        long start = Stopwatch.GetTimestamp();
        using nn.Module<Tensor, Tensor> model = nn.Sequential(("hidden", bnn.Linear(1, 50)), ("tanh", nn.Tanh()), ("output", bnn.Linear(50, 1)));
        var likelihood = new GaussianLikelihood(noise: 0.3);
        var training = new TrainerOptions { Epochs = run.Short ? 20 : 400, BatchSize = 200, LearningRate = 0.01, Seed = run.Seed };
        using var trainer = new VariationalTrainer(model, likelihood, Rows, training.OnRanks(ranks));
        FitResult fit = trainer.Fit(data);
        told.Say($"variational training   {fit.Steps} steps of 200 rows in {Seconds(start):F1} s: {fit.History[^1].NegativeLogLikelihood:F3} nats a row");

        // Of the samples every rank computes its share; moments are merged, not gathered.
        start = Stopwatch.GetTimestamp();
        PredictionOptions options = new PredictionOptions { Seed = run.Seed, KeepSamples = false }.OnRanks(ranks);
        int samples = run.Short ? 200 : 20_000;
        using Predictive variational = trainer.Predict(grid, samples, options);
        told.Say($"prediction             {samples} samples of {Points} points in {Seconds(start):F1} s: epistemic {Middle(variational):F3} in the middle, {Edge(variational):F3} far out");

        // Chain c runs on rank c modulo their number; then every rank has the samples of all.
        start = Stopwatch.GetTimestamp();
        var method = new Sghmc
        {
            Chains = 4,
            Epochs = run.Short ? 40 : 600,
            BatchSize = 200,
            SamplesPerChain = 100,
            LearningRate = 3e-3,
            Schedule = StepSizeSchedule.Constant(),
            Seed = run.Seed,
        };
        using SampledPosterior chains = method.FitOnRanks(
            ranks, () => nn.Sequential(("hidden", nn.Linear(1, 50)), ("tanh", nn.Tanh()), ("output", nn.Linear(50, 1))), () => new GaussianLikelihood(noise: 0.3), data);
        using Predictive sampled = chains.Predict(grid, chains.Samples, options);
        told.Say($"{method.Name}, {chains.Chains} chains       {chains.Samples} samples in {Seconds(start):F1} s: epistemic {Middle(sampled):F3} in the middle, {Edge(sampled):F3} far out");

        // Hidden units can change places, and chains that agree on the function need not agree on a weight.
        Tensor outputs = chains.SampleOutputs(grid, chains.Samples, options).reshape(chains.Chains, -1, Points);
        double within = RHat(outputs[.., .., 30..90]), beyond = RHat(outputs), weights = RHat(chains.Draws("hidden.weight"));
        told.Say($"R-hat                  {within:F2} of the function where there are data, {beyond:F2} of it anywhere, {weights:F2} of a weight (the worst each)");
        if (ranks.Rank == 0)
            Draw(told.File("several-processes.png"), grid, data, variational, sampled, outputs);
        told.Say("look at the chains: where there are data they overlap, and R-hat is near 1 long before that of any weight is");
        return new Dictionary<string, double> { ["loss"] = fit.History[^1].NegativeLogLikelihood, ["within"] = within, ["weights"] = weights };
    }

    private static Tensor Truth(Tensor x) => (3 * x).sin() + 0.3 * x;

    private static double Seconds(long start) => Stopwatch.GetElapsedTime(start).TotalSeconds;

    private static double RHat(Tensor draws) => ChainDiagnostics.RHat(draws).max().item<double>();

    private static double Middle(Predictive predictive) => predictive.Epistemic[Points / 2].item<float>();

    private static double Edge(Predictive predictive) => predictive.Epistemic[Points - 1].item<float>();

    private static void Draw(string path, Tensor grid, TrainingData data, Predictive variational, Predictive sampled, Tensor outputs)
    {
        double[] x = Numbers(grid);
        Plot bands = BayesPlot.NewPlot("x", "y", "Mean and twice the epistemic deviation");
        foreach ((Predictive predictive, int colour, string name) in new[] { (variational, 0, "variational"), (sampled, 1, "chains") })
        {
            double[] mean = Numbers(predictive.Mean), deviation = Numbers(predictive.Epistemic);
            bands.Band(x, [.. mean.Zip(deviation, (m, s) => m - 2 * s)], [.. mean.Zip(deviation, (m, s) => m + 2 * s)], BayesPlot.Palette[colour].WithAlpha(0.25));
            bands.Line(x, mean, BayesPlot.Palette[colour], name);
        }

        bands.Add.Markers(Numbers(data.Inputs[..200]), Numbers(data.Targets[..200]), MarkerShape.FilledCircle, 3, BayesPlot.Data.WithAlpha(0.4));
        bands.LegendAbove();
        Plot trace = BayesPlot.NewPlot("sample", "f(0)", "Four chains of the function at 0");
        for (int chain = 0; chain < outputs.size(0); chain++)
        {
            double[] values = Numbers(outputs[chain, .., Points / 2]);
            trace.Line([.. Enumerable.Range(0, values.Length).Select(i => (double)i)], values, BayesPlot.Palette[chain], $"chain {chain}");
        }

        trace.LegendAbove();
        Panels.Save(path, 2, bands, trace);
    }

    private static double[] Numbers(Tensor tensor) => tensor.to(ScalarType.Float64).contiguous().data<double>().ToArray();
}
