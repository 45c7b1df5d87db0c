using Microsoft.ML;
using Microsoft.ML.Data;

namespace BayesNet.ML.Fitting;

/// <summary>Finds the columns that are trained and predicted from, or says what is wrong with them and how to make them right.</summary>
internal static class Columns
{
    /// <summary>The features of a data view: a vector of known size of Single.</summary>
    /// <param name="schema">The schema.</param>
    /// <param name="name">The column.</param>
    /// <param name="size">How many features a model takes; null for any number.</param>
    /// <exception cref="ArgumentException">There is no such column, or it has another type.</exception>
    internal static DataViewSchema.Column Features(DataViewSchema schema, string name, int? size = null)
    {
        DataViewSchema.Column column = schema.GetColumnOrNull(name) ?? throw Missing("feature", name, schema.Select(other => other.Name));
        if (column.Type is not VectorDataViewType { IsKnownSize: true } vector || vector.ItemType != NumberDataViewType.Single)
            throw WrongFeatures(name, column.Type.ToString());
        if (size is { } expected && vector.Size != expected)
        {
            throw new ArgumentException(
                $"The feature column '{name}' has {vector.Size} features, and the model was trained on {expected}; concatenate the same columns.", nameof(schema));
        }

        return column;
    }

    /// <summary>The label of a data view, of a type that the task takes.</summary>
    /// <exception cref="ArgumentException">There is no such column, or it has another type.</exception>
    internal static DataViewSchema.Column Label(DataViewSchema schema, string name, bool isKey)
    {
        DataViewSchema.Column column = schema.GetColumnOrNull(name) ?? throw Missing("label", name, schema.Select(other => other.Name));
        bool fits = isKey ? column.Type is KeyDataViewType { RawType: var raw } && raw == typeof(uint) : column.Type == NumberDataViewType.Single;
        return fits ? column : throw WrongLabel(name, column.Type.ToString(), isKey);
    }

    /// <summary>The same of the shape of a schema, which is all that there is before data are read.</summary>
    internal static void RequireFeatures(SchemaShape shape, string name)
    {
        SchemaShape.Column column = Find(shape, name, "feature");
        if (column.Kind != SchemaShape.Column.VectorKind.Vector || column.ItemType != NumberDataViewType.Single || column.IsKey)
            throw WrongFeatures(name, Describe(column));
    }

    /// <inheritdoc cref="RequireFeatures"/>
    internal static SchemaShape.Column RequireLabel(SchemaShape shape, string name, bool isKey)
    {
        SchemaShape.Column column = Find(shape, name, "label");
        bool fits = column.Kind == SchemaShape.Column.VectorKind.Scalar && column.IsKey == isKey
            && column.ItemType == (isKey ? NumberDataViewType.UInt32 : NumberDataViewType.Single);
        return fits ? column : throw WrongLabel(name, Describe(column), isKey);
    }

    private static SchemaShape.Column Find(SchemaShape shape, string name, string role)
    {
        foreach (SchemaShape.Column column in shape)
        {
            if (column.Name == name)
                return column;
        }

        throw Missing(role, name, shape.Select(column => column.Name));
    }

    private static string Describe(SchemaShape.Column column) => (column.IsKey ? $"Key<{column.ItemType}>" : column.ItemType.ToString()) + column.Kind switch
    {
        SchemaShape.Column.VectorKind.Scalar => "",
        SchemaShape.Column.VectorKind.Vector => " vector",
        _ => " vector of variable size",
    };

    private static ArgumentException Missing(string role, string name, IEnumerable<string> there) => new(
        $"There is no {role} column '{name}'; the columns are {string.Join(", ", there.Select(other => $"'{other}'"))}."
        + (role == "feature" ? $" Make it by ml.Transforms.Concatenate(\"{name}\", ...), or name another." : " Name the one to learn by labelColumnName."));

    private static ArgumentException WrongFeatures(string name, string? type) => new(
        $"The feature column '{name}' has the type {type}; a Bayesian network takes a vector of known size of Single. Convert numbers by "
        + $"ml.Transforms.Conversion.ConvertType, encode text by ml.Transforms.Categorical.OneHotEncoding, and join the columns by ml.Transforms.Concatenate(\"{name}\", ...).");

    private static ArgumentException WrongLabel(string name, string? type, bool isKey) => new(isKey
        ? $"The label column '{name}' has the type {type}; a multiclass trainer takes a key. Convert it by ml.Transforms.Conversion.MapValueToKey(\"{name}\")."
        : $"The label column '{name}' has the type {type}; a regression takes Single. Convert it by ml.Transforms.Conversion.ConvertType(\"{name}\", outputKind: DataKind.Single).");
}
