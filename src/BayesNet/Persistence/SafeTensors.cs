using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using BayesNet.Runtime;
using static TorchSharp.torch;

namespace BayesNet.Persistence;

/// <summary>
/// Tensors by name in a file of the safetensors format, which Python and most other tools read: the length of a header, the header in JSON (type,
/// shape and place of each tensor, and metadata), and the values, row-major and little-endian.
/// </summary>
/// <remarks>
/// Tensors of any type that libtorch and the format share; 2 GB at most each. Reading is strict: offsets that overlap or leave gaps, sizes that
/// do not fit the shapes, names given twice and anything unknown are refused before a tensor exists.
/// </remarks>
public static class SafeTensors
{
    private const string MetadataKey = "__metadata__";

    // The reference implementation's.
    private const int LongestHeader = 100_000_000;

    private static readonly Dictionary<string, (ScalarType Type, int Size)> Types = new()
    {
        ["F64"] = (ScalarType.Float64, 8),
        ["F32"] = (ScalarType.Float32, 4),
        ["F16"] = (ScalarType.Float16, 2),
        ["BF16"] = (ScalarType.BFloat16, 2),
        ["I64"] = (ScalarType.Int64, 8),
        ["I32"] = (ScalarType.Int32, 4),
        ["I16"] = (ScalarType.Int16, 2),
        ["I8"] = (ScalarType.Int8, 1),
        ["U8"] = (ScalarType.Byte, 1),
        ["BOOL"] = (ScalarType.Bool, 1),
    };

    private static readonly Dictionary<ScalarType, string> Names = Types.ToDictionary(entry => entry.Value.Type, entry => entry.Key);

    /// <summary>Writes a file, which appears whole, in the place of one that is there.</summary>
    /// <param name="path">The file; its folder must exist.</param>
    /// <param name="tensors">The tensors by name; of any device and layout.</param>
    /// <param name="metadata">Text by name; null for none.</param>
    /// <exception cref="ArgumentException">A tensor has a type that the format does not have, is sparse, or has a name that the format reserves.</exception>
    /// <exception cref="IOException">The file can't be written; one that was there is as it was.</exception>
    public static void Write(string path, IReadOnlyDictionary<string, Tensor> tensors, IReadOnlyDictionary<string, string>? metadata = null)
        => Write(path, tensors, metadata, checksum: null);

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <returns>Its tensors, on the CPU, without gradients, and its metadata; the caller's to dispose.</returns>
    /// <exception cref="IOException">The file can't be read.</exception>
    /// <exception cref="InvalidDataException">It is not a whole file of the format; the message says what is wrong.</exception>
    public static SafeTensorsFile Read(string path) => Read(path, checksum: null);

    /// <summary>The same with the SHA-256 of all else that is in the file in its metadata.</summary>
    /// <param name="path">The file.</param>
    /// <param name="tensors">The tensors.</param>
    /// <param name="metadata">Text by name.</param>
    /// <param name="checksum">The name of the checksum in the metadata; null for none.</param>
    internal static void Write(string path, IReadOnlyDictionary<string, Tensor> tensors, IReadOnlyDictionary<string, string>? metadata, string? checksum)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        ArgumentNullException.ThrowIfNull(tensors);
        using var scope = NewDisposeScope();
        using var noGradients = no_grad();

