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
/// A trained Bayesian network in an ML.NET pipeline: adds columns of predictions, for data views (in blocks of rows, as they are read) and for single
/// rows (<c>PredictionEngine</c>). It is saved and loaded with the pipeline, and predicts from several threads at a time.
/// </summary>
/// <remarks>
/// <para>
/// A row whose features hold NaN or infinity has no prediction: its numbers are NaN, its class is the missing key, as ML.NET's own trainers have it. Dispose the
/// transformer, or the chain that holds it, to free its weights at once; else they go with the garbage collector.
/// </para>
/// <para>
/// It is written against ML.NET's public interfaces: the base classes of ML.NET's own transformers have members that other assemblies can't override. What
/// has no public way, the model file and its loader, is in <c>Persistence</c>.
/// </para>
/// </remarks>
public abstract class BayesianTransformer : ISingleFeaturePredictionTransformer<PosteriorSample>, IDisposable
{
    private readonly Standardization _features;

    private protected BayesianTransformer(PosteriorSample model, Standardization features, string featureColumnName)
    {
        (Model, _features, FeatureColumnName) = (model, features, featureColumnName);
        FeatureColumnType = new VectorDataViewType(NumberDataViewType.Single, model.Inputs);
    }

    /// <summary>The networks that predict.</summary>
    public PosteriorSample Model { get; }

    /// <summary>The name of the feature column.</summary>
    public string FeatureColumnName { get; }

    /// <summary>The type of the feature column: a vector of Single, of the size that the network was trained on.</summary>
    public DataViewType FeatureColumnType { get; }

    /// <summary>True: single rows can be predicted.</summary>
    public bool IsRowToRowMapper => true;

    /// <summary>The columns that are added.</summary>
    internal abstract IReadOnlyList<OutputColumn> Outputs { get; }

    /// <summary>How labels are distributed around the networks' outputs.</summary>
    private protected abstract Likelihood Likelihood { get; }

    /// <summary>What a model file calls this kind of transformer.</summary>
    internal abstract TransformerKind Kind { get; }

    /// <summary>The input's columns and, behind them, those of the predictions.</summary>
    /// <exception cref="ArgumentException">The feature column is missing, or has another type or size.</exception>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => new PredictionSchema(this, inputSchema).Output;

    /// <summary>The input with predictions, which are computed as they are read.</summary>
    /// <exception cref="ArgumentException">The feature column is missing, or has another type or size.</exception>
    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new PredictionView(this, input);
    }

    /// <summary>Predicts single rows of a schema.</summary>
    /// <exception cref="ArgumentException">The feature column is missing, or has another type or size.</exception>
    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => new PredictionMapper(this, inputSchema);

    void ICanSaveModel.Save(ModelSaveContext ctx) => SavedTransformer.Save(this, ctx);

    /// <summary>Frees the networks.</summary>
    public void Dispose()
    {
        Model.Dispose();
        Likelihood.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>The predictive distribution of rows of features in their own units; the caller's to dispose.</summary>
    internal Predictive Predict(float[] features)
    {
        using var scope = NewDisposeScope();
        return InUnits(Likelihood.Predict(Model.Evaluate(tensor(_features.Apply(features), features.Length / Model.Inputs, Model.Inputs))));
    }

    /// <summary>A predictive distribution in the label's units; the standardised one is taken over.</summary>
    private protected virtual Predictive InUnits(Predictive standardised) => standardised;

    /// <summary>Writes what <see cref="TransformerLoader"/> reads.</summary>
    internal void Write(BinaryWriter writer)
    {
        writer.Write(FeatureColumnName);
        writer.Write(_features);
        writer.Write(Model);
        WriteOwn(writer);
    }

    /// <summary>Writes what a kind of transformer has beside.</summary>
    private protected abstract void WriteOwn(BinaryWriter writer);

    /// <summary>Annotations of a column of scores.</summary>
    private protected static DataViewSchema.Annotations.Builder ScoreAnnotations(string task, string value)
    {
        var builder = new DataViewSchema.Annotations.Builder();
        builder.AddPrimitiveValue("ScoreColumnKind", TextDataViewType.Instance, task.AsMemory());
        builder.AddPrimitiveValue("ScoreValueKind", TextDataViewType.Instance, value.AsMemory());
        return builder;
    }
}
