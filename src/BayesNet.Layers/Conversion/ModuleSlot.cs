using System.Collections;
using System.Reflection;
using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace BayesNet.Layers.Conversion;

/// <summary>A place in a module that holds another: a field, private and read-only ones too, or an entry of a collection in one.</summary>
internal abstract class ModuleSlot(Type owner, FieldInfo field, nn.Module module)
{
    /// <summary>What it holds.</summary>
    internal nn.Module Module { get; } = module;

    /// <summary>What it can hold.</summary>
    protected abstract Type Type { get; }

    /// <summary>The slots of a module.</summary>
    internal static IEnumerable<ModuleSlot> Of(nn.Module owner)
    {
        for (Type? type = owner.GetType(); type is not null && type != typeof(nn.Module); type = type.BaseType)
        {
            foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            {
                object? value = field.FieldType.IsPrimitive || field.FieldType.IsPointer ? null : field.GetValue(owner);
                foreach (ModuleSlot slot in In(owner, type, field, value))
                    yield return slot;
            }
        }
    }

    /// <summary>Why it can't hold a module, and the remedy; null where it can.</summary>
    internal string? WhyNot(nn.Module replacement)
    {
        if (Type.IsInstanceOfType(replacement))
            return null;
        string name = field.Name.StartsWith('<') ? field.Name[1..field.Name.IndexOf('>')] : field.Name;
        return $"{Format(owner)}.{name} is a {Format(field.FieldType)}, which can't hold a {replacement.GetType().Name}; declare {(Type == field.FieldType ? "it" : "its elements")} as {Format(Common(Type, replacement.GetType()))}.";
    }

    /// <summary>Puts another module there.</summary>
    internal abstract void Set(nn.Module replacement);

    /// <summary>A type as C# writes it.</summary>
    internal static string Format(Type type)
    {
        if (type.IsArray)
            return $"{Format(type.GetElementType()!)}[]";
        if (!type.IsGenericType)
            return type.Name;
        string name = type.Name.Contains('`', StringComparison.Ordinal) ? type.Name[..type.Name.IndexOf('`', StringComparison.Ordinal)] : type.Name;
        return $"{name}<{string.Join(", ", type.GetGenericArguments().Select(Format))}>";
    }

    // The closest base class that both have: Module<Tensor, Tensor> of layers with one input.
    private static Type Common(Type declared, Type replacement)
    {
        Type? common = declared;
        while (common is not null && !common.IsAssignableFrom(replacement))
            common = common.BaseType;
        return common is null || !typeof(nn.Module).IsAssignableFrom(common) ? typeof(nn.Module) : common;
    }

    private static IEnumerable<ModuleSlot> In(nn.Module owner, Type type, FieldInfo field, object? value)
    {
        switch (value)
        {
            case nn.Module module:
                yield return new FieldSlot(owner, type, field, module);
                break;
            case IDictionary dictionary:
                foreach (object key in dictionary.Keys.Cast<object>().ToArray())
                {
                    if (dictionary[key] is nn.Module module)
                        yield return new DictionarySlot(type, field, dictionary, key, module);
                }

                break;
            case IList list:
                for (int i = 0; i < list.Count; i++)
                {
                    if (list[i] is nn.Module module)
                        yield return new ListSlot(type, field, list, i, module);
                    else if (list[i] is ITuple tuple)
                    {
                        for (int item = 0; item < Math.Min(tuple.Length, 7); item++)
                        {
                            if (tuple[item] is nn.Module part)
                                yield return new TupleSlot(type, field, list, i, item, part);
                        }
                    }
                }

                break;
        }
    }

    private static Type Element(IEnumerable collection, int argument)
    {
        Type type = collection.GetType();
        return type.IsArray ? type.GetElementType()! : type.GetGenericArguments() is { } arguments && arguments.Length > argument ? arguments[argument] : typeof(object);
    }

    private sealed class FieldSlot(nn.Module instance, Type owner, FieldInfo field, nn.Module module) : ModuleSlot(owner, field, module)
    {
        private readonly FieldInfo _field = field;

        protected override Type Type => _field.FieldType;

        internal override void Set(nn.Module replacement) => _field.SetValue(instance, replacement);
    }

    private sealed class ListSlot(Type owner, FieldInfo field, IList list, int index, nn.Module module) : ModuleSlot(owner, field, module)
    {
        protected override Type Type => Element(list, 0);

        internal override void Set(nn.Module replacement) => list[index] = replacement;
    }

    private sealed class DictionarySlot(Type owner, FieldInfo field, IDictionary dictionary, object key, nn.Module module) : ModuleSlot(owner, field, module)
    {
        protected override Type Type => Element(dictionary, 1);

        internal override void Set(nn.Module replacement) => dictionary[key] = replacement;
    }

    private sealed class TupleSlot(Type owner, FieldInfo field, IList list, int index, int item, nn.Module module) : ModuleSlot(owner, field, module)
    {
        private FieldInfo Item => list[index]!.GetType().GetField($"Item{item + 1}")
            ?? throw new NotSupportedException($"Modules are held in a {Format(list.GetType())}; use value tuples.");

        protected override Type Type => Item.FieldType;

        internal override void Set(nn.Module replacement)
        {
            object boxed = list[index]!;
            Item.SetValue(boxed, replacement);
            list[index] = boxed;
        }
    }
}
