using System.Reflection;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace BayesNet.ML.Persistence;

/// <summary>
/// All of ML.NET that has no public name and is needed here: a model file's header, writer and reader, the environment of a catalog, and the description of a
/// column. A version of ML.NET that lacks one is named by the exception.
/// </summary>
internal static class ModelContexts
{
    private const BindingFlags Any = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;

    /// <summary>The assembly that they are in, Microsoft.ML.Core.</summary>
    internal static Assembly Core => typeof(ModelSaveContext).Assembly;

    /// <summary>Begins a model in the file.</summary>
    /// <param name="context">The place in the file.</param>
    /// <param name="signature">Eight characters that tell the kind of model.</param>
    /// <param name="loaderAssembly">The assembly that names the loader.</param>
    /// <param name="loader">The name of the loader there.</param>
    /// <returns>The file's, not to be disposed.</returns>
    internal static BinaryWriter Begin(ModelSaveContext context, string signature, string loaderAssembly, string loader)
    {
        object version = Activator.CreateInstance(Type("Microsoft.ML.VersionInfo"), signature, 1u, 1u, 1u, loaderAssembly, loader, null)!;
        MethodInfo begin = typeof(ModelSaveContext).GetMethod("SetVersionInfo", Any) ?? throw Lacks("ModelSaveContext.SetVersionInfo");
        begin.Invoke(context, [version]);
        return (BinaryWriter)Field(context, "Writer");
    }

    /// <summary>The reader of a ModelLoadContext, behind the header.</summary>
    internal static BinaryReader Reader(object context) => (BinaryReader)Field(context, "Reader");

    /// <summary>The environment, an <c>MLContext</c>, of a catalog of trainers.</summary>
    internal static IHostEnvironment Environment(object catalog)
        => (IHostEnvironment)(catalog.GetType().GetInterface("Microsoft.ML.Data.IInternalCatalog")?.GetProperty("Environment")?.GetValue(catalog) ?? throw Lacks("IInternalCatalog.Environment"));

    /// <summary>Describes a column before data are read.</summary>
    internal static SchemaShape.Column Column(string name, DataViewType type, bool isKey = false, bool isVector = false, SchemaShape? annotations = null)
    {
        SchemaShape.Column.VectorKind kind = isVector ? SchemaShape.Column.VectorKind.Vector : SchemaShape.Column.VectorKind.Scalar;
        ConstructorInfo constructor = typeof(SchemaShape.Column).GetConstructor(
            Any, [typeof(string), typeof(SchemaShape.Column.VectorKind), typeof(DataViewType), typeof(bool), typeof(SchemaShape)]) ?? throw Lacks("SchemaShape.Column");
        return (SchemaShape.Column)constructor.Invoke([name, kind, type, isKey, annotations]);
    }

    /// <summary>A type of Microsoft.ML.Core.</summary>
    internal static Type Type(string name) => Core.GetType(name) ?? throw Lacks(name);

    /// <summary>What is thrown where this version of ML.NET has no such member.</summary>
    internal static NotSupportedException Lacks(string member)
        => new($"{Core.GetName().Name} {Core.GetName().Version} has no {member}, which BayesNet.ML saves, loads or describes models by; reference Microsoft.ML 5.0.1.");

    private static object Field(object owner, string name) => owner.GetType().GetField(name, Any)?.GetValue(owner) ?? throw Lacks($"{owner.GetType().Name}.{name}");
}
