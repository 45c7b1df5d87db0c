using System.IO.Enumeration;
using static TorchSharp.torch;

namespace BayesNet.Layers.Conversion;

/// <summary>Which layers of a model are made Bayesian, of those that have a Bayesian twin.</summary>
public abstract class LayerSelection
{
    private LayerSelection()
    {
    }

    /// <summary>Every one, the default.</summary>
    public static LayerSelection All { get; } = new ByPredicate((_, _) => true, "");

    /// <summary>The last in the model's order and no other: a Bayesian head on a deterministic trunk.</summary>
    public static LayerSelection LastLayer { get; } = new Last();

    /// <summary>Those of a class, such as <c>TorchSharp.Modules.Linear</c>.</summary>
    public static LayerSelection OfType<TModule>()
        where TModule : nn.Module
        => new ByPredicate((_, module) => module is TModule, $"it is no {typeof(TModule).Name}");

    /// <summary>Those whose names in the model, such as <c>block.0.fc</c>, fit one of the patterns; * stands for any text, dots included.</summary>
    public static LayerSelection Named(params string[] patterns)
    {
        ArgumentNullException.ThrowIfNull(patterns);
        return new ByPredicate((name, _) => patterns.Any(pattern => FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: false)), $"its name is none of {string.Join(", ", patterns)}");
    }

    /// <summary>Those for which a function of their names and themselves is true.</summary>
    public static LayerSelection Where(Func<string, nn.Module, bool> predicate)
    {
        ArgumentNullException.ThrowIfNull(predicate);
        return new ByPredicate(predicate, "the selection leaves it out");
    }

    /// <summary>Why a layer is not selected, as the end of a sentence, of each; null where it is.</summary>
    internal abstract IReadOnlyList<string?> WhyNot(IReadOnlyList<(string Name, nn.Module Module)> layers);

    private sealed class ByPredicate(Func<string, nn.Module, bool> predicate, string otherwise) : LayerSelection
    {
        internal override IReadOnlyList<string?> WhyNot(IReadOnlyList<(string Name, nn.Module Module)> layers)
            => [.. layers.Select(layer => predicate(layer.Name, layer.Module) ? null : otherwise)];
    }

    private sealed class Last : LayerSelection
    {
        internal override IReadOnlyList<string?> WhyNot(IReadOnlyList<(string Name, nn.Module Module)> layers)
            => [.. layers.Select((_, i) => i == layers.Count - 1 ? null : "it is not the last layer")];
    }
}
