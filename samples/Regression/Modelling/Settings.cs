using BayesNet.Estimators;
using BayesNet.Training;
using static TorchSharp.torch;

namespace BayesNet.Samples.Regression.Modelling;

/// <summary>How a run divides, trains and predicts. The two sets of defaults differ in what a single input needs.</summary>
internal sealed record Settings
{
    /// <summary>
    /// For tables. The prior scales were chosen on the concrete data, by the log likelihood of validation rows taken from the training part
    /// of four divisions.
    /// </summary>
    public static Settings ForTables { get; } = new();

    /// <summary>
    /// For the synthetic curve. The prior places hidden units all along the axis, the gap and both sides included: a bias twice as wide as
    /// the weight puts half of the centres beyond twice the standard deviation of the inputs.
    /// </summary>
    public static Settings ForCurve { get; } = new()
    {
        Epochs = 600,
        BatchSize = 64,
        HiddenWeightScale = 3,
        HiddenBiasScale = 6,
        OutputScale = 8,
    };

    /// <summary>Passes over the training part.</summary>
    public int Epochs { get; init; } = 400;

    /// <summary>Rows of a minibatch.</summary>
    public int BatchSize { get; init; } = 32;

    /// <summary>The learning rate at the start; it falls along half a cosine to a hundredth.</summary>
    public double LearningRate { get; init; } = 0.01;

    /// <summary>Units of the hidden layer.</summary>
    public int Hidden { get; init; } = 50;

    /// <summary>The prior's standard deviation of a hidden weight, times the root of the number of inputs.</summary>
    public double HiddenWeightScale { get; init; } = 1;

    /// <summary>The prior's standard deviation of a hidden bias.</summary>
    public double HiddenBiasScale { get; init; } = 1;

    /// <summary>The prior's standard deviation of a weight of the mean, times the root of the number of hidden units.</summary>
    public double OutputScale { get; init; } = 2;

    /// <summary>The same for the logarithm of the noise, which an exponential follows: what is wide for a mean is absurd for it.</summary>
    public double NoiseScale { get; init; } = 2;

    /// <summary>The posterior standard deviation that a weight starts with, relative to its prior's.</summary>
    public double InitialStdDev { get; init; } = 0.05;

    /// <summary>The share of the epochs over which the weight of the KL term rises to one.</summary>
    public double Warmup { get; init; } = 0.1;

    /// <summary>The way to a posterior.</summary>
    public Method Method { get; init; } = Method.Variational;

    /// <summary>Where the noise of the weights enters in variational training.</summary>
    public Estimator Estimator { get; init; } = Estimator.LocalReparameterization;

    /// <summary>Posterior samples of a prediction.</summary>
    public int Samples { get; init; } = 500;

    /// <summary>The share of rows held out.</summary>
    public double TestFraction { get; init; } = 0.1;

    /// <summary>Seeds the division of the rows, the initial weights, the order of the rows and the noise.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>What the training of every method has in common.</summary>
    public TrainerOptions Training => new()
    {
        Epochs = Epochs,
        BatchSize = BatchSize,
        LearningRate = LearningRate,

        // Along a half cosine to a hundredth, so that the noise of the steps dies away.
        Scheduler = optimizer => optim.lr_scheduler.CosineAnnealingLR(optimizer, Epochs, LearningRate / 100),
    };
}
