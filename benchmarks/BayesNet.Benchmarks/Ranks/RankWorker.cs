using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using BayesNet.Benchmarks.Reporting;
using BayesNet.Distributed;
using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Benchmarks.Ranks;

/// <summary>An epoch of one network, in steps of a global batch.</summary>
/// <param name="Network">Its widths.</param>
/// <param name="Ranks">The number of ranks.</param>
/// <param name="Parameters">Scalars that are trained: what is exchanged a step.</param>
/// <param name="Steps">Steps of an epoch.</param>
/// <param name="EpochSeconds">The median time of an epoch.</param>
/// <param name="NetworkShare">Rank 0's share of its time in collectives, waiting for the other rank included.</param>
internal sealed record EpochRow(string Network, int Ranks, long Parameters, int Steps, double EpochSeconds, double NetworkShare);

/// <summary>The time of an all-reduce.</summary>
/// <param name="Bytes">Of the tensor.</param>
/// <param name="Seconds">The median, on rank 0.</param>
internal sealed record ReduceRow(long Bytes, double Seconds);

/// <summary>An epoch on two ranks whose exchange begins within the backward pass, and behind it.</summary>
/// <param name="Network">Its widths.</param>
/// <param name="IsSimulated">Whether the exchange takes as long as over <see cref="RankWorker.Link"/>.</param>
/// <param name="BehindSeconds">The median time of an epoch whose exchange begins behind the backward pass.</param>
/// <param name="WithinSeconds">The same of one whose exchange begins within; the epochs take turns.</param>
internal sealed record OverlapRow(string Network, bool IsSimulated, double BehindSeconds, double WithinSeconds);

/// <summary>What a job found.</summary>
internal sealed record RankFindings(List<EpochRow> Epochs, List<ReduceRow> Reductions, List<OverlapRow> Overlaps);

/// <summary>The hidden command that is a rank of a job: it measures, and rank 0 writes a line of JSON.</summary>
internal static class RankWorker
{
    public const string Name = "ranks-worker";
    public const int Batch = 256, Steps = 16;

    private static readonly bool[] Either = [false, true];

    /// <summary>A link of 2.5 Gbit/s, and 20 us a message.</summary>
    public static RingModel Link { get; } = new(20e-6, 3.2e-9);

    public static Command Command()
    {
        var isShort = new Argument<bool>("short");
        var simulates = new Argument<bool>("simulates");
        var command = new Command(Name) { isShort, simulates };
        command.Hidden = true;
        command.SetAction(parsed =>
        {
            set_num_threads(1);
            using var ranks = new TimedCollectives(Collectives.Create(TimeSpan.FromMinutes(2)));
            bool less = parsed.GetValue(isShort);
            long[][] networks = less ? [[8, 50, 1]] : [[8, 50, 1], [784, 400, 400, 10], [784, 1200, 1200, 10]];
            var found = new RankFindings(
                [.. networks.Select(widths => Epoch(ranks, widths, less ? 4 : 7))],
                ranks.Size > 1 ? Reductions(ranks, less) : [],
                ranks.Size > 1 ? [.. from widths in networks where widths[0] > 100 from simulated in parsed.GetValue(simulates) ? Either : Either[..1] select Overlap(ranks, widths, simulated)] : []);
            if (ranks.Rank == 0)
                Console.WriteLine(JsonSerializer.Serialize(found));
        });
        return command;
    }

    private static EpochRow Epoch(TimedCollectives ranks, long[] widths, int epochs)
    {
        var clock = new Clock(ranks);
        (FitResult fit, long parameters) = Fit(ranks, widths, epochs, clock);
        double[] seconds = [.. fit.History.Skip(1).Select(epoch => epoch.Duration.TotalSeconds)];
        return new EpochRow(string.Join('-', widths), ranks.Size, parameters, Steps, Measure.Median(seconds), Measure.Median([.. clock.Shares.Skip(1)]));
    }

