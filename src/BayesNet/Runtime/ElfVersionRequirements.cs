using System.Buffers.Binary;
using System.Text;

namespace BayesNet.Runtime;

/// <summary>
/// Edits the symbol-version requirements of a 64-bit little-endian ELF shared object (System V gABI; the tables are those of the GNU
/// symbol versioning extension). A requirement marked weak is one that the loader may leave unmet.
/// </summary>
internal static class ElfVersionRequirements
{
    // Elf64_Ehdr, Elf64_Phdr, Elf64_Dyn, Elfxx_Verneed and Elfxx_Vernaux: offsets and sizes in bytes.
    private const int HeaderSize = 64;
    private const int ProgramHeaderSize = 56;
    private const int DynamicEntrySize = 16;
    private const int VersionEntrySize = 16;
    private const uint SegmentLoad = 1;
    private const uint SegmentDynamic = 2;
    private const long TagEnd = 0;
    private const long TagStringTable = 5;
    private const long TagVersionNeed = 0x6ffffffe;
    private const long TagVersionNeedCount = 0x6fffffff;
    private const ushort FlagWeak = 2;

    /// <summary>Marks every requirement of <paramref name="version"/> weak, in place. A second call changes nothing.</summary>
    /// <param name="image">The whole file. It is left as it was where this throws.</param>
    /// <param name="version">The version's name, such as GLIBCXX_3.4.32.</param>
    /// <returns>How many requirements of that name the file has.</returns>
    /// <exception cref="InvalidDataException">
    /// The file is no 64-bit little-endian ELF file with a dynamic section, is cut short, or has tables that point outside it or overlap.
    /// </exception>
    internal static int MarkWeak(Span<byte> image, string version)
    {
        try
        {
            List<long> flags = FindFlags(image, Encoding.ASCII.GetBytes(version + '\0'));
            foreach (long at in flags)
                BinaryPrimitives.WriteUInt16LittleEndian(Slice(image, at, 2), (ushort)(UInt16(image, at) | FlagWeak));
            return flags.Count;
        }
        catch (Exception error) when (error is ArgumentOutOfRangeException or OverflowException)
        {
            throw new InvalidDataException("The ELF file is cut short or its tables point outside it.", error);
        }
    }

    /// <summary>Where the flags of the requirements of a version lie; <paramref name="name"/> ends in a zero byte.</summary>
    private static List<long> FindFlags(Span<byte> image, ReadOnlySpan<byte> name)
    {
        if (image.Length < HeaderSize || !image[..4].SequenceEqual("\u007fELF"u8))
            throw new InvalidDataException("The file is not an ELF file.");
        if (image[4] != 2 || image[5] != 1)
            throw new InvalidDataException("The file is not a 64-bit little-endian ELF file.");

        var layout = new Layout(image);
        (long strings, long needs, long count) = Tables(image, layout);
        var flags = new List<long>();
        if (needs == 0 || count == 0)
            return flags;

        ReadOnlySpan<byte> names = image[checked((int)layout.Offset(strings))..];
        long need = layout.Offset(needs);

        // Tables that do not overlap have no more entries than fit into the file. Without this bound a corrupt one could be walked for hours.
        int left = image.Length / VersionEntrySize;
        void CountEntry()
        {
            if (--left < 0)
                throw new InvalidDataException("The ELF file's version requirements overlap.");
        }

        // Both lists end, as for the loader, at their count or at an entry that names no next one.
        for (; count > 0; count--)
        {
            CountEntry();
            long auxiliary = need + UInt32(image, need + 8);
            for (int auxiliaries = UInt16(image, need + 2); auxiliaries > 0; auxiliaries--)
            {
                CountEntry();
                if (names[checked((int)UInt32(image, auxiliary + 8))..].StartsWith(name))
                    flags.Add(auxiliary + 4);
                uint toNext = UInt32(image, auxiliary + 12);
                if (toNext == 0)
                    break;
                auxiliary += toNext;
            }

            uint next = UInt32(image, need + 12);
            if (next == 0)
                break;
            need += next;
        }

        return flags;
    }

    /// <summary>The addresses of the dynamic section's strings and version requirements (0 where there are none), and the count of the latter.</summary>
    private static (long Strings, long Needs, long Count) Tables(Span<byte> image, Layout layout)
    {
        (long address, long size) = layout.Dynamic ?? throw new InvalidDataException("The ELF file has no dynamic section; it is not a shared object.");
        long strings = 0, needs = 0, count = 0;
        long start = layout.Offset(address);
        for (long at = start; at - start < size; at += DynamicEntrySize)
        {
            long value = Int64(image, at + 8);
            switch (Int64(image, at))
            {
                case TagEnd: return (strings, needs, count);
                case TagStringTable: strings = value; break;
                case TagVersionNeed: needs = value; break;
                case TagVersionNeedCount: count = value; break;
            }
        }

        return (strings, needs, count);
    }

    private static Span<byte> Slice(Span<byte> image, long at, int length) => image.Slice(checked((int)at), length);

    private static ushort UInt16(Span<byte> image, long at) => BinaryPrimitives.ReadUInt16LittleEndian(Slice(image, at, 2));

    private static uint UInt32(Span<byte> image, long at) => BinaryPrimitives.ReadUInt32LittleEndian(Slice(image, at, 4));

    private static long Int64(Span<byte> image, long at) => BinaryPrimitives.ReadInt64LittleEndian(Slice(image, at, 8));

    /// <summary>The segments of a file, which say where in it an address lies.</summary>
    private sealed class Layout
    {
        private readonly List<(long Address, long Size, long Offset)> _loaded = [];

        public Layout(Span<byte> image)
        {
            long table = Int64(image, 32);
            int entrySize = UInt16(image, 54);
            int entries = UInt16(image, 56);
            if (entries > 0 && entrySize < ProgramHeaderSize)
                throw new InvalidDataException("The ELF file's program headers have an unknown size.");
            for (int i = 0; i < entries; i++)
            {
                long header = table + (long)i * entrySize;
                (uint type, long offset, long address, long size) =
                    (UInt32(image, header), Int64(image, header + 8), Int64(image, header + 16), Int64(image, header + 32));
                if (type == SegmentLoad)
                {
                    // A file cut short is refused as a whole, whether or not the requirements are in what there is of it.
                    _ = image.Slice(checked((int)offset), checked((int)size));
                    _loaded.Add((address, size, offset));
                }
                else if (type == SegmentDynamic)
                    Dynamic = (address, size);
            }
        }

        public (long Address, long Size)? Dynamic { get; }

        public long Offset(long address)
        {
            foreach ((long start, long size, long offset) in _loaded)
            {
                if (address >= start && address - start < size)
                    return address - start + offset;
            }

            throw new InvalidDataException("The ELF file's tables lie outside its segments.");
        }
    }
}
