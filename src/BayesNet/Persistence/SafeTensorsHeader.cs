using System.Text.Json;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Persistence;

/// <summary>The header of a safetensors file: what tensors it holds, and where.</summary>
internal sealed class SafeTensorsHeader
{
    private SafeTensorsHeader(IReadOnlyList<Entry> entries, IReadOnlyDictionary<string, string> metadata) => (Entries, Metadata) = (entries, metadata);

    /// <summary>The tensors in the order of their values.</summary>
    internal IReadOnlyList<Entry> Entries { get; }

    /// <summary>Text by name.</summary>
    internal IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Parses a header.</summary>
    /// <param name="header">UTF-8.</param>
    /// <param name="types">The types and the bytes of an entry by their names in the format.</param>
    /// <param name="metadataKey">What the metadata are called.</param>
    /// <param name="size">The bytes that follow it.</param>
    /// <param name="path">The file, for messages.</param>
    /// <exception cref="InvalidDataException">It is not a header of the format, or not that of so many bytes.</exception>
    internal static SafeTensorsHeader Parse(byte[] header, IReadOnlyDictionary<string, (ScalarType Type, int Size)> types, string metadataKey, long size, string path)
    {
        try
        {
            if (header[0] != (byte)'{')
                throw new InvalidDataException("its header does not begin with '{'");
            using JsonDocument document = JsonDocument.Parse(header, new JsonDocumentOptions { AllowDuplicateProperties = false });
            var entries = new List<Entry>();
            var metadata = new Dictionary<string, string>();
            foreach (JsonProperty property in document.RootElement.EnumerateObject())
            {
                if (property.Name != metadataKey)
                {
                    entries.Add(ParseEntry(property, types));
                    continue;
                }

                foreach (JsonProperty text in property.Value.EnumerateObject())
                    metadata.Add(text.Name, text.Value.GetString() ?? throw new InvalidDataException($"its metadata '{text.Name}' are no text"));
            }

            entries.Sort((a, b) => (a.Start, a.End).CompareTo((b.Start, b.End)));
            long end = 0;
            foreach (Entry entry in entries)
            {
                if (entry.Start != end)
                    throw new InvalidDataException($"the values of '{entry.Name}' begin at byte {entry.Start}, and those before it end at {end}");
                end = entry.End;
            }

            return end == size
                ? new SafeTensorsHeader(entries, metadata)
                : throw new InvalidDataException($"{(end > size ? "it is truncated" : "it is too long")}: {size} bytes of values, and its header names {end}");
        }
        catch (Exception error) when (error is JsonException or InvalidDataException or InvalidOperationException or FormatException or OverflowException)
        {
            throw new InvalidDataException($"The file '{path}' is not a whole file of the safetensors format: {error.Message}.", error);
        }
    }

    private static Entry ParseEntry(JsonProperty property, IReadOnlyDictionary<string, (ScalarType Type, int Size)> types)
    {
        string name = property.Name;
        string[] parts = [.. property.Value.EnumerateObject().Select(part => part.Name).Order(StringComparer.Ordinal)];
        if (parts is not ["data_offsets", "dtype", "shape"])
            throw new InvalidDataException($"'{name}' has the parts {string.Join(", ", parts)} in place of dtype, shape and data_offsets");
        string type = property.Value.GetProperty("dtype").GetString() ?? "";
        if (!types.TryGetValue(type, out (ScalarType Type, int Size) known))
            throw new InvalidDataException($"'{name}' has the type '{type}', which is not supported");
        long[] shape = Integers(property.Value.GetProperty("shape")), offsets = Integers(property.Value.GetProperty("data_offsets"));
        long count = 1;
        foreach (long length in shape)
            count = checked(count * length);
        if (offsets.Length != 2 || offsets[1] - offsets[0] != checked(count * known.Size))
            throw new InvalidDataException($"'{name}' of shape {Guard.Format(shape)} and type {type} does not fit its offsets");
        if (offsets[1] - offsets[0] > int.MaxValue)
            throw new InvalidDataException($"'{name}' takes {offsets[1] - offsets[0]} bytes, and 2 GB at most can be read");
        return new Entry(name, known.Type, shape, offsets[0], offsets[1]);
    }

    private static long[] Integers(JsonElement array)
        => [.. array.EnumerateArray().Select(item => item.GetInt64() is >= 0 and long value ? value : throw new InvalidDataException("a size or an offset is negative"))];

    /// <summary>A tensor.</summary>
    internal sealed record Entry(string Name, ScalarType Type, long[] Shape, long Start, long End);
}
