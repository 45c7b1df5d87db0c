using BayesNet.ML.Fitting;
using BayesNet.Runtime;
using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace BayesNet.ML.Persistence;

/// <summary>Reads transformers from model files; ML.NET finds it by <see cref="LoaderAssembly"/> and calls <see cref="Create"/>.</summary>
internal static class TransformerLoader
{
    /// <summary>Reads a transformer.</summary>
    /// <param name="env">The environment that loads it.</param>
    /// <param name="context">A ModelLoadContext, a type that ML.NET keeps internal.</param>
    /// <exception cref="InvalidDataException">The model is of another version.</exception>
    internal static ITransformer Create(IHostEnvironment env, object context)
    {
        ArgumentNullException.ThrowIfNull(env);
        NativeLibraries.Load();
        BinaryReader reader = ModelContexts.Reader(context);
        int version = reader.ReadInt32();
        if (version != SavedTransformer.Version)
            throw new InvalidDataException($"The Bayesian network has version {version} of the format, and this BayesNet.ML reads version {SavedTransformer.Version}; update the package.");
        var kind = (TransformerKind)reader.ReadByte();
        string featureColumnName = reader.ReadString();
        Standardization features = reader.ReadStandardization();
        PosteriorSample model = reader.ReadPosteriorSample();
        return kind == TransformerKind.Regression
            ? BayesianRegressionTransformer.Read(model, features, featureColumnName, reader)
            : BayesianMulticlassTransformer.Read(model, features, featureColumnName, reader);
    }
}
