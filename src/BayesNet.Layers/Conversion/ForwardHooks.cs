using System.Collections;
using System.Reflection;
using static TorchSharp.torch;

namespace BayesNet.Layers.Conversion;

/// <summary>Forward hooks of a layer, before and after, which its replacement takes over.</summary>
internal static class ForwardHooks
{
    private static readonly string[] Names = ["pre_hooks", "post_hooks", "module_pre_hooks", "module_post_hooks"];

    /// <summary>Why a replacement can't have a layer's hooks, and the remedy; null where it can, or where there are none.</summary>
    internal static string? WhyNot(nn.Module layer, nn.Module replacement)
        => Of(layer).Any(entry => entry.Hooks.Count > 0 && (Of(replacement).FirstOrDefault(other => other.Field.Name == entry.Field.Name).Hooks)?.GetType() != entry.Hooks.GetType())
            ? $"its forward hooks take other arguments than a {ModuleSlot.Format(replacement.GetType())} gives; remove them (the handle's remove), and register new ones afterwards."
            : null;

    /// <summary>Gives a replacement the hooks of a layer, in their order.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="replacement">What takes its place.</param>
    /// <param name="isCopy">Whether the layer stays in use. Otherwise both have one list, so that the handles that were given out still remove hooks.</param>
    internal static void Carry(nn.Module layer, nn.Module replacement, bool isCopy)
    {
        (FieldInfo Field, IDictionary Hooks)[] own = [.. Of(replacement)];
        foreach ((FieldInfo field, IDictionary hooks) in Of(layer).Where(entry => entry.Hooks.Count > 0))
        {
            (FieldInfo target, IDictionary taken) = own.Single(other => other.Field.Name == field.Name);
            if (!isCopy)
                target.SetValue(replacement, hooks);
            else
            {
                foreach (DictionaryEntry hook in hooks)
                    taken.Add(hook.Key, hook.Value);
            }
        }
    }

    private static IEnumerable<(FieldInfo Field, IDictionary Hooks)> Of(nn.Module module)
    {
        for (Type? type = module.GetType(); type is not null && type != typeof(nn.Module); type = type.BaseType)
        {
            foreach (string name in Names)
            {
                if (type.GetField(name, BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.DeclaredOnly) is { } field && field.GetValue(module) is IDictionary hooks)
                    yield return (field, hooks);
            }
        }
    }
}
