using BayesNet.Layers;
using BayesNet.Likelihoods;
using BayesNet.Prediction;
using BayesNet.Priors;
using BayesNet.Training;
using static TorchSharp.torch;

// Before the first use of torch, so that its libraries are found on older Linux systems too.
BayesNet.Runtime.NativeLibraries.Load();
set_num_threads(1);
random.manual_seed(1);

// Your data: (rows, inputs) and (rows, 1). Here a noisy sine, with nothing between -1 and 1.
using Tensor x = cat([linspace(-3, -1, 100), linspace(1, 3, 100)]).unsqueeze(1);
using Tensor y = x.mul(2).sin() + 0.1 * randn(200, 1);

// Wide priors of the hidden layer, so that its units can bend anywhere between -4 and 4.
var wide = new BayesOptions { Prior = GaussianPrior.WithStdDev(3) };
using var model = nn.Sequential(
    ("hidden", bnn.Linear(1, 50, options: wide)),
    ("tanh", nn.Tanh()),
    ("output", bnn.Linear(50, 1)));

using var trainer = new VariationalTrainer(model, new GaussianLikelihood(learnNoise: true), trainingSetSize: x.size(0), new TrainerOptions
{
    Epochs = 3000,
    LearningRate = 1e-2,
    KlSchedule = KlSchedule.Warmup(epochs: 1000),
    Seed = 1,
});
using (var progress = new ConsoleProgress())
    trainer.Fit(new TrainingData(x, y), progress: progress);

using Tensor grid = linspace(-4, 4, 9).unsqueeze(1);
using Predictive prediction = trainer.Predict(grid, samples: 500);
(Tensor lower, Tensor upper) = prediction.Interval(0.95);
Console.WriteLine("     x   mean   95 % interval      epistemic  aleatoric");
for (long row = 0; row < grid.size(0); row++)
{
    Console.WriteLine(
        $"{Value(grid),6:F1} {Value(prediction.Mean),6:F2}   {Value(lower),6:F2} to {Value(upper),5:F2}   {Value(prediction.Epistemic),9:F2}  {Value(prediction.Aleatoric),9:F2}");

    float Value(Tensor column) => column[row, 0].item<float>();
}
