using System.Reflection;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Layers.Conversion;

/// <summary>The modules of a model as a graph, and the replacement of some of them wherever they stand.</summary>
internal sealed class ModuleGraph
{
    private readonly List<(string Name, nn.Module Module)> _modules = [];
    private readonly Dictionary<nn.Module, nn.Module> _replacements = new(ReferenceEqualityComparer.Instance);
    private readonly nn.Module _root;

    /// <summary>Walks a model.</summary>
    /// <param name="root">The model.</param>
    /// <param name="isLeaf">Whether a module is one thing, whose children are its own affair.</param>
    internal ModuleGraph(nn.Module root, Func<nn.Module, bool> isLeaf)
    {
        _root = root;
        RegisterEntries(root);
        Visit("", root, isLeaf, new HashSet<nn.Module>(ReferenceEqualityComparer.Instance));
    }

    /// <summary>The modules with their first names, each once, the model itself first as "".</summary>
    internal IReadOnlyList<(string Name, nn.Module Module)> Modules => _modules;

    /// <summary>What is to take a module's place.</summary>
    internal void Replace(nn.Module module, nn.Module replacement) => _replacements.Add(module, replacement);

    /// <summary>Puts the replacements into all places; with nothing changed where one can't hold its own.</summary>
    /// <param name="earlierProblems">What stands against it already.</param>
    /// <param name="isCopy">Whether what is replaced stays in use elsewhere.</param>
    /// <returns>The model, or what takes its place.</returns>
    /// <exception cref="ConversionException">All that stands against it; the replacements are disposed.</exception>
    internal nn.Module Commit(IReadOnlyList<string> earlierProblems, bool isCopy)
    {
        var problems = new List<string>(earlierProblems);
        var slots = new List<Action>();
        foreach ((string name, nn.Module parent) in _modules)
        {
            if (!_replacements.ContainsKey(parent))
                Collect(name, parent, slots, problems);
            else if (ForwardHooks.WhyNot(parent, _replacements[parent]) is { } reason)
                problems.Add($"{(name.Length == 0 ? "the model" : $"'{name}'")}: {reason}");
        }

        if (problems.Count > 0)
        {
            foreach (nn.Module replacement in _replacements.Values)
                replacement.Dispose();
            throw new ConversionException($"The model {_root.GetName()}", problems);
        }

        foreach (Action set in slots)
            set();
        foreach ((nn.Module module, nn.Module replacement) in _replacements)
            ForwardHooks.Carry(module, replacement, isCopy || ReferenceEquals(module, _root));
        return _replacements.GetValueOrDefault(_root, _root);
    }

    // A list or dictionary of modules that no module holds has not registered its entries yet.
    private static void RegisterEntries(nn.Module root)
    {
        Type type = root.GetType();
        if (type.IsGenericType && (type.GetGenericTypeDefinition() == typeof(ModuleList<>) || type.GetGenericTypeDefinition() == typeof(ModuleDict<>)))
            type.GetMethod("RegisterComponents", BindingFlags.Instance | BindingFlags.NonPublic)!.Invoke(root, null);
    }

    private void Visit(string name, nn.Module module, Func<nn.Module, bool> isLeaf, HashSet<nn.Module> seen)
    {
        if (!seen.Add(module))
            return;
        _modules.Add((name, module));
        if (isLeaf(module))
            return;
        foreach ((string child, nn.Module part) in module.named_children())
            Visit(name.Length == 0 ? child : $"{name}.{child}", part, isLeaf, seen);
    }

    private void Collect(string name, nn.Module parent, List<Action> slots, List<string> problems)
    {
        var held = new HashSet<nn.Module>(ReferenceEqualityComparer.Instance);
        foreach (ModuleSlot slot in ModuleSlot.Of(parent))
        {
            if (!_replacements.TryGetValue(slot.Module, out nn.Module? replacement))
                continue;
            held.Add(slot.Module);
            if (slot.WhyNot(replacement) is { } reason)
                problems.Add($"{(name.Length == 0 ? "the model" : $"'{name}'")}: {reason}");
            else
                slots.Add(() => slot.Set(replacement));
        }

        (string Name, nn.Module Module)[] children = [.. parent.named_children()];
        (string Name, nn.Module Module)[] replaced = [.. children.Where(child => _replacements.ContainsKey(child.Module))];
        foreach ((string child, nn.Module module) in replaced)
        {
            if (!held.Contains(module))
            {
                problems.Add(
                    $"{(name.Length == 0 ? "the model" : $"'{name}'")}: {ModuleSlot.Format(parent.GetType())} registers '{child}' but no field of it, nor a collection in one, holds it, so that "
                    + "what it computes with can't be found; hold it in a field typed Module<Tensor, Tensor>.");
            }
        }

        // A Sequential takes its children from its list; the others have a registry too, whose order is that of state dicts and optimizers.
        if (replaced.Length > 0 && parent is not Sequential)
        {
            slots.Add(() =>
            {
                foreach ((string child, _) in children)
                    parent.register_module(child, null!);
                foreach ((string child, nn.Module module) in children)
                    parent.register_module(child, _replacements.GetValueOrDefault(module, module));
            });
        }
    }
}
