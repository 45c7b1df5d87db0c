using BayesNet.Likelihoods;
using BayesNet.ML.Fitting;
using BayesNet.ML.Persistence;
using BayesNet.Training;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using static TorchSharp.torch;

namespace BayesNet.ML;

/// <summary>
/// Trains a Bayesian network for a label that is a key, as <c>MapValueToKey</c> makes it: <c>ml.MulticlassClassification.Trainers.BayesianNetwork()</c>. Its columns
/// are those of <see cref="BayesianMulticlassTransformer"/>, of which <c>ml.MulticlassClassification.Evaluate</c> and <c>CrossValidate</c> take PredictedLabel and Score.
/// </summary>
/// <remarks>Rows without a label are left out, with a warning in ML.NET's log; rows have equal weights.</remarks>
public sealed class BayesianMulticlassTrainer : BayesianTrainer<BayesianMulticlassTransformer>
{
    /// <summary>Creates the trainer.</summary>
    /// <param name="environment">The <c>MLContext</c>.</param>
    /// <param name="labelColumnName">The label, a key.</param>
    /// <param name="featureColumnName">The features, a vector of known size of Single.</param>
    /// <param name="options">The network and its training; null for the defaults. What concerns noise and intervals is not used.</param>
    public BayesianMulticlassTrainer(
        IHostEnvironment environment, string labelColumnName = "Label", string featureColumnName = "Features", BayesianNetworkOptions? options = null)
        : base(environment, labelColumnName, featureColumnName, options)
    {
    }

    private protected override bool LabelIsKey => true;

    private protected override BayesianMulticlassTransformer Fit(FitInput input)
    {
        ClassKeys classes = ClassKeys.Of(input.Label);
        if (classes.Count < 2)
            throw new ArgumentException($"The label column '{LabelColumnName}' has {classes.Count} class; there must be two at least: check how the key was made, and from which rows.");
        (TrainingData training, TrainingData? validation) = input.Data(labels => tensor(Array.ConvertAll(labels, label => (long)label)));
        PosteriorSample model = NetworkFit.Fit(Options, classes.Count, () => new CategoricalLikelihood(), training, validation, input.Seed, input.Channel);
        return new BayesianMulticlassTransformer(model, input.Units, FeatureColumnName, classes);
    }

    private protected override SchemaShape.Column[] OutputColumns(SchemaShape.Column label) =>
    [
        ModelContexts.Column("PredictedLabel", NumberDataViewType.UInt32, isKey: true, annotations: Annotations(label.Annotations.Where(annotation => annotation.Name == "KeyValues"))),
        ModelContexts.Column("Score", NumberDataViewType.Single, isVector: true, annotations: Annotations(ModelContexts.Column("SlotNames", TextDataViewType.Instance, isVector: true))),
        Number("MutualInformation"),
        Number("Entropy"),
    ];
}
