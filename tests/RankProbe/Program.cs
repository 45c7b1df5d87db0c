using System.Globalization;
using System.Security.Cryptography;
using BayesNet;
using BayesNet.Distributed;
using BayesNet.Estimators;
using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Posteriors;
using BayesNet.Runtime;
using BayesNet.Training;
using TorchSharp;
using static TorchSharp.torch;

// One rank of a job that tests start under mpirun, or a process without. Arguments: what to do, then what that needs.
NativeLibraries.Load();
set_num_threads(1);
using var scope = NewDisposeScope();
using ICollectives ranks = Collectives.Create(args[0] is "hang" or "stop" or "stray" ? TimeSpan.FromSeconds(1) : TimeSpan.FromSeconds(60));
switch (args[0])
{
    case "all":
        Exchange(ranks);
        Gradients(ranks);
        Steps(ranks, 100);
        Resumed(ranks);
        break;
    case "posterior":
        PosteriorWork.Run(ranks);
        break;
    case "fit":
        Fit(ranks, args[1]);
        break;
    case "hang":
        ranks.Barrier();
        if (ranks.Rank == ranks.Size - 1)
            Thread.Sleep(Timeout.Infinite);
        ranks.Barrier();
        break;
    case "stop":
        // One rank is stopped while all are within a large reduction, or between two.
        using (Tensor much = zeros([1 << 25]))
        {
            ranks.Barrier();
            if (ranks.Rank == ranks.Size - 1)
                System.Diagnostics.Process.Start("sh", ["-c", $"sleep 0.3; kill -STOP {Environment.ProcessId}"]);
            while (true)
                ranks.AllReduce(much);
        }

    case "stray":
        // One rank ends while the others wait for it.
        if (ranks.Rank != ranks.Size - 1)
            ranks.Barrier();
        break;
    default:
        throw new ArgumentException($"'{args[0]}' is nothing to do.");
}

// Every operation on every type; each rank checks what it gets.
static void Exchange(ICollectives ranks)
{
    int k = ranks.Size;
    foreach (ScalarType type in new[] { ScalarType.Float32, ScalarType.Float64, ScalarType.Int64 })
    {
        foreach (long length in new long[] { 1, 1000, 300_001 })
        {
            Tensor mine = arange(length, ScalarType.Int64).remainder(97).to(type) + (ranks.Rank + 1), sum = mine.clone(), greatest = mine.clone();
            ranks.AllReduce(sum);
            Require(sum.equal(k * mine + (k * (k + 1) / 2 - k * (ranks.Rank + 1))).all().item<bool>(), $"sum {type} {length}");
            ranks.AllReduce(greatest, Reduction.Max);
            Require(greatest.equal(mine + (k - ranks.Rank - 1)).all().item<bool>(), $"max {type} {length}");
            Tensor sent = mine.clone();
            ranks.Broadcast(sent, k - 1);
            Require(sent.equal(greatest).all().item<bool>(), $"broadcast {type} {length}");
        }
    }

    Tensor mean = tensor(new double[] { ranks.Rank, 1 });
    ranks.AllReduce(mean, Reduction.Mean);
    Require(mean[0].item<double>() == (k - 1) / 2.0 && mean[1].item<double>() == 1, "mean");

    // Two under way at once; sums that rounding makes depend on the order of the ranks are the same on all of them.
    Tensor first = randn(100_003) * Math.Pow(10, ranks.Rank), second = randn(7);
    IPendingReduction a = ranks.BeginAllReduce(first), b = ranks.BeginAllReduce(second);
    b.Wait();
    a.Wait();
    string print = Print([first, second]);
    Require(ranks.AllGather(System.Text.Encoding.UTF8.GetBytes(print)).Select(System.Text.Encoding.UTF8.GetString).Distinct().Count() == 1, "equal bits");
    IReadOnlyList<double> squares = ranks.Map<int, double>([.. Enumerable.Range(0, 7)], i => i == 3 ? double.NaN : i * i / 3.0);
    Require(squares.Count == 7 && double.IsNaN(squares[3]) && squares[6] == 12, "map");
    try
    {
        ranks.Map<int, int>([0, 1, 2], i => i == 1 ? throw new ArithmeticException("no one") : i);
        Require(false, "failure of a function");
    }
    catch (CollectiveException error)
    {
        Require(error.Message == $"Item 1 failed on rank {1 % k}: no one", error.Message);
    }

    // The runtime's own signal handlers are in place: a null reference is an exception, no crash.
    try
    {
        Require(Nothing()!.Length == 0, "null");
    }
    catch (NullReferenceException)
    {
        ranks.Barrier();
        Console.WriteLine($"rank {ranks.Rank} of {k}: ok");
    }

    static string? Nothing() => null;
}

