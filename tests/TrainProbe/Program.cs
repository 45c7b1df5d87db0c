using BayesNet;
using BayesNet.Estimators;
using BayesNet.Layers;
using BayesNet.Layers.Conversion;
using BayesNet.Likelihoods;
using BayesNet.Persistence;
using BayesNet.Runtime;
using BayesNet.TestKit;
using BayesNet.Training;
using static TorchSharp.torch;

// Trains a small network with a checkpoint every few steps, from the checkpoint on where there is one, and writes what it has learned: a program
// that tests kill and start again. Arguments: the network's name, the checkpoint, the file for the result. It says each step.
// With "predict", a network's name, a model file, inputs, the file for the result and a number of threads: converts a network as a test did, loads it, and predicts.
NativeLibraries.Load();
using var scope = NewDisposeScope();
if (args[0] == "predict")
{
    set_num_threads(int.Parse(args[5], System.Globalization.CultureInfo.InvariantCulture));
    using nn.Module<Tensor, Tensor> network = ProbeNetworks.Create(args[1]).ToBayesian(new ConversionOptions { Options = BayesOptions.Moped() });
    network.LoadSafeTensors(args[2]);
    using SafeTensorsFile inputs = SafeTensors.Read(args[3]);
    network.eval();
    network.SeedNoise(ProbeNetworks.Seed);
    using var withoutGradients = no_grad();
    SafeTensors.Write(args[4], new Dictionary<string, Tensor> { ["output"] = network.call(inputs.Tensors["input"]) });
    return;
}

set_num_threads(1);
(string name, string checkpoint, string result) = (args[0], args[1], args[2]);
bool isPlain = name == "plain";
using var source = new NoiseSource(3);
Tensor x = source.Normal(isPlain ? [96, 3] : [96, 1, 8, 8], ScalarType.Float32, CPU);
Tensor y = isPlain ? x.sum(dim: 1, keepdim: true).sin() : x.mean([1, 2, 3]).gt(0).to(ScalarType.Int64);
var (training, validation) = (new TrainingData(x[..64], y[..64]), new TrainingData(x[64..], y[64..]));

random.manual_seed(1);
using nn.Module<Tensor, Tensor> model = isPlain
    ? nn.Sequential(("hidden", bnn.Linear(3, 20)), ("relu", nn.ReLU()), ("out", bnn.Linear(20, 1)))
    : ProbeNetworks.Create(name).ToBayesian(new ConversionOptions { Options = BayesOptions.Moped() });
using Likelihood likelihood = isPlain ? new GaussianLikelihood() : new CategoricalLikelihood();
using var trainer = new VariationalTrainer(model, likelihood, training.Count, new TrainerOptions
{
    Epochs = isPlain ? 30 : 10,
    BatchSize = 8,
    LearningRate = 0.01,
    KlSchedule = KlSchedule.Warmup(10),
    Scheduler = optimizer => optim.lr_scheduler.CosineAnnealingLR(optimizer, 240),
    SchedulerInterval = SchedulerInterval.Step,
    EarlyStopping = new EarlyStopping { Patience = 1000 },
    ValidationSamples = 4,
    Checkpoint = new CheckpointOptions(checkpoint) { EverySteps = 7 },
    Callbacks = [new Steps()],
});
if (File.Exists(checkpoint))
    trainer.Resume(checkpoint);
FitResult fit = trainer.Fit(training, validation);
Dictionary<string, Tensor> learned = model.state_dict();
foreach ((string parameter, TorchSharp.Modules.Parameter value) in likelihood.named_parameters())
    learned.Add("likelihood." + parameter, value);
learned.Add("history", tensor(fit.History.Select(epoch => epoch.NegativeLogLikelihood).ToArray()));
SafeTensors.Write(result, learned);

/// <summary>Says each step.</summary>
internal sealed class Steps : ITrainingCallback
{
    /// <inheritdoc/>
    public void StepCompleted(TrainingContext context, StepResult result) => Console.WriteLine(context.Trainer.Steps);
}