        // The widest first, so that every tensor is aligned to its entries.
        (string Name, Tensor Tensor)[] ordered =
            [.. tensors.Select(entry => (entry.Key, Plain(entry.Key, entry.Value))).OrderByDescending(entry => entry.Item2.element_size()).ThenBy(entry => entry.Key, StringComparer.Ordinal)];
        var all = new Dictionary<string, string>(metadata ?? new Dictionary<string, string>());
        if (checksum is not null)
            all[checksum] = Zeros;
        byte[] header = Header(ordered, all);
        if (checksum is not null)
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            hash.AppendData(header);
            foreach ((_, Tensor tensor) in ordered)
                hash.AppendData(Bytes(tensor));
            Encoding.ASCII.GetBytes(Convert.ToHexStringLower(hash.GetHashAndReset())).CopyTo(header, header.AsSpan().IndexOf(Encoding.ASCII.GetBytes(Zeros)));
        }

        AtomicFile.Write(Path.GetFullPath(path), Path.GetFullPath(path) + ".tmp", stream =>
        {
            Span<byte> length = stackalloc byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
            stream.Write(length);
            stream.Write(header);
            foreach ((string _, Tensor tensor) in ordered)
                stream.Write(Bytes(tensor));
        });
    }

    /// <inheritdoc cref="Read(string)"/>
    /// <param name="path">The file.</param>
    /// <param name="checksum">The name of a checksum in the metadata that <see cref="Write(string, IReadOnlyDictionary{string, Tensor}, IReadOnlyDictionary{string, string}?, string?)"/> put there, which is verified; null for none.</param>
    internal static SafeTensorsFile Read(string path, string? checksum)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        using FileStream stream = File.OpenRead(path);
        byte[] header = ReadHeader(stream, path);
        SafeTensorsHeader parsed = SafeTensorsHeader.Parse(header, Types, MetadataKey, stream.Length - 8 - header.Length, path);
        using IncrementalHash? hash = checksum is null ? null : IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        string? expected = checksum is null ? null : parsed.Metadata.GetValueOrDefault(checksum);
        if (hash is not null)
        {
            int place = expected is { Length: 64 } ? header.AsSpan().IndexOf(Encoding.ASCII.GetBytes(expected)) : -1;
            if (place < 0)
                throw new InvalidDataException($"The file '{path}' is no checkpoint of BayesNet: its metadata have no '{checksum}'.");
            Encoding.ASCII.GetBytes(Zeros).CopyTo(header, place);
            hash.AppendData(header);
        }

        var tensors = new Dictionary<string, Tensor>();
        try
        {
            using var _ = no_grad();
            foreach (SafeTensorsHeader.Entry entry in parsed.Entries)
            {
                Tensor tensor = empty(entry.Shape, dtype: entry.Type, device: CPU).DetachFromDisposeScope();
                tensors.Add(entry.Name, tensor);
                Span<byte> bytes = Bytes(tensor);
                stream.ReadExactly(bytes);
                hash?.AppendData(bytes);
            }

            if (hash is not null && Convert.ToHexStringLower(hash.GetHashAndReset()) != expected)
                throw new InvalidDataException($"The file '{path}' is damaged: its checksum is not that of its content. Use an earlier one.");
            return new SafeTensorsFile(tensors, parsed.Metadata);
        }
        catch
        {
            foreach (Tensor tensor in tensors.Values)
                tensor.Dispose();
            throw;
        }
    }

    private static string Zeros { get; } = new('0', 64);

    private static byte[] ReadHeader(FileStream stream, string path)
    {
        Span<byte> prefix = stackalloc byte[8];
        if (stream.Length < 8)
            throw new InvalidDataException($"The file '{path}' has {stream.Length} bytes, fewer than the 8 that any file of the safetensors format begins with.");
        stream.ReadExactly(prefix);
        long length = BinaryPrimitives.ReadInt64LittleEndian(prefix);
        if (length is < 2 or > LongestHeader)
        {
            throw new InvalidDataException(
                $"The file '{path}' is not of the safetensors format: it would begin with a header of {(ulong)length} bytes, and those of the format have 2 to {LongestHeader}.");
        }

        if (length > stream.Length - 8)
            throw new InvalidDataException($"The file '{path}' is truncated: it has {stream.Length} bytes, and its header alone takes {length + 8}.");
        byte[] header = new byte[length];
        stream.ReadExactly(header);
        return header;
    }

    private static byte[] Header((string Name, Tensor Tensor)[] tensors, Dictionary<string, string> metadata)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            if (metadata.Count > 0)
            {
                json.WriteStartObject(MetadataKey);
                foreach ((string name, string value) in metadata)
                    json.WriteString(name, value);
                json.WriteEndObject();
            }

            long start = 0;
            foreach ((string name, Tensor tensor) in tensors)
            {
                long end = start + tensor.numel() * tensor.element_size();
                json.WriteStartObject(name);
                json.WriteString("dtype", Names[tensor.dtype]);
                json.WriteStartArray("shape");
                foreach (long size in tensor.shape)
                    json.WriteNumberValue(size);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(start);
                json.WriteNumberValue(end);
                json.WriteEndArray();
                json.WriteEndObject();
                start = end;
            }

            json.WriteEndObject();
        }

        // Blanks up to a multiple of eight, so that the values are aligned.
        while (buffer.Length % 8 != 0)
            buffer.WriteByte((byte)' ');
        return buffer.ToArray();
    }

    private static Tensor Plain(string name, Tensor tensor)
    {
        if (name == MetadataKey)
            throw new ArgumentException($"'{MetadataKey}' is the format's own name for metadata, and no tensor's.", nameof(tensor));
        if (tensor.is_sparse || !Names.ContainsKey(tensor.dtype))
            throw new ArgumentException($"The tensor '{name}' is {(tensor.is_sparse ? "sparse" : tensor.dtype)}, which the safetensors format does not have; convert it.", nameof(tensor));
        if (tensor.numel() * tensor.element_size() > int.MaxValue)
            throw new ArgumentException($"The tensor '{name}' takes {tensor.numel() * tensor.element_size()} bytes; 2 GB at most can be written.", nameof(tensor));
        return tensor.detach().cpu().contiguous();
    }

    private static Span<byte> Bytes(Tensor tensor) => tensor.numel() == 0 ? [] : tensor.bytes;
}

/// <summary>What a safetensors file held.</summary>
public sealed class SafeTensorsFile : IDisposable
{
    internal SafeTensorsFile(IReadOnlyDictionary<string, Tensor> tensors, IReadOnlyDictionary<string, string> metadata)
        => (Tensors, Metadata) = (tensors, metadata);

    /// <summary>The tensors by name, on the CPU; disposed with this object.</summary>
    public IReadOnlyDictionary<string, Tensor> Tensors { get; }

    /// <summary>Text by name; empty where there is none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor tensor in Tensors.Values)
            tensor.Dispose();
    }
}
