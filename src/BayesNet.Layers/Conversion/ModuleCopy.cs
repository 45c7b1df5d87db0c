using System.Collections;
using System.Reflection;
using System.Runtime.CompilerServices;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace BayesNet.Layers.Conversion;

/// <summary>
/// Copies a model without its constructors: modules, tensors and the collections that hold them anew, everything else shared. What two parents
/// share, the copies of them share.
/// </summary>
internal sealed class ModuleCopy
{
    private const BindingFlags Own = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    // What ties a module to its native twin, which a copy needs one of its own of.
    private static readonly string[] NativeFields = ["handle", "boxedModule", "_forwardNative"];

    private readonly Dictionary<object, object> _copies = new(ReferenceEqualityComparer.Instance);
    private readonly IReadOnlySet<nn.Module> _shared;

    private ModuleCopy(IReadOnlySet<nn.Module> shared) => _shared = shared;

    /// <summary>A copy of a model that holds some modules of it as they are.</summary>
    /// <exception cref="ConversionException">A module can't be copied.</exception>
    internal static nn.Module Of(nn.Module model, IReadOnlySet<nn.Module> shared)
    {
        if (shared.Contains(model))
            return model;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return (nn.Module)new ModuleCopy(shared).Copy(model, model.GetName())!;
    }

    private object? Copy(object? value, string place)
    {
        switch (value)
        {
            case null or string or Delegate or Type:
                return value;
            case nn.Module module when _shared.Contains(module):
                return module;
        }

        if (value.GetType().IsPrimitive || value.GetType().IsEnum)
            return value;
        if (_copies.TryGetValue(value, out object? known))
            return known;
        return value switch
        {
            nn.Module module => CopyModule(module, place),
            Parameter parameter => Remember(value, new Parameter(parameter.detach().clone(), parameter.requires_grad).DetachFromDisposeScope()),
            Tensor tensor => Remember(value, tensor.detach().clone().DetachFromDisposeScope()),
            Array array => CopyArray(array, place),
            IDictionary dictionary when IsGeneric(value, typeof(Dictionary<,>)) => CopyDictionary(dictionary, place),
            IList list when IsGeneric(value, typeof(List<>)) => CopyList(list, place),
            ITuple when value is ValueType => CopyFields(value, RuntimeHelpers.GetUninitializedObject(value.GetType()), place),
            IEnumerable when value.GetType().Assembly == typeof(nn.Module).Assembly => CopyFields(value, Remember(value, RuntimeHelpers.GetUninitializedObject(value.GetType())), place),
            _ => Share(value, place),
        };
    }

    private nn.Module CopyModule(nn.Module module, string place)
    {
        if (module is IBayesianModule)
            throw Refuse(place, $"it holds a {module.GetType().Name}, which is Bayesian already and whose noise has one owner; convert in place");
        if (module is not Sequential && typeof(nn.Module).GetField("_forwardNative", Own)!.GetValue(module) is null)
            throw Refuse(place, $"TorchSharp keeps the {module.GetType().Name} in native memory, where it can't be copied; convert in place");
        var copy = (nn.Module)Remember(module, RuntimeHelpers.GetUninitializedObject(module.GetType()));
        // Its finalizer frees nothing: the native module is the handle's, which the copy holds from here on.
        nn.Module shell = module is Sequential ? nn.Sequential() : new Shell(module.GetName());
        foreach (string name in NativeFields)
        {
            FieldInfo field = typeof(nn.Module).GetField(name, Own)!;
            field.SetValue(copy, field.GetValue(shell));
        }

        CopyFields(module, copy, place);
        copy.train(module.training);
        return copy;
    }

    private object CopyFields(object from, object to, string place)
    {
        for (Type? type = from.GetType(); type is not null && type != typeof(object) && type != typeof(ValueType); type = type.BaseType)
        {
            foreach (FieldInfo field in type.GetFields(Own))
            {
                if (type != typeof(nn.Module) || !NativeFields.Contains(field.Name))
                    field.SetValue(to, Copy(field.GetValue(from), $"{place}.{field.Name}"));
            }
        }

        return to;
    }

    private Array CopyArray(Array array, string place)
    {
        var copy = (Array)Remember(array, array.Clone());
        if (!array.GetType().GetElementType()!.IsPrimitive && array.Rank == 1)
        {
            for (int i = 0; i < array.Length; i++)
                copy.SetValue(Copy(array.GetValue(i), place), i);
        }

        return copy;
    }

    private object CopyList(IList list, string place)
    {
        var copy = (IList)Remember(list, Activator.CreateInstance(list.GetType())!);
        foreach (object? item in list)
            copy.Add(Copy(item, place));
        return copy;
    }

    private object CopyDictionary(IDictionary dictionary, string place)
    {
        var copy = (IDictionary)Remember(dictionary, Activator.CreateInstance(dictionary.GetType())!);
        foreach (DictionaryEntry entry in dictionary)
            copy.Add(Copy(entry.Key, place)!, Copy(entry.Value, place));
        return copy;
    }

    private static object Share(object value, string place)
    {
        for (Type? type = value.GetType(); type is not null && value is not ValueType; type = type.BaseType)
        {
            foreach (FieldInfo field in type.GetFields(Own))
            {
                if (typeof(nn.Module).IsAssignableFrom(field.FieldType) || typeof(Tensor).IsAssignableFrom(field.FieldType))
                    throw Refuse(place, $"it is a {ModuleSlot.Format(value.GetType())}, no module or collection, and holds modules or tensors; convert in place, or make it a module");
            }
        }

        return value;
    }

    private object Remember(object original, object copy)
    {
        _copies.Add(original, copy);
        return copy;
    }

    private static bool IsGeneric(object value, Type definition) => value.GetType().IsGenericType && value.GetType().GetGenericTypeDefinition() == definition;

    private static ConversionException Refuse(string place, string reason) => new("A copy", [$"{place}: {reason}."]);

    /// <summary>A module with a native twin and nothing else.</summary>
    private sealed class Shell(string name) : nn.Module(name);
}
