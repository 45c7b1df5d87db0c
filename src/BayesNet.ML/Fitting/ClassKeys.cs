using System.Globalization;
using System.Reflection;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace BayesNet.ML.Fitting;

/// <summary>The classes of a key: how many, and the values that their numbers stand for.</summary>
internal sealed class ClassKeys
{
    private const string KeyValues = "KeyValues";

    private static readonly PrimitiveDataViewType[] Types =
    [
        TextDataViewType.Instance, BooleanDataViewType.Instance, NumberDataViewType.Single, NumberDataViewType.Double, NumberDataViewType.SByte, NumberDataViewType.Byte,
        NumberDataViewType.Int16, NumberDataViewType.UInt16, NumberDataViewType.Int32, NumberDataViewType.UInt32, NumberDataViewType.Int64, NumberDataViewType.UInt64,
    ];

    // Null where the key's numbers stand for nothing but themselves.
    private readonly PrimitiveDataViewType? _type;

    private ClassKeys(PrimitiveDataViewType? type, string[] names) => (_type, Names) = (type, names);

    /// <summary>The number of classes.</summary>
    internal int Count => Names.Length;

    /// <summary>The key values as text, or else the numbers of the keys, from 0.</summary>
    internal string[] Names { get; }

    /// <summary>The classes of a label column, a key.</summary>
    internal static ClassKeys Of(DataViewSchema.Column label)
    {
        int count = checked((int)((KeyDataViewType)label.Type).Count);
        if (label.Annotations.Schema.GetColumnOrNull(KeyValues) is not { Type: VectorDataViewType vector } || vector.Size != count
            || Types.FirstOrDefault(type => type.Equals(vector.ItemType)) is not { } known)
        {
            return new ClassKeys(null, [.. Enumerable.Range(0, count).Select(number => number.ToString(CultureInfo.InvariantCulture))]);
        }

        return new ClassKeys(known, (string[])Generic(nameof(TextsOf), known).Invoke(null, [label.Annotations])!);
    }

    internal static ClassKeys Read(BinaryReader reader)
    {
        string type = reader.ReadString();
        return new ClassKeys(
            type.Length == 0 ? null : Types.First(known => known.ToString() == type), [.. Enumerable.Range(0, reader.ReadInt32()).Select(_ => reader.ReadString())]);
    }

    internal void Write(BinaryWriter writer)
    {
        writer.Write(_type?.ToString() ?? "");
        writer.Write(Count);
        foreach (string name in Names)
            writer.Write(name);
    }

    /// <summary>Annotates a key with the values that it stands for, of their own type.</summary>
    internal void AddKeyValues(DataViewSchema.Annotations.Builder annotations)
    {
        if (_type is not null)
            Generic(nameof(AddValues), _type).Invoke(null, [annotations, KeyValues, _type, Names]);
    }

    /// <summary>Annotates a vector with the names of the classes.</summary>
    internal void AddSlotNames(DataViewSchema.Annotations.Builder annotations)
        => AddValues<ReadOnlyMemory<char>>(annotations, "SlotNames", TextDataViewType.Instance, Names);

    private static MethodInfo Generic(string method, PrimitiveDataViewType type)
        => typeof(ClassKeys).GetMethod(method, BindingFlags.Static | BindingFlags.NonPublic)!.MakeGenericMethod(type.RawType);

    private static string[] TextsOf<T>(DataViewSchema.Annotations annotations)
    {
        VBuffer<T> values = default;
        annotations.GetValue(KeyValues, ref values);
        return [.. values.DenseValues().Select(value => Convert.ToString(value is ReadOnlyMemory<char> text ? text.ToString() : value, CultureInfo.InvariantCulture)!)];
    }

    private static void AddValues<T>(DataViewSchema.Annotations.Builder annotations, string kind, PrimitiveDataViewType type, string[] texts)
    {
        T[] values = [.. texts.Select(text => (T)(typeof(T) == typeof(ReadOnlyMemory<char>) ? text.AsMemory() : Convert.ChangeType(text, typeof(T), CultureInfo.InvariantCulture)))];
        annotations.Add(kind, new VectorDataViewType(type, values.Length), (ValueGetter<VBuffer<T>>)((ref VBuffer<T> buffer) =>
        {
            var editor = VBufferEditor.Create(ref buffer, values.Length);
            values.CopyTo(editor.Values);
            buffer = editor.Commit();
        }));
    }
}
