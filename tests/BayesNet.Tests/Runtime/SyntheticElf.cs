using System.Buffers.Binary;
using System.Text;

namespace BayesNet.Tests.Runtime;

/// <summary>
/// The smallest 64-bit little-endian ELF file with version requirements: header, two program headers, dynamic section, requirements,
/// strings. Addresses are offsets plus <see cref="Base"/>, so that a mix-up of the two shows.
/// </summary>
internal sealed class SyntheticElf
{
    public const int Base = 0x4000;
    public const int LoadHeader = 64;
    public const int DynamicHeader = LoadHeader + 56;
    public const int Dynamic = DynamicHeader + 56;
    public const int Needs = Dynamic + 4 * 16;

    private readonly List<int> _entries = [];
    private readonly List<(int Offset, string Name)> _requirements = [];

    /// <summary>Builds a file.</summary>
    /// <param name="needs">For every library that is needed, the versions it must have.</param>
    public SyntheticElf(params string[][] needs)
    {
        int stringsAt = Needs + 16 * (needs.Length + needs.Sum(versions => versions.Length));
        byte[] strings = [0, .. Encoding.ASCII.GetBytes(string.Concat(needs.SelectMany(versions => versions).Distinct().Select(name => name + '\0')))];
        Image = new byte[stringsAt + strings.Length];
        strings.CopyTo(Image, stringsAt);

        "\u007fELF"u8.CopyTo(Image);
        Image[4] = 2; // 64-bit
        Image[5] = 1; // little-endian
        Write64(32, LoadHeader);
        Write16(54, 56);
        Write16(56, 2);
        Segment(LoadHeader, type: 1, at: 0, Image.Length);
        Segment(DynamicHeader, type: 2, at: Dynamic, 4 * 16);

        Tag(0, 5, stringsAt + Base);
        Tag(1, 0x6ffffffe, Needs + Base);
        Tag(2, 0x6fffffff, needs.Length);
        Tag(3, 0, 0);

        int need = Needs;
        for (int i = 0; i < needs.Length; i++)
        {
            string[] versions = needs[i];
            int next = 16 * (1 + versions.Length);
            _entries.Add(need);
            Write16(need, 1);
            Write16(need + 2, (ushort)versions.Length);
            Write32(need + 8, 16);
            Write32(need + 12, i == needs.Length - 1 ? 0 : next);
            for (int j = 0; j < versions.Length; j++)
            {
                int requirement = need + 16 * (j + 1);
                _requirements.Add((requirement, versions[j]));
                Write32(requirement + 8, strings.AsSpan().IndexOf(Encoding.ASCII.GetBytes('\0' + versions[j] + '\0')) + 1);
                Write32(requirement + 12, j == versions.Length - 1 ? 0 : 16);
            }

            need += next;
        }
    }

    public byte[] Image { get; }

    /// <summary>Where the entry of the i-th needed library lies.</summary>
    public int Entry(int index) => _entries[index];

    /// <summary>Where the entries of a version lie; their flags are 4 bytes on.</summary>
    public int[] Requirements(string version) => [.. _requirements.Where(entry => entry.Name == version).Select(entry => entry.Offset)];

    public void Write16(int at, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(Image.AsSpan(at), value);

    public void Write32(int at, int value) => BinaryPrimitives.WriteInt32LittleEndian(Image.AsSpan(at), value);

    public void Write64(int at, long value) => BinaryPrimitives.WriteInt64LittleEndian(Image.AsSpan(at), value);

    /// <summary>Sets an entry of the dynamic section.</summary>
    public void Tag(int index, long tag, long value)
    {
        Write64(Dynamic + 16 * index, tag);
        Write64(Dynamic + 16 * index + 8, value);
    }

    private void Segment(int header, int type, int at, int size)
    {
        Write32(header, type);
        Write64(header + 8, at);
        Write64(header + 16, at + Base);
        Write64(header + 32, size);
    }
}
