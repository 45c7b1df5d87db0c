using BayesNet.Estimators;

namespace BayesNet.Samples.Regression.Modelling;

/// <summary>Everything that a run can be told; where nothing is said it has one of the two sets of defaults.</summary>
internal sealed record Settings
{
    /// <summary>For tables of data. Chosen by the log likelihood of a validation part inside the training part; see the README.</summary>
    public static Settings ForTables { get; } = new();

    /// <summary>For the synthetic curve: one input, whose scale the prior of the first layer has to match.</summary>
    public static Settings ForCurve { get; } = new() { Epochs = 600, Activation = Activation.Bump, FromPrior = true, HiddenPriorScale = 2, HiddenBiasPriorScale = 4, OutputPriorScale = 6 };

    /// <summary>Passes over the training part.</summary>
    public int Epochs { get; init; } = 400;

    /// <summary>Rows of a minibatch.</summary>
    public int BatchSize { get; init; } = 32;

    /// <summary>The learning rate at the start.</summary>
    public double LearningRate { get; init; } = 0.01;

    /// <summary>Units of the hidden layer.</summary>
    public int Hidden { get; init; } = 50;

    /// <summary>The nonlinearity of the hidden layer.</summary>
    public Activation Activation { get; init; } = Activation.Relu;

    /// <summary>
    /// The prior's standard deviation of the hidden layer's input: a weight has this over the root of the number of inputs, the bias has this.
    /// </summary>
    public double HiddenPriorScale { get; init; } = 1;

    public bool FromPrior { get; init; }
    public double HiddenBiasPriorScale { get; init; } = 1;
    public double OutputBiasPriorScale { get; init; } = 1;
    /// <summary>The prior's standard deviation of the output layer's input, divided among the weights in the same way.</summary>
    public double OutputPriorScale { get; init; } = 1;

    /// <summary>The posterior standard deviation that every weight starts with, relative to its prior's.</summary>
    public double InitialStdDev { get; init; } = 0.05;

    /// <summary>The share of the epochs over which the weight of the KL term rises to one.</summary>
    public double Warmup { get; init; } = 0.1;

    /// <summary>Noise samples a training step.</summary>
    public int TrainingSamples { get; init; } = 1;

    /// <summary>Where the noise of a layer enters while training and predicting.</summary>
    public Estimator Estimator { get; init; } = Estimator.LocalReparameterization;

    /// <summary>Posterior samples of a prediction.</summary>
    public int Samples { get; init; } = 200;

    /// <summary>The share of rows held out.</summary>
    public double TestFraction { get; init; } = 0.1;

    /// <summary>Seeds the division of the rows, the initial weights, the order of the rows and the noise.</summary>
    public ulong Seed { get; init; } = 1;
}

/// <summary>The nonlinearity of a hidden layer.</summary>
internal enum Activation
{
    Relu,
    Tanh,
    Bump,
}
