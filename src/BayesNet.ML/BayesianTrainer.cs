using System.Globalization;
using BayesNet.ML.Fitting;
using BayesNet.ML.Persistence;
using BayesNet.Runtime;
using BayesNet.Training;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using static TorchSharp.torch;

namespace BayesNet.ML;

/// <summary>Trains Bayesian networks in ML.NET pipelines.</summary>
/// <typeparam name="TTransformer">What is trained.</typeparam>
public abstract class BayesianTrainer<TTransformer> : IEstimator<TTransformer>
    where TTransformer : BayesianTransformer
{
    private readonly IHostEnvironment _environment;

    private protected BayesianTrainer(IHostEnvironment environment, string labelColumnName, string featureColumnName, BayesianNetworkOptions? options)
    {
        ArgumentNullException.ThrowIfNull(environment);
        ArgumentException.ThrowIfNullOrWhiteSpace(labelColumnName);
        ArgumentException.ThrowIfNullOrWhiteSpace(featureColumnName);
        (_environment, LabelColumnName, FeatureColumnName, Options) = (environment, labelColumnName, featureColumnName, options ?? new BayesianNetworkOptions());
    }

    /// <summary>The column that is learned.</summary>
    public string LabelColumnName { get; }

    /// <summary>The column that it is learned from, a vector of Single.</summary>
    public string FeatureColumnName { get; }

    /// <summary>The network and its training.</summary>
    public BayesianNetworkOptions Options { get; }

    private protected abstract bool LabelIsKey { get; }

    /// <summary>The share of the rows that is not trained on.</summary>
    private protected virtual double HeldShare => 0;

    /// <summary>Trains on all rows that have a label.</summary>
    /// <param name="input">The rows; read once, into memory.</param>
    /// <exception cref="ArgumentException">
    /// A column is missing or has another type, there is no row with a label, or a feature is missing or infinite; the message names the column and the remedy.
    /// </exception>
    public TTransformer Fit(IDataView input) => Fit(input, null);

    /// <summary>The same with early stopping: training ends for want of progress on the validation rows, and goes back to the best.</summary>
    /// <param name="input">The rows; read once, into memory.</param>
    /// <param name="validation">Rows that are scored in the course of training and never trained on; null for none.</param>
    /// <inheritdoc cref="Fit(IDataView)" path="/exception"/>
    public TTransformer Fit(IDataView input, IDataView? validation)
    {
        ArgumentNullException.ThrowIfNull(input);
        NativeLibraries.Load();
        IHost host = _environment.Register("BayesianNetwork");
        using IChannel channel = host.Start("Training");
        DataViewSchema.Column features = Columns.Features(input.Schema, FeatureColumnName), label = Columns.Label(input.Schema, LabelColumnName, LabelIsKey);
        int size = ((VectorDataViewType)features.Type).Size;
        ulong seed = Options.Seed ?? unchecked((ulong)host.Rand.NextInt64());
        (LabelledRows rows, LabelledRows? held) = (Read(input, size), null);
        if (HeldShare > 0)
            (rows, held) = rows.Divide(HeldShare, seed);
        Standardization units = Standardization.Of(rows.Features, size);
        using var scope = NewDisposeScope();
        TTransformer fitted = Fit(new FitInput(rows, validation is null ? null : Read(validation, size), held, units, label, seed, channel));
        channel.Info(MessageSensitivity.None, "Trained on {0} rows of {1} features.", rows.Labels.Length, units.Mean.Length);
        return fitted;

        LabelledRows Read(IDataView data, int size)
        {
            LabelledRows read = LabelledRows.Read(
                data, Columns.Features(data.Schema, FeatureColumnName, size), Columns.Label(data.Schema, LabelColumnName, LabelIsKey));
            if (read.Skipped > 0)
                channel.Warning(MessageSensitivity.Schema, "{0} rows have no label '{1}' and are left out.", read.Skipped.ToString(CultureInfo.InvariantCulture), LabelColumnName);
            return read;
        }
    }

    /// <summary>The columns that a trained transformer returns, those of the input among them.</summary>
    /// <exception cref="ArgumentException">A column is missing or has another type; the message names the column and the remedy.</exception>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        Columns.RequireFeatures(inputSchema, FeatureColumnName);
        SchemaShape.Column[] added = OutputColumns(Columns.RequireLabel(inputSchema, LabelColumnName, LabelIsKey));
        return new SchemaShape(inputSchema.Where(column => added.All(other => other.Name != column.Name)).Concat(added));
    }

    private protected abstract TTransformer Fit(FitInput input);

    private protected abstract SchemaShape.Column[] OutputColumns(SchemaShape.Column label);

    /// <summary>Describes a column of Single.</summary>
    private protected static SchemaShape.Column Number(string name) => ModelContexts.Column(name, NumberDataViewType.Single, annotations: Annotations());

    /// <summary>Describes the annotations of a column of scores, and others.</summary>
    private protected static SchemaShape Annotations(params IEnumerable<SchemaShape.Column> others) => new(
    [
        ModelContexts.Column("ScoreColumnKind", TextDataViewType.Instance),
        ModelContexts.Column("ScoreValueKind", TextDataViewType.Instance),
        .. others,
    ]);

    /// <summary>What a task trains on.</summary>
    private protected sealed record FitInput(
        LabelledRows Rows, LabelledRows? Validation, LabelledRows? Held, Standardization Units, DataViewSchema.Column Label, ulong Seed, IChannel Channel)
    {
        /// <summary>Training and validation rows, standardised, with the targets that a task makes of labels.</summary>
        internal (TrainingData Training, TrainingData? Validation) Data(Func<float[], Tensor> targets) => (Of(Rows, targets), Validation is null ? null : Of(Validation, targets));

        private TrainingData Of(LabelledRows rows, Func<float[], Tensor> targets)
            => new(tensor(Units.Apply(rows.Features), rows.Labels.Length, Units.Mean.Length), targets(rows.Labels));
    }
}
