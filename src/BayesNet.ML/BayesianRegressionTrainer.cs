using System.Globalization;
using BayesNet.Likelihoods;
using BayesNet.ML.Fitting;
using BayesNet.Training;
using Microsoft.ML;
using Microsoft.ML.Runtime;
using static TorchSharp.torch;

namespace BayesNet.ML;

/// <summary>
/// Trains a Bayesian network for a label of type Single: <c>ml.Regression.Trainers.BayesianNetwork()</c>. Its columns are those of
/// <see cref="BayesianRegressionTransformer"/>, of which <c>ml.Regression.Evaluate</c> and <c>CrossValidate</c> take the Score.
/// </summary>
/// <remarks>Rows without a label are left out, with a warning in ML.NET's log; rows have equal weights.</remarks>
public sealed class BayesianRegressionTrainer : BayesianTrainer<BayesianRegressionTransformer>
{
    // In standard deviations of the label: keeps the density finite where a network can meet labels exactly.
    private const double LeastNoise = 1e-3;

    /// <summary>Creates the trainer.</summary>
    /// <param name="environment">The <c>MLContext</c>.</param>
    /// <param name="labelColumnName">The label, of type Single.</param>
    /// <param name="featureColumnName">The features, a vector of known size of Single.</param>
    /// <param name="options">The network and its training; null for the defaults.</param>
    public BayesianRegressionTrainer(
        IHostEnvironment environment, string labelColumnName = "Label", string featureColumnName = "Features", BayesianNetworkOptions? options = null)
        : base(environment, labelColumnName, featureColumnName, options)
    {
    }

    private protected override bool LabelIsKey => false;

    private protected override double HeldShare => Options.CalibrationFraction;

    private protected override BayesianRegressionTransformer Fit(FitInput input)
    {
        if (input.Held is { } held && held.Labels.Length * (1 - Options.IntervalLevel) < Options.IntervalLevel)
        {
            throw new ArgumentException(string.Create(
                CultureInfo.InvariantCulture,
                $"CalibrationFraction {Options.CalibrationFraction} holds back {held.Labels.Length} rows; intervals of level {Options.IntervalLevel} take {Math.Ceiling(Options.IntervalLevel / (1 - Options.IntervalLevel) - 1e-9):F0} at least: raise it, or train on more rows."));
        }

        Standardization label = Standardization.Of(input.Rows.Labels, 1);
        bool isConstant = Options.Noise == NoiseModel.Constant;
        (TrainingData training, TrainingData? validation) = input.Data(labels => tensor(label.Apply(labels), labels.Length, 1));
        PosteriorSample model = NetworkFit.Fit(
            Options,
            isConstant ? 1 : 2,
            () => isConstant ? new GaussianLikelihood(learnNoise: true) : new HeteroscedasticGaussianLikelihood(LeastNoise),
            training,
            validation,
            input.Seed,
            input.Channel);
        var trained = new BayesianRegressionTransformer(
            model, input.Units, FeatureColumnName, new RegressionUnits(label.Mean[0], label.StdDev[0], isConstant ? 0 : LeastNoise, Options.IntervalLevel));
        if (input.Held is not null)
            trained.Calibrate(input.Held);
        return trained;
    }

    private protected override SchemaShape.Column[] OutputColumns(SchemaShape.Column label)
        => [Number("Score"), Number("StandardDeviation"), Number("Lower"), Number("Upper"), Number("EpistemicStandardDeviation"), Number("AleatoricStandardDeviation")];
}