    private static OverlapRow Overlap(ICollectives ranks, long[] widths, bool simulated)
    {
        using var linked = new LinkedCollectives(ranks, simulated ? Link : null);
        (FitResult fit, _) = Fit(linked, widths, 20, new Turns(linked));
        ILookup<bool, double> seconds = fit.History.Skip(2).ToLookup(epoch => epoch.Epoch % 2 == 0, epoch => epoch.Duration.TotalSeconds);
        return new OverlapRow(string.Join('-', widths), simulated, Measure.Median([.. seconds[false]]), Measure.Median([.. seconds[true]]));
    }

    private static (FitResult Fit, long Parameters) Fit(ICollectives ranks, long[] widths, int epochs, ITrainingCallback callback)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(1);
        var layers = new List<(string, nn.Module<Tensor, Tensor>)>();
        for (int i = 1; i < widths.Length; i++)
        {
            layers.Add(($"linear{i}", bnn.Linear(widths[i - 1], widths[i])));
            if (i < widths.Length - 1)
                layers.Add(($"relu{i}", nn.ReLU()));
        }

        using nn.Module<Tensor, Tensor> model = nn.Sequential(layers);
        bool classes = widths[^1] > 1;
        using Likelihood likelihood = classes ? new CategoricalLikelihood() : new GaussianLikelihood();
        Tensor x = randn(Batch * Steps, widths[0]), y = classes ? randint(0, widths[^1], [Batch * Steps], dtype: ScalarType.Int64) : x.sum(dim: 1, keepdim: true).sin();
        using var trainer = new VariationalTrainer(
            model, likelihood, Batch * Steps, new TrainerOptions { Seed = 1, BatchSize = Batch, Epochs = epochs, Callbacks = [callback] }.OnRanks(ranks));

        // A small network's first epochs are those of code that is not compiled yet.
        long warm = Stopwatch.GetTimestamp();
        do
        {
            for (int i = 0; i < 8; i++)
                trainer.Step(x[..(Batch / ranks.Size)], y[..(Batch / ranks.Size)]);
        }
        while (ranks.Map<int, double>([.. Enumerable.Range(0, ranks.Size)], _ => Stopwatch.GetElapsedTime(warm).TotalSeconds).Min() < 1.5);
        FitResult fit = trainer.Fit(new TrainingData(x, y));
        return (fit, model.parameters().Concat(likelihood.parameters()).Sum(parameter => parameter.numel()));
    }

    private static List<ReduceRow> Reductions(TimedCollectives ranks, bool less)
    {
        var rows = new List<ReduceRow>();
        foreach (long count in less ? [2, 65_536] : new long[] { 2, 256, 4_096, 65_536, 262_144, 1_048_576, 4_194_304 })
        {
            using Tensor values = zeros([count]).DetachFromDisposeScope();
            int runs = count < 100_000 ? 400 : 20;
            var seconds = new List<double>(runs);
            for (int i = 0; i < runs + 10; i++)
            {
                ranks.Barrier();
                long start = Stopwatch.GetTimestamp();
                ranks.AllReduce(values);
                if (i >= 10)
                    seconds.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
            }

            rows.Add(new ReduceRow(4 * count, Measure.Median(seconds)));
        }

        return rows;
    }

    /// <summary>Has every other epoch overlap.</summary>
    private sealed class Turns(LinkedCollectives ranks) : ITrainingCallback
    {
        public void EpochStarted(TrainingContext context) => ranks.Overlaps = context.Epoch % 2 == 0;
    }

    /// <summary>Takes down, epoch by epoch, the share of the time that went to collectives.</summary>
    private sealed class Clock(TimedCollectives ranks) : ITrainingCallback
    {
        private double _before;

        public List<double> Shares { get; } = [];

        public void EpochStarted(TrainingContext context) => _before = ranks.Seconds;

        public void EpochCompleted(TrainingContext context, EpochResult result) => Shares.Add((ranks.Seconds - _before) / result.Duration.TotalSeconds);
    }
}
