using BayesNet.Estimators;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Layers;

/// <summary>What the layers of a transformer are made of.</summary>
internal static class TransformerParts
{
    /// <summary>The options of a part: those of the whole, with a seed of its own.</summary>
    internal static BayesOptions Part(BayesOptions? options, int part)
    {
        options ??= BayesOptions.Default;
        return options with { Seed = Seeds.Derive(options.Seed, part) };
    }

    /// <summary>The layers of a stack, which have to go together.</summary>
    internal static TLayer[] Stack<TLayer>(TLayer[] layers, Func<TLayer, bool> batchFirst)
    {
        ArgumentNullException.ThrowIfNull(layers);
        return layers.Length > 0 && layers.Select(batchFirst).Distinct().Count() == 1
            ? layers
            : throw new ArgumentException("A stack has one layer or more, and all take the batch first, or none.", nameof(layers));
    }

    /// <summary>What the names of the layers of a trained stack begin with.</summary>
    internal static IEnumerable<string> Prefixes(nn.Module trained)
    {
        ArgumentNullException.ThrowIfNull(trained);
        int layers = trained.named_parameters().Count(entry => entry.name.EndsWith(".norm1.weight", StringComparison.Ordinal));
        return Enumerable.Range(0, layers).Select(i => $"layers.{i}.");
    }

    internal static LayerNorm Norm(long features, Device? device, ScalarType? dtype) => nn.LayerNorm(features, device: device, dtype: dtype);

    /// <summary>A copy of a normalisation that a trained layer has under a name.</summary>
    internal static LayerNorm Norm(nn.Module trained, string name)
    {
        (Tensor weight, Tensor bias) = (Find(trained, name + ".weight"), Find(trained, name + ".bias"));
        LayerNorm copy = nn.LayerNorm(weight.size(0), device: weight.device, dtype: weight.dtype);
        using (no_grad())
        {
            copy.weight!.copy_(weight);
            copy.bias!.copy_(bias);
        }

        return copy;
    }

    /// <summary>A layer around copies of the weights that a trained layer has under a name.</summary>
    internal static BayesLinear Linear(nn.Module trained, string name, BayesOptions options)
        => new(Find(trained, name + ".weight"), Find(trained, name + ".bias"), options);

    internal static Tensor Drop(Tensor input, double share) => share > 0 ? nn.functional.dropout(input, share, training: true) : input;

    internal static Tensor Activate(Tensor input, nn.Activations activation)
        => activation == nn.Activations.GELU ? nn.functional.gelu(input) : nn.functional.relu(input);

    /// <summary>A linear layer over (positions, batch, features) or, with <paramref name="batchFirst"/>, (batch, positions, features), example by example.</summary>
    internal static Tensor InExamples(BayesLinear linear, Tensor input, bool batchFirst)
        => batchFirst ? linear.call(input) : linear.call(input.transpose(0, 1)).transpose(0, 1);

    private static Parameter Find(nn.Module trained, string name)
        => trained.named_parameters().FirstOrDefault(entry => entry.name == name).parameter
            ?? throw new ArgumentException($"{trained.GetName()} has no parameter {name}; give the TorchSharp twin of this layer.", nameof(trained));
}