// The gradient of one step, with noise made equal on all ranks, against that of a trainer that has all the rows.
static void Gradients(ICollectives ranks)
{
    const int Rows = 13;
    TrainerOptions options = new() { Seed = 3, Optimizer = parameters => optim.SGD(parameters, 0) };
    int start = Rows * ranks.Rank / ranks.Size, end = Rows * (ranks.Rank + 1) / ranks.Size;
    Tensor mine = Gradient(options.OnRanks(ranks), start, end), whole = Gradient(options, 0, Rows);
    double greatest = whole.abs().max().item<double>(), error = (mine - whole).abs().max().item<double>();
    Require(greatest > 0.01 && error <= 1e-12 * greatest, $"gradient, {error} of {greatest}");

    static Tensor Gradient(TrainerOptions options, int start, int end)
    {
        (TrainingData data, nn.Module<Tensor, Tensor> model) = Problem(0, BayesOptions.Default with { Estimator = Estimator.SharedWeights });
        model.to(ScalarType.Float64);
        using (model)
        {
            using var likelihood = new GaussianLikelihood();
            using var trainer = new VariationalTrainer(model, likelihood, data.Count, options with { Epochs = 1, Callbacks = [new SameNoise(model)] });
            trainer.Fit([(data.Inputs[start..end].to(ScalarType.Float64), data.Targets[start..end].to(ScalarType.Float64))]);
            return cat([.. model.parameters().Select(parameter => parameter.grad!.reshape(-1))]);
        }
    }
}

// A number of steps, compiled and through autograd; the prints of all ranks, which have to be one.
static void Steps(ICollectives ranks, int count)
{
    foreach (bool compile in new[] { true, false })
    {
        (TrainingData data, nn.Module<Tensor, Tensor> model) = Problem(ranks.Rank);
        using (model)
        {
            using var likelihood = new GaussianLikelihood();
            using var trainer = new VariationalTrainer(
                model, likelihood, data.Count, new TrainerOptions { Epochs = count / 4, BatchSize = 32, Seed = 3, Compile = compile, LearningRate = 0.01 }.OnRanks(ranks));
            Require(trainer.IsCompiled == compile, "compiled");
            FitResult fit = trainer.Fit(data);
            Require(fit.Steps == count, $"{fit.Steps} steps");
            string print = Print(model.parameters().Concat(likelihood.parameters()));
            string history = string.Join(" ", fit.History.Select(epoch => epoch.Elbo.ToString("R", CultureInfo.InvariantCulture)));
            Console.WriteLine($"{(compile ? "compiled" : "autograd")} {print} {Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(history)))} of rank {ranks.Rank}");
        }
    }
}

