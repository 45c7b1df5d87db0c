using BayesNet.Estimators;
using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Persistence;
using BayesNet.Runtime;
using BayesNet.Training;
using static TorchSharp.torch;

// Trains a small network with a checkpoint every few steps, from the checkpoint on where there is one, and writes what it has learned: a program
// that tests kill and start again. Arguments: the checkpoint, the file for the result. It says each step.
NativeLibraries.Load();
set_num_threads(1);
using var scope = NewDisposeScope();
(string checkpoint, string result) = (args[0], args[1]);
using var source = new NoiseSource(3);
Tensor x = source.Normal([96, 3], ScalarType.Float32, CPU), y = x.sum(dim: 1, keepdim: true).sin();
var (training, validation) = (new TrainingData(x[..64], y[..64]), new TrainingData(x[64..], y[64..]));

random.manual_seed(1);
using var model = nn.Sequential(("hidden", bnn.Linear(3, 20)), ("relu", nn.ReLU()), ("out", bnn.Linear(20, 1)));
using var likelihood = new GaussianLikelihood();
using var trainer = new VariationalTrainer(model, likelihood, training.Count, new TrainerOptions
{
    Epochs = 30,
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
learned.Add("noise", likelihood.parameters().Single());
learned.Add("history", tensor(fit.History.Select(epoch => epoch.NegativeLogLikelihood).ToArray()));
SafeTensors.Write(result, learned);

/// <summary>Says each step.</summary>
internal sealed class Steps : ITrainingCallback
{
    /// <inheritdoc/>
    public void StepCompleted(TrainingContext context, StepResult result) => Console.WriteLine(context.Trainer.Steps);
}
