using BayesNet.ML.Persistence;
using Microsoft.ML;

namespace BayesNet.ML;

/// <summary>Bayesian networks among ML.NET's trainers.</summary>
public static class BayesianNetworkCatalog
{
    /// <summary>
    /// A Bayesian regression: a pipeline that ends in it predicts Score, StandardDeviation, Lower and Upper, and the epistemic and the aleatoric part
    /// (<see cref="BayesianRegressionTransformer"/>).
    /// </summary>
    /// <param name="trainers"><c>ml.Regression.Trainers</c>.</param>
    /// <param name="labelColumnName">The label, of type Single.</param>
    /// <param name="featureColumnName">The features, a vector of known size of Single; they are standardised within.</param>
    /// <param name="options">The network and its training; null for the defaults.</param>
    public static BayesianRegressionTrainer BayesianNetwork(
        this RegressionCatalog.RegressionTrainers trainers, string labelColumnName = "Label", string featureColumnName = "Features", BayesianNetworkOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(trainers);
        return new BayesianRegressionTrainer(ModelContexts.Environment(trainers), labelColumnName, featureColumnName, options);
    }

    /// <summary>
    /// A Bayesian classifier: a pipeline that ends in it predicts PredictedLabel, Score (the class probabilities), MutualInformation and Entropy
    /// (<see cref="BayesianMulticlassTransformer"/>).
    /// </summary>
    /// <param name="trainers"><c>ml.MulticlassClassification.Trainers</c>.</param>
    /// <param name="labelColumnName">The label, a key, as <c>ml.Transforms.Conversion.MapValueToKey</c> makes it.</param>
    /// <param name="featureColumnName">The features, a vector of known size of Single; they are standardised within.</param>
    /// <param name="options">The network and its training; null for the defaults.</param>
    public static BayesianMulticlassTrainer BayesianNetwork(
        this MulticlassClassificationCatalog.MulticlassClassificationTrainers trainers,
        string labelColumnName = "Label",
        string featureColumnName = "Features",
        BayesianNetworkOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(trainers);
        return new BayesianMulticlassTrainer(ModelContexts.Environment(trainers), labelColumnName, featureColumnName, options);
    }
}