// A run that was stopped goes on to the last bit, though its last minibatch of an epoch leaves ranks without rows, a layer draws gamma variates, as many as it
// takes, and dropout draws from the global generator.
static void Resumed(ICollectives ranks)
{
    string checkpoint = Path.Combine(Path.GetTempPath(), $"bayesnet-ranks-{Environment.ProcessId}");
    IReadOnlyList<string> paths = ranks.Map<int, string>([.. Enumerable.Range(0, ranks.Size)], _ => checkpoint);
    string whole = Run(4, null, null), half = Run(2, paths[0], null), after = Run(4, paths[0], paths[0]);
    Require(whole == after && whole != half, "resumed to the last bit");
    ranks.Barrier();
    if (ranks.Rank == 0)
        File.Delete(checkpoint);

    string Run(int epochs, string? save, string? from)
    {
        random.manual_seed(1);
        Tensor x = randn(49, 3);
        var heavy = new BayesOptions { Posterior = new MeanFieldStudentTSpecification(), Estimator = Estimator.SharedWeights };
        using nn.Module<Tensor, Tensor> model = nn.Sequential(("hidden", bnn.Linear(3, 8, options: heavy)), ("dropout", nn.Dropout(0.2)), ("out", bnn.Linear(8, 1)));
        using var likelihood = new GaussianLikelihood();
        using var trainer = new VariationalTrainer(model, likelihood, 49, new TrainerOptions
        {
            Epochs = epochs,
            BatchSize = 16,
            Seed = 3,
            Checkpoint = save is null ? null : new CheckpointOptions(save),
        }.OnRanks(ranks));
        if (from is not null)
            trainer.Resume(from);
        trainer.Fit(new TrainingData(x, x.sum(dim: 1, keepdim: true)));
        return Print(model.parameters());
    }
}

// A run with a checkpoint every few steps, which goes on from it where there is one; says its steps.
static void Fit(ICollectives ranks, string checkpoint)
{
    (TrainingData data, nn.Module<Tensor, Tensor> model) = Problem(0);
    using var likelihood = new GaussianLikelihood();
    using var trainer = new VariationalTrainer(model, likelihood, data.Count, new TrainerOptions
    {
        Epochs = 50,
        BatchSize = 32,
        Seed = 3,
        LearningRate = 0.01,
        Checkpoint = new CheckpointOptions(checkpoint) { EverySteps = 7 },
        Callbacks = [new Said(ranks.Rank)],
    }.OnRanks(ranks));
    trainer.TryResume(checkpoint);
    FitResult fit = trainer.Fit(data);
    if (ranks.Rank == 0)
        Console.WriteLine($"finished {fit.History.Count} epochs, {Print(model.parameters())}");
}

static (TrainingData Data, nn.Module<Tensor, Tensor> Model) Problem(int seed, BayesOptions? options = null)
{
    random.manual_seed(1);
    Tensor x = randn(128, 3), y = x.sum(dim: 1, keepdim: true).sin();

    // Ranks may well start from other weights: rank 0's count.
    random.manual_seed(seed);
    return (new TrainingData(x, y), nn.Sequential(("hidden", bnn.Linear(3, 20, options: options)), ("relu", nn.ReLU()), ("out", bnn.Linear(20, 1, options: options))));
}

static string Print(IEnumerable<Tensor> tensors)
{
    using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    foreach (Tensor tensor in tensors)
        hash.AppendData(tensor.detach().contiguous().bytes);
    return Convert.ToHexStringLower(hash.GetHashAndReset());
}

static void Require(bool condition, string what)
{
    if (!condition)
        throw new InvalidOperationException($"Not as expected: {what}.");
}

/// <summary>Makes the noise of every step the same, on all ranks.</summary>
internal sealed class SameNoise(nn.Module model) : ITrainingCallback
{
    /// <inheritdoc/>
    public void StepStarting(TrainingContext context) => model.SeedNoise(9);
}

/// <summary>Says each step, with rank and process.</summary>
internal sealed class Said(int rank) : ITrainingCallback
{
    /// <inheritdoc/>
    public void StepCompleted(TrainingContext context, StepResult result)
    {
        Console.WriteLine($"step {context.Trainer.Steps} rank {rank} process {Environment.ProcessId}");
        Console.Out.Flush();
    }
}
