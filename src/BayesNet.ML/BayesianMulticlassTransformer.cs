using BayesNet.Likelihoods;
using BayesNet.ML.Fitting;
using BayesNet.ML.Persistence;
using BayesNet.ML.Views;
using BayesNet.Prediction;
using Microsoft.ML;
using Microsoft.ML.Data;
using static TorchSharp.torch;

namespace BayesNet.ML;

/// <summary>
/// A trained Bayesian classifier. It adds PredictedLabel, a key with the label's key values; Score, the vector of class probabilities, whose slots have the
/// classes' names; MutualInformation, the epistemic part of the uncertainty, high where networks contradict each other; and Entropy, the whole. The last two in
/// nats, of type Single.
/// </summary>
public sealed class BayesianMulticlassTransformer : BayesianTransformer
{
    private const string Task = "MulticlassClassification";

    private readonly ClassKeys _classes;

    internal BayesianMulticlassTransformer(PosteriorSample model, Standardization features, string featureColumnName, ClassKeys classes)
        : base(model, features, featureColumnName)
    {
        _classes = classes;
        DataViewSchema.Annotations.Builder label = ScoreAnnotations(Task, "PredictedLabel"), score = ScoreAnnotations(Task, "Score");
        classes.AddKeyValues(label);
        classes.AddSlotNames(score);
        Outputs =
        [
            new OutputColumn("PredictedLabel", new KeyDataViewType(typeof(uint), classes.Count), Of(predictive => predictive.PredictedClass), label.ToAnnotations()),
            new OutputColumn("Score", new VectorDataViewType(NumberDataViewType.Single, classes.Count), predictive => predictive.Mean, score.ToAnnotations()),
            new OutputColumn("MutualInformation", NumberDataViewType.Single, Of(predictive => predictive.MutualInformation), ScoreAnnotations(Task, "MutualInformation").ToAnnotations()),
            new OutputColumn("Entropy", NumberDataViewType.Single, Of(predictive => predictive.PredictiveEntropy), ScoreAnnotations(Task, "Entropy").ToAnnotations()),
        ];

        static Func<Predictive, Tensor> Of(Func<CategoricalPredictive, Tensor> values) => predictive => values((CategoricalPredictive)predictive);
    }

    /// <summary>The names of the classes, in the order of the slots of Score.</summary>
    public IReadOnlyList<string> ClassNames => _classes.Names;

    internal override IReadOnlyList<OutputColumn> Outputs { get; }

    internal override TransformerKind Kind => TransformerKind.Multiclass;

    private protected override Likelihood Likelihood { get; } = new CategoricalLikelihood();

    internal static BayesianMulticlassTransformer Read(PosteriorSample model, Standardization features, string featureColumnName, BinaryReader reader)
        => new(model, features, featureColumnName, ClassKeys.Read(reader));

    private protected override void WriteOwn(BinaryWriter writer) => _classes.Write(writer);
}
