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
    private const uint SegmentLoad = 1;
    private const uint SegmentDynamic = 2;
    private const long TagStringTable = 5;
    private const long TagVersionNeed = 0x6ffffffe;
    private const long TagVersionNeedCount = 0x6fffffff;
    private const ushort FlagWeak = 2;

    /// <summary>Marks every requirement of <paramref name="version"/> weak, in place. A second call changes nothing.</summary>
    /// <param name="image">The whole file.</param>
    /// <param name="version">The version's name, such as GLIBCXX_3.4.32.</param>
    /// <returns>How many requirements of that name the file has.</returns>
    /// <exception cref="InvalidDataException">The file is no 64-bit little-endian ELF file with a dynamic section, or is cut short.</exception>
    internal static int MarkWeak(Span<byte> image, string version)
    {
        try
        {
            return MarkWeakChecked(image, version);
        }
        catch (Exception error) when (error is ArgumentOutOfRangeException or OverflowException)
        {
            throw new InvalidDataException("The ELF file is cut short or its tables point outside it.", error);
        }
    }

    private static int MarkWeakChecked(Span<byte> image, string version)
    {
        if (image.Length < HeaderSize || !image[..4].SequenceEqual("\u007fELF"u8))
            throw new InvalidDataException("The file is not an ELF file.");
        if (image[4] != 2 || image[5] != 1)
            throw new InvalidDataException("The file is not a 64-bit little-endian ELF file.");

        var layout = new Layout(image);
        (long Address, long Size) dynamic = layout.Dynamic ?? throw new InvalidDataException("The ELF file has no dynamic section; it is not a shared object.");
        long strings = 0, needs = 0, count = 0;
        for (long at = layout.Offset(dynamic.Address), end = at + dynamic.Size; at < end; at += DynamicEntrySize)
        {
            long value = Int64(image, at + 8);
            switch (Int64(image, at))
            {
                case TagStringTable: strings = value; break;
                case TagVersionNeed: needs = value; break;
                case TagVersionNeedCount: count = value; break;
            }
        }

        if (needs == 0 || count == 0)
            return 0;

        byte[] name = Encoding.ASCII.GetBytes(version + '\0');
        long stringsAt = layout.Offset(strings);
        int found = 0;
        long need = layout.Offset(needs);
        for (long i = 0; i < count; i++)
        {
            long auxiliary = need + UInt32(image, need + 8);
            int auxiliaries = UInt16(image, need + 2);
            for (int j = 0; j < auxiliaries; j++)
            {
                if (Slice(image, stringsAt + UInt32(image, auxiliary + 8), name.Length).SequenceEqual(name))
                {
                    Span<byte> flags = Slice(image, auxiliary + 4, 2);
                    BinaryPrimitives.WriteUInt16LittleEndian(flags, (ushort)(BinaryPrimitives.ReadUInt16LittleEndian(flags) | FlagWeak));
                    found++;
                }

                auxiliary += UInt32(image, auxiliary + 12);
            }

            need += UInt32(image, need + 12);
        }

        return found;
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
                    _loaded.Add((address, size, offset));
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
