using BayesNet.ML.Fitting;
using Microsoft.ML;

namespace BayesNet.ML.Views;

/// <summary>The columns of an input and, behind them, those that a transformer adds.</summary>
internal sealed class PredictionSchema
{
    internal PredictionSchema(BayesianTransformer transformer, DataViewSchema input)
    {
        ArgumentNullException.ThrowIfNull(input);
        (Transformer, Input) = (transformer, input);
        Features = Columns.Features(input, transformer.FeatureColumnName, transformer.Model.Inputs);
        var builder = new DataViewSchema.Builder();
        builder.AddColumns(input);
        foreach (OutputColumn column in transformer.Outputs)
            builder.AddColumn(column.Name, column.Type, column.Annotations);
        Output = builder.ToSchema();
    }

    internal BayesianTransformer Transformer { get; }

    internal DataViewSchema Input { get; }

    internal DataViewSchema Output { get; }

    /// <summary>The feature column of the input.</summary>
    internal DataViewSchema.Column Features { get; }

    /// <summary>Which columns of the output are among some.</summary>
    internal bool[] Active(IEnumerable<DataViewSchema.Column> columns)
    {
        var active = new bool[Output.Count];
        foreach (DataViewSchema.Column column in columns)
            active[Checked(column)] = true;
        return active;
    }

    /// <summary>The columns of the input that pass through, of those that are active.</summary>
    internal IEnumerable<DataViewSchema.Column> PassedOn(bool[] active) => Input.Where(column => active[column.Index]);

    /// <summary>Whether a column that is predicted is active.</summary>
    internal bool Predicts(bool[] active) => active.AsSpan(Input.Count).Contains(true);

    /// <summary>A getter of a column of the output.</summary>
    /// <param name="row">The row of the input, for columns that pass through.</param>
    /// <param name="active">Which columns are.</param>
    /// <param name="column">The column.</param>
    /// <param name="current">The predictions at hand, and the row among them.</param>
    /// <exception cref="ArgumentException">The column is not active, or has another type.</exception>
    internal ValueGetter<T> Getter<T>(DataViewRow row, bool[] active, DataViewSchema.Column column, Func<(PredictedRows Rows, int Row)> current)
    {
        int index = Checked(column);
        if (!active[index])
            throw new ArgumentException($"The column '{column.Name}' was not asked for when the cursor was made.", nameof(column));
        if (index < Input.Count)
            return row.GetGetter<T>(Input[index]);
        int predicted = index - Input.Count;
        Delegate getter = Transformer.Outputs[predicted].Getter(() =>
        {
            (PredictedRows rows, int at) = current();
            return (rows.Column(predicted), at);
        });
        return getter as ValueGetter<T>
            ?? throw new ArgumentException($"The column '{column.Name}' has the type {column.Type}, which {typeof(T)} does not hold.", nameof(column));
    }

    private int Checked(DataViewSchema.Column column)
        => column.Index < Output.Count && Output[column.Index].Name == column.Name
            ? column.Index
            : throw new ArgumentException($"The column '{column.Name}' is not of this schema.", nameof(column));
}
