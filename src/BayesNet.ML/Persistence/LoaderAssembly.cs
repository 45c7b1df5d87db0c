using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;
using System.Runtime.Loader;
using Microsoft.ML;

namespace BayesNet.ML.Persistence;

/// <summary>
/// An assembly of one attribute, which tells ML.NET the loader of the transformers here. ML.NET looks for loaders in the assembly that a model file names, by
/// an attribute that it keeps internal, so that no compiled assembly of others can carry it; this one is emitted when the first model is loaded.
/// </summary>
internal static class LoaderAssembly
{
    /// <summary>The name that model files have.</summary>
    internal const string Name = "BayesNet.ML.Loader";

    /// <summary>The name of the loader in it.</summary>
    internal const string Loader = "BayesianNetwork";

    private static readonly Lazy<Assembly> Emitted = new(Emit);

    /// <summary>Has the assembly where ML.NET finds it.</summary>
    internal static void Ensure() => _ = Emitted.Value;

    private static Assembly Emit()
    {
        var assembly = new PersistedAssemblyBuilder(new AssemblyName(Name) { Version = new Version(1, 0, 0, 0) }, typeof(object).Assembly);
        assembly.DefineDynamicModule(Name);
        Set(typeof(IgnoresAccessChecksToAttribute), [typeof(string)], [ModelContexts.Core.GetName().Name]);
        Set(
            ModelContexts.Type("Microsoft.ML.LoadableClassAttribute"),
            [typeof(Type), typeof(Type), typeof(Type), typeof(Type), typeof(string), typeof(string[])],
            [typeof(ITransformer), typeof(TransformerLoader), null, ModelContexts.Type("Microsoft.ML.SignatureLoadModel"), "Bayesian network", new[] { Loader }]);
        using var image = new MemoryStream();
        assembly.Save(image);
        image.Position = 0;
        return AssemblyLoadContext.GetLoadContext(ModelContexts.Core)!.LoadFromStream(image);

        void Set(Type attribute, Type[] types, object?[] values)
            => assembly.SetCustomAttribute(new CustomAttributeBuilder(attribute.GetConstructor(types) ?? throw ModelContexts.Lacks(attribute.Name), values));
    }
}
