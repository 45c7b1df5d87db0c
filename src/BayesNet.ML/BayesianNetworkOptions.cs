using BayesNet.Runtime;

namespace BayesNet.ML;

/// <summary>The function of a hidden unit.</summary>
public enum HiddenActivation
{
    /// <summary>max(0, x).</summary>
    Relu,

    /// <summary>The hyperbolic tangent.</summary>
    Tanh,
}

/// <summary>How the posterior over networks is found.</summary>
public enum PosteriorMethod
{
    /// <summary>Independent Gaussian weights, fitted by the evidence lower bound (<see cref="Inference.VariationalInference"/>).</summary>
    VariationalInference,

    /// <summary>
    /// Networks at their maxima a posteriori from initial weights of their own (<see cref="Inference.DeepEnsemble"/>); as many times the time of one.
    /// </summary>
    DeepEnsemble,
}

/// <summary>What is assumed of the noise of a regression's target.</summary>
public enum NoiseModel
{
    /// <summary>One level for all rows, learned.</summary>
    Constant,

    /// <summary>A level that the network predicts for every row, from its features.</summary>
    Heteroscedastic,
}

/// <summary>
/// What a Bayesian network in an ML.NET pipeline looks like, and how it is trained. The defaults are those that were tuned on regression sets of 300
/// to 1,600 rows (the report on UCI sets); features and targets are standardised within, so they hold whatever the units.
/// </summary>
public sealed record BayesianNetworkOptions
{
    /// <summary>The units of each hidden layer; one layer of 50 by default, none for a linear model.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A layer has less than one unit.</exception>
    public IReadOnlyList<int> HiddenUnits
    {
        get;
        init
        {
            ArgumentNullException.ThrowIfNull(value, nameof(HiddenUnits));
            field = [.. value.Select(units => (int)Guard.AtLeastOne(units, nameof(HiddenUnits)))];
        }
    } = [50];

    /// <summary>The function of the hidden units; ReLU by default.</summary>
    public HiddenActivation Activation { get; init; }

    /// <summary>How the posterior is found; variational inference by default.</summary>
    public PosteriorMethod Method { get; init; }

    /// <summary>The networks of a <see cref="PosteriorMethod.DeepEnsemble"/>; 5 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int Members { get; init => field = (int)Guard.AtLeastOne(value, nameof(Members)); } = 5;

    /// <summary>What a regression assumes of the noise; one level for all rows by default.</summary>
    public NoiseModel Noise { get; init; }

    /// <summary>Passes over the training rows; null, the default, for as many as make 10,000 steps of the optimizer.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int? Epochs { get; init => field = value is { } epochs ? (int)Guard.AtLeastOne(epochs, nameof(Epochs)) : null; }

    /// <summary>Rows of a minibatch; 128 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int BatchSize { get; init => field = (int)Guard.AtLeastOne(value, nameof(BatchSize)); } = 128;

    /// <summary>Adam's learning rate at the start, 0.005 by default; it falls along half a cosine to a hundredth.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above zero.</exception>
    public double LearningRate { get; init => field = Guard.Positive(value, nameof(LearningRate)); } = 0.005;

    /// <summary>
    /// Networks drawn from the posterior after training, which make every prediction; 100 by default. They are what a saved model holds. An ensemble has
    /// its members in their place.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int Samples { get; init => field = (int)Guard.AtLeastOne(value, nameof(Samples)); } = 100;

    /// <summary>The share of the predictive distribution between the columns Lower and Upper of a regression; 0.95 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not strictly between 0 and 1.</exception>
    public double IntervalLevel { get; init => field = Guard.OpenUnitInterval(value, nameof(IntervalLevel)); } = 0.95;

    /// <summary>
    /// The share of a regression's rows, drawn at random, that is not trained on but widens or narrows Lower and Upper until they hold what they should
    /// (<see cref="Metrics.ConformalIntervals"/>: mean -+ radius x standard deviation, with a guarantee that asks nothing of the model); 0, the default, for the
    /// predictive distribution's own interval. Ensembles need it most.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 0, or 1 or more.</exception>
    public double CalibrationFraction
    {
        get;
        init => field = value is >= 0 and < 1
            ? value
            : throw new ArgumentOutOfRangeException(nameof(CalibrationFraction), value, "CalibrationFraction must be 0, for none, or a share of the rows below 1.");
    }

    /// <summary>
    /// Where there are validation rows: scorings without an improvement, of about a hundred in a run, after which training stops and goes back to the best;
    /// 20 by default.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int Patience { get; init => field = (int)Guard.AtLeastOne(value, nameof(Patience)); } = 20;

    /// <summary>
    /// Seeds initial weights, the order of the rows, the noise of training and the drawn networks; null, the default, takes a seed from the
    /// <c>MLContext</c>, which repeats itself where that was given one.
    /// </summary>
    public ulong? Seed { get; init; }
}
