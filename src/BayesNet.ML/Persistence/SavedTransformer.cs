using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace BayesNet.ML.Persistence;

/// <summary>What a model file calls the transformers.</summary>
internal enum TransformerKind : byte
{
    Regression = 1,
    Multiclass = 2,
}

/// <summary>
/// A transformer as a model file has it: a chain of <see cref="LoaderMarker"/>, which ML.NET loads first and which makes the loader known, and the transformer. So
/// <c>ml.Model.Load</c> needs no call of its reader's, in any process that has BayesNet.ML beside it.
/// </summary>
internal sealed class SavedTransformer(BayesianTransformer transformer) : ITransformer
{
    /// <summary>The version of what is written behind the header.</summary>
    internal const int Version = 1;

    public bool IsRowToRowMapper => transformer.IsRowToRowMapper;

    /// <summary>Writes a transformer into a model file.</summary>
    internal static void Save(BayesianTransformer transformer, ModelSaveContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        ((ICanSaveModel)new TransformerChain<ITransformer>(LoaderMarker.Transformer.Value, new SavedTransformer(transformer))).Save(context);
    }

    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => transformer.GetOutputSchema(inputSchema);

    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => transformer.GetRowToRowMapper(inputSchema);

    public IDataView Transform(IDataView input) => transformer.Transform(input);

    void ICanSaveModel.Save(ModelSaveContext ctx)
    {
        BinaryWriter writer = ModelContexts.Begin(ctx, "BAYESNET", LoaderAssembly.Name, LoaderAssembly.Loader);
        writer.Write(Version);
        writer.Write((byte)transformer.Kind);
        transformer.Write(writer);
    }
}

/// <summary>A custom mapping of nothing to nothing. ML.NET finds its factory by a public attribute, and making one makes the loader known.</summary>
[CustomMappingFactoryAttribute(Contract)]
internal sealed class LoaderMarker : CustomMappingFactory<LoaderMarker.Nothing, LoaderMarker.Nothing>
{
    private const string Contract = "BayesNet.ML.LoaderMarker";

    /// <summary>What is written in front of every transformer.</summary>
    internal static readonly Lazy<ITransformer> Transformer = new(() =>
    {
        var ml = new MLContext();
        return ml.Transforms.CustomMapping<Nothing, Nothing>(Map, Contract).Fit(ml.Data.LoadFromEnumerable(Array.Empty<Row>()));
    });

    /// <summary>ML.NET creates one when it reads a model file.</summary>
    public LoaderMarker() => LoaderAssembly.Ensure();

    /// <inheritdoc/>
    public override Action<Nothing, Nothing> GetMapping() => Map;

    private static void Map(Nothing source, Nothing destination)
    {
    }

    /// <summary>No column.</summary>
    internal sealed class Nothing
    {
    }

    private sealed class Row
    {
        public float Value { get; set; }
    }
}
